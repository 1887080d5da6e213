"""Models of targets that are no energies, as a user meets them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hermtk.data.dataset import read_structures, write_structures
from hermtk.data.targets import TARGETS
from hermtk.models.build import build_property
from hermtk.models.config import ModelConfig
from hermtk.models.files import load_model, save_model
from training_world import clusters

HARTREE = 27.211386245988


@pytest.fixture(scope="module")
def gaps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clusters without energies, their gaps in Hartree."""
    path = tmp_path_factory.mktemp("data") / "gaps.extxyz"
    structures = clusters(16)
    labels = np.linspace(0.1, 0.3, len(structures))
    without = [
        replace(s, energy=None, forces=None, info={"gap_Ha": float(v)})
        for s, v in zip(structures, labels, strict=True)
    ]
    write_structures(path, without)
    return path


@pytest.fixture(scope="module")
def gap_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "gap.pt"
    config = ModelConfig(channels=4, layers=1, n_basis=4, cutoff=3.0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        save_model(path, build_property(config, (1, 6, 8), TARGETS["gap"]).eval(), config)
    return path


def test_evaluate_names_the_target_and_its_unit(hermtk, gap_model: Path, gaps: Path):
    done = hermtk("evaluate", gap_model, gaps, "--out", "there")
    assert done.status == 0, done.err
    assert "gap" in done.out
    assert "meV" in done.out
    assert {path.name for path in Path("there").iterdir()} == {"parity.png", "results.json"}
    errors = json.loads(hermtk("evaluate", gap_model, gaps, "--json").out)["target"]
    assert (errors["name"], errors["unit"], errors["structures"], errors["missing"]) == ("gap", "eV", 16, 0)
    assert errors["sd"] == pytest.approx(np.linspace(0.1, 0.3, 16).std() * HARTREE, rel=1e-6)
    assert errors == json.loads(Path("there/results.json").read_text())["target"]


def test_evaluate_says_what_the_data_have_instead(hermtk, gap_model: Path, data: Path, tmp_path: Path):
    refused = hermtk("evaluate", gap_model, data)
    assert "has no gap (eV) to compare with, it has no numbers" in refused.error
    write_structures(tmp_path / "homo.xyz", [replace(s, info={"homo": 1.0}) for s in clusters(2)])
    assert "it has homo" in hermtk("evaluate", gap_model, tmp_path / "homo.xyz").error


def test_predict_puts_the_value_where_the_next_reader_finds_it(hermtk, gap_model: Path, gaps: Path):
    assert hermtk("predict", gap_model, gaps, "out.xyz").status == 0
    found = read_structures("out.xyz")
    assert all(set(s.info) == {"gap"} for s in found)
    again = json.loads(hermtk("evaluate", gap_model, "out.xyz", "--json").out)["target"]
    assert again["mae"] < 1e-6


def test_show_names_target_and_unit(hermtk, gap_model: Path, model: Path):
    shown = hermtk("show", gap_model)
    assert "gap (eV)" in shown.out
    assert "intensive" in shown.out
    assert json.loads(hermtk("show", gap_model, "--json").out)["unit"] == "eV"
    assert json.loads(hermtk("show", model, "--json").out)["target"] == "energy"


def test_a_property_is_not_compiled(hermtk, gap_model: Path, gaps: Path):
    assert "a model of gap cannot be compiled" in hermtk("predict", gap_model, gaps, "o.xyz", "--compile").err


def test_train_learns_a_target_from_one_command(hermtk, gaps: Path):
    tiny = [
        word
        for key in ("channels=8", "layers=1", "n_basis=4", "cutoff=3.0")
        for word in ("--set", f"model.{key}")
    ]
    done = hermtk("train", "--data", gaps, "--target", "gap", "--steps", 3, "--out", "run", "--json", *tiny)
    assert done.status == 0, done.err
    said = " ".join(done.err.split())
    assert "gap (eV), lumo - homo; readout intensive; there are no forces or stresses to learn" in said
    assert json.loads(done.out)["errors"]["target"]["name"] == "gap"
    assert {path.name for path in Path("run").iterdir()} >= {"report", "model.pt"}
    assert load_model("run/model.pt").facts["errors"]["gap_mae"] > 0


def test_train_says_which_targets_there_are(hermtk, gaps: Path):
    assert "they have gap_Ha: choose one with --target" in hermtk("train", "--data", gaps, "--out", "a").err
    assert "They have gap_Ha" in hermtk("train", "--data", gaps, "--target", "homo", "--out", "b").err
    contradiction = hermtk(
        "train", "--data", gaps, "--target", "gap", "--out", "c", "--set", "model.readout=energy"
    )
    assert "it does not grow with the number of atoms, a sum over atoms does" in contradiction.err


def test_validate_says_the_target(hermtk, gaps: Path):
    Path("run.yaml").write_text(
        f"data: {{train: {gaps}, target: gap}}\nmodel: {{channels: 8, cutoff: 3.0}}\n"
    )
    done = hermtk("validate", "run.yaml")
    assert done.status == 0, done.err
    assert "gap (eV)" in done.out
    assert "with gap" in done.out
