"""`hermtk predict`: structures in, labelled structures out, whole or not at all."""

import json
from pathlib import Path

import pytest

from hermtk.data.dataset import read_structures
from hermtk.evaluation.evaluate import predict_structures
from hermtk.models.files import load_model

CRYSTAL = '2\nLattice="3.1 0 0 0.4 3.3 0 0 -0.2 3.5" pbc="T T T" group=a energy=7.0\nC 0 0 0\nO 1.4 1.5 1.6\n'


@pytest.mark.parametrize("suffix", [".extxyz", ".xyz", ".npz", ".traj"])
def test_every_structure_is_labelled_by_the_model(hermtk, model, data, suffix):
    shown = hermtk("predict", model, data, f"out{suffix}")
    assert (shown.status, shown.out) == (0, "")
    assert shown.err == f"wrote out{suffix}: 12 structures labelled by {model}\n"
    expected = predict_structures(load_model(model).potential, read_structures(data))
    for found, wanted in zip(read_structures(f"out{suffix}"), expected, strict=True):
        assert found.energy == pytest.approx(wanted.energy)
        assert found.forces == pytest.approx(wanted.forces, abs=1e-6)
        assert found.positions == pytest.approx(wanted.positions, abs=1e-6)


def test_crystals_get_a_stress_and_keep_what_is_no_label(hermtk, model, tmp_path):
    (tmp_path / "c.xyz").write_text(CRYSTAL)
    assert hermtk("predict", model, tmp_path / "c.xyz", "out.extxyz").status == 0
    (found,) = read_structures("out.extxyz")
    assert found.stress is not None
    assert found.energy != 7.0
    assert found.info["group"] == "a"


def test_what_was_predicted_is_reproduced_by_an_evaluation(hermtk, model, data):
    hermtk("predict", model, data, "out.extxyz")
    shown = hermtk("evaluate", model, "out.extxyz", "--json")
    assert json.loads(shown.out)["forces"]["max"] < 1e-5


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["MODEL", "DATA", "kept.extxyz"],
            "kept.extxyz exists: choose another file, or replace it with --force",
        ),
        (["MODEL", "DATA", "DATA", "--force"], "is the input; its labels would be lost"),
        (["MODEL", "DATA", "."], ". is a folder"),
        (["MODEL", "DATA", "nowhere/out.extxyz"], "there is no folder nowhere"),
        (["MODEL", "ALLOY", "out.extxyz"], "alloy.extxyz:0 holds Pd, Au; the model knows H, C, O"),
        (["nowhere.pt", "DATA", "out.extxyz"], "there is no model file nowhere.pt"),
        (["MODEL", "nowhere.xyz", "out.extxyz"], "there is no file nowhere.xyz"),
        (["MODEL", "DATA", "out.cif"], "labels would be lost in a file that ends in '.cif'"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(hermtk, model, data, alloy, arguments, said):
    Path("kept.extxyz").write_text("kept")
    before = data.read_bytes()
    names = {"MODEL": model, "DATA": data, "ALLOY": alloy}
    shown = hermtk("predict", *(names.get(a, a) for a in arguments))
    assert shown.status == 1
    assert said in shown.error
    assert [path.name for path in Path().iterdir()] == ["kept.extxyz"]
    assert Path("kept.extxyz").read_text() == "kept"
    assert data.read_bytes() == before


def test_force_replaces_the_file(hermtk, model, data):
    Path("kept.extxyz").write_text("kept")
    assert hermtk("predict", model, data, "kept.extxyz", "--force").status == 0
    assert len(read_structures("kept.extxyz")) == 12
