"""Fixtures that every test may use."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from hermtk.data.dataset import write_structures
from plugin_world import World, plugin_world
from training_world import clusters

torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def kernels() -> None:
    """Built before a command is expected to be silent; where they cannot be, torch's way is no reason for a warning."""
    from hermtk.kernels import library

    if library.compiler_missing():
        os.environ.setdefault(library.VARIABLE, "torch")
    library.library()


@pytest.fixture(scope="session", autouse=True)
def interrupts() -> None:
    """A shell starts what runs in its background with interrupts ignored, and children inherit that: here they count."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real reference data, where there is one."""
    folder = Path(os.environ.get("HERMTK_SHARED", Path(__file__).parents[2] / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"needs reference data: set HERMTK_SHARED (looked in {folder})")
    return folder


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Where plugins can be installed for the time of a test."""
    place = tmp_path / "site-packages"
    place.mkdir()
    yield from plugin_world(place, monkeypatch)


@pytest.fixture(scope="session")
def cluster_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty clusters in a file, to train on."""
    path = tmp_path_factory.mktemp("data") / "clusters.xyz"
    write_structures(path, clusters(40))
    return path
