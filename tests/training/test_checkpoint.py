"""Checkpoints remember the plugins of their model."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from hermtk.errors import PluginChanged, RunError
from hermtk.training.run import resume_run
from plugin_world import World

POINTS = {"subnets": "damped = mine.module:Damped"}


class Silent:
    """Nobody watches."""

    def stepped(self, progress, total, loss): ...

    def validated(self, row): ...

    def note(self, text): ...


@pytest.fixture
def folder(world: World, tmp_path: Path, cluster_file: Path) -> Path:
    """A run of two steps with a subnet of mine 1.0."""
    world.install("mine", **POINTS)
    config = {
        "data": {"train": str(cluster_file), "n_train": 8, "n_validation": 4, "n_test": 0},
        "model": {"subnet": "damped", "channels": 4, "layers": 1, "n_basis": 3, "cutoff": 3.0},
        "training": {"steps": 2, "batch_size": 4, "compile": False},
        "threads": 1,
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    path = os.pathsep.join([str(world.place), *os.environ.get("PYTHONPATH", "").split(os.pathsep)])
    command = [sys.executable, "-m", "hermtk_cli.main", "train", "config.yaml", "--out", "run"]
    subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}, check=True, capture_output=True
    )
    return tmp_path / "run"


def test_a_checkpoint_says_which_plugins_it_needs(folder):
    needs = torch.load(folder / "checkpoint.pt", weights_only=True)["needs"]
    assert (needs[0]["distribution"], needs[0]["version"], len(needs[0]["sha256"])) == ("mine", "1.0", 64)


def test_without_the_plugin_resuming_says_what_to_install(folder, world):
    world.uninstall("mine")
    with pytest.raises(RunError, match=r"checkpoint\.pt needs the subnet 'damped' of mine 1\.0.*mine==1\.0`"):
        resume_run(folder, Silent())


def test_with_another_version_resuming_warns_and_goes_on(folder, world):
    world.install("mine", "1.1", **POINTS)
    with pytest.warns(PluginChanged, match=r"made with mine 1\.0, installed is mine 1\.1"):
        assert resume_run(folder, Silent()).trainer.progress.step == 2


def test_with_the_same_plugin_nothing_is_said(folder):
    assert resume_run(folder, Silent()).trainer.progress.step == 2


def test_a_damaged_checkpoint_is_still_refused_by_name(folder):
    path = folder / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(RunError, match=r"checkpoint\.pt cannot be resumed from"):
        resume_run(folder, Silent())


def test_a_checkpoint_of_an_older_version_says_how_to_use_what_it_learned(folder):
    for name in ("checkpoint.pt", "checkpoint.previous.pt"):
        if (folder / name).is_file():
            content = torch.load(folder / name, weights_only=True)
            torch.save({**content, "format": 1}, folder / name)
    with pytest.raises(RunError, match=r"has format 1, of an older version.*--start .*model\.pt"):
        resume_run(folder, Silent())
