"""Labels that are missing stop a run by name and number, or are left out of the loss and counted."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from test_train import TINY, hermtk, refused

from hermtk.data.dataset import write_structures
from training_world import clusters


@pytest.fixture
def gappy(tmp_path: Path) -> Path:
    path = tmp_path / "gappy.xyz"
    structures = [replace(s, forces=None) if k in (3, 11, 17) else s for k, s in enumerate(clusters(40))]
    write_structures(path, structures)
    return path


def test_missing_forces_stop_the_run(tmp_path: Path, gappy: Path) -> None:
    said = refused(
        hermtk("train", "--data", gappy, "--n-train", 36, "--n-validation", 4, *TINY, cwd=tmp_path)
    )
    assert "3 of 36 structures have no forces" in said or "structures have no forces" in said
    assert "--allow-missing" in said
    assert not (tmp_path / "runs").exists()


def test_missing_forces_may_be_allowed_and_are_counted(tmp_path: Path, gappy: Path) -> None:
    done = hermtk(
        "train", "--data", gappy, "--n-train", 36, "--n-validation", 4, "--n-test", 0, "--steps", 10, "--allow-missing",
        "--out", "run", *TINY, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "forces in 3" in done.stdout
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert facts["data"]["missing"] == {"forces": 3}


def test_a_label_that_no_structure_has_is_refused_even_so(tmp_path: Path) -> None:
    path = tmp_path / "bare.xyz"
    write_structures(path, [replace(s, forces=None) for s in clusters(20)])
    said = refused(hermtk("train", "--data", path, "--allow-missing", "--steps", 5, *TINY, cwd=tmp_path))
    assert (
        "structures have no forces" in said and "training.loss.forces" in said
    ) or "weight of forces" in said
