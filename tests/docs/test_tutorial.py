"""The tutorial can be followed: its commands in their order, on a small world and with small models."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from docs_pages import Block, blocks, text_of
from hermtk.data.dataset import read_structures, write_structures
from hermtk.models.build import build_model
from hermtk.models.files import save_model
from hermtk.models.variants import VARIANTS
from hermtk.training.config import make_config
from hermtk.training.record import COLUMNS
from training_world import clusters

SMALL = "--steps 1 --set model.channels=4 --set model.layers=1 --set model.n_basis=3"
# the page speaks of a thousand structures
SMALLER = {"--n-train 900": "--n-train 9", "--n-validation 100": "--n-validation 2", "--seeds 3": "--seeds 1"}
# one process for all commands; the embedded set is a small one
FOLLOW = """
import json, sys
from pathlib import Path
from hermtk.data import dataset, sources
from hermtk_cli.main import run
dataset.builtin_path = sources.NAMED["builtin"] = lambda: Path("builtin.npz")
for words in json.loads(sys.argv[1]):
    if run(words):
        sys.exit(f"failed: hermtk {' '.join(words)}")
"""


def commands() -> list[list[str]]:
    """The words of every ``hermtk`` of the tutorial, trainings made small."""
    text = "".join(block.text for block in blocks("tutorial.md", "console"))
    for whole, part in SMALLER.items():
        text = text.replace(whole, part)
    found = []
    for line in re.findall(r"^[$>]\s+hermtk (.*)$", text, re.MULTILINE):
        fresh = line.startswith(("train", "ablate")) and "--resume" not in line
        found.append(f"{line} {SMALL if fresh else ''}")
    return [shlex.split(line) for line in found]


def follow(place: Path, several: list[list[str]]) -> None:
    """Run commands one after the other, as a user would, and expect all to work."""
    done = subprocess.run(
        [sys.executable, "-c", FOLLOW, json.dumps(several)],
        cwd=place,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the pages speak of."""
    monkeypatch.chdir(tmp_path)
    for name in ("builtin.npz", "mine.extxyz", "structures.extxyz", "structures.xyz"):
        write_structures(tmp_path / name, clusters(20))
    return tmp_path


@pytest.fixture
def model(place: Path) -> Path:
    """A model file of ethanol's elements."""
    config = make_config({"model": {"channels": 4, "layers": 1}}).model
    save_model(place / "model.pt", build_model(config, (1, 6, 8)), config)
    return place / "model.pt"


def test_the_commands_of_the_tutorial_work_one_after_the_other(place: Path):
    follow(place, commands())
    runs = {path.name for path in (place / "runs").iterdir()}
    assert runs >= {"first", "mine"}
    compared = (place / "studies" / "mine" / "report" / "errors.csv").read_text()
    assert [name for name in VARIANTS if f"painn-{name}," not in compared] == []
    assert len(read_structures("labelled.extxyz")) == 20


def test_every_file_of_a_run_is_explained(place: Path):
    follow(place, [shlex.split(f"train --data mine.extxyz --out here {SMALL}")])
    text = text_of("model-files.md")
    names = [f"{path.name}/" if path.is_dir() else path.name for path in (place / "here").iterdir()]
    assert [name for name in names if f"`{name}`" not in text] == []


def test_every_column_and_entry_is_explained(model: Path):
    text = text_of("model-files.md")
    entries = torch.load(model, weights_only=True)
    assert [name for name in (*COLUMNS, *entries) if f"`{name}`" not in text] == []


@pytest.mark.parametrize(
    "block", [b for page in ("tutorial.md", "model-files.md") for b in blocks(page, "python")], ids=str
)
def test_a_script_of_the_pages_runs(model: Path, block: Block):
    exec(compile(block.text, str(block), "exec"), {})
