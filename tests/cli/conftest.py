"""The command line run in this process, a tiny model, and labelled clusters as a file."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from hermtk.data.dataset import write_structures
from hermtk.models.build import build_model
from hermtk.models.config import ModelConfig
from hermtk.models.files import save_model
from hermtk_cli.main import run
from training_world import clusters


@dataclass(frozen=True)
class Outcome:
    """What a user sees of a command."""

    status: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one paragraph of an error, which nothing else came with."""
        assert self.out == ""
        assert self.err.startswith("error: ")
        assert self.err.count("\n") == 1
        assert "Traceback" not in self.err
        return self.err.removeprefix("error: ").rstrip("\n")


Command = Callable[..., Outcome]


@pytest.fixture
def hermtk(capsys, monkeypatch, tmp_path) -> Command:
    """``hermtk("show", "painn")`` in an empty folder of its own."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HERMTK_TRACEBACK", "")

    def command(*arguments: object) -> Outcome:
        capsys.readouterr()
        status = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(status, captured.out, captured.err)

    return command


@pytest.fixture(scope="session")
def models(tmp_path_factory) -> Path:
    """A folder with ``model.pt``, which knows H, C and O, like the folder of a run."""
    folder = tmp_path_factory.mktemp("models")
    config = ModelConfig(variant="hpnet", channels=4, layers=1, n_basis=4, cutoff=3.0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        potential = build_model(config, (1, 6, 8), reference={1: -80.0, 6: -85.0, 8: -84.0}).eval()
    facts = {"made": "2026-11-21", "parameters": 7, "coverage": {"H-C": 120, "C-H": 130}}
    save_model(folder / "model.pt", potential, config, facts)
    return folder


@pytest.fixture(scope="session")
def model(models: Path) -> Path:
    return models / "model.pt"


@pytest.fixture(scope="session")
def data(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("data") / "clusters.extxyz"
    write_structures(path, clusters(12))
    return path


@pytest.fixture(scope="session")
def alloy(tmp_path_factory) -> Path:
    """Structures of an element that the model does not know."""
    path = tmp_path_factory.mktemp("alloy") / "alloy.extxyz"
    path.write_text('2\nenergy=-3.0 pbc="F F F"\nPd 0 0 0\nAu 0 0 2.6\n')
    return path


@pytest.fixture
def unchanged(tmp_path) -> Callable[[], bool]:
    """Whether the folders of the test hold what they held at first."""

    def content() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()}

    before = content()
    return lambda: content() == before
