"""A full disk loses nothing that was there and leaves nothing half-written."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_train import TINY, hermtk, refused

from hermtk.data.dataset import write_structures
from training_world import clusters


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("needs the right to mount a small disk")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_training_on_a_full_disk_says_so_and_leaves_no_half_written_file(
    small_disk: Path, tmp_path: Path
) -> None:
    data = tmp_path / "clusters.xyz"
    write_structures(data, clusters(20))
    message = refused(
        hermtk("train", "--data", data, "--steps", 10, "--out", small_disk / "run", *TINY, cwd=tmp_path)
    )
    assert "No space left" in message
    assert not any(path.name.startswith(".") for path in small_disk.rglob("*"))
    assert not (small_disk / "run" / "model.pt").exists()
