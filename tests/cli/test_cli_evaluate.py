"""`hermtk evaluate`: numbers, pictures, and errors before anything is written."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from hermtk.data.dataset import read_structures
from hermtk.data.sources import NAMED
from hermtk.evaluation.evaluate import evaluate
from hermtk.models.files import load_model


class Runs:
    """Runs code when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return Path.touch, (self.trace,)


def test_the_numbers_are_those_of_the_library(hermtk, model, data):
    shown = hermtk("evaluate", model, data, "--json")
    assert (shown.status, shown.err) == (0, "")
    found = json.loads(shown.out)
    expected = evaluate(load_model(model).potential, read_structures(data)).summary()
    assert found == {"model": str(model), "data": str(data), **expected}
    assert set(found["elements"]) == {"H", "C", "O"}


def test_batches_do_not_change_the_numbers(hermtk, model, data):
    one, many = (
        json.loads(hermtk("evaluate", model, data, "--json", "--batch-size", n).out) for n in (1, 64)
    )
    assert one["forces"]["mae"] == pytest.approx(many["forces"]["mae"], rel=1e-5)


def test_the_table_names_quantities_elements_and_units(hermtk, model, data):
    shown = hermtk("evaluate", model, data, "--out", "there")
    assert shown.status == 0
    for text in (
        "energy per atom",
        "forces",
        "on H",
        "on C",
        "on O",
        "meV/Å",
        "12 structures",
        "largest force error",
    ):
        assert text in shown.out
    assert "stress" not in shown.out
    assert "wrote there/parity.png and there/results.json" in shown.err


def test_results_and_picture_go_beside_the_model_unless_told_otherwise(hermtk, model, data):
    assert hermtk("evaluate", model, data).status == 0
    folder = model.parent / "evaluation-clusters"
    assert {path.name for path in folder.iterdir()} == {"parity.png", "results.json"}
    assert (folder / "parity.png").read_bytes()[:4] == b"\x89PNG"
    assert json.loads((folder / "results.json").read_text())["structures"] == 12


def test_json_alone_writes_no_file(hermtk, model, data, unchanged):
    assert hermtk("evaluate", model, data, "--json").status == 0
    assert unchanged()
    assert hermtk("evaluate", model, data, "--json", "--out", "deep/er").status == 0
    assert sorted(path.name for path in Path("deep/er").iterdir()) == ["parity.png", "results.json"]


def test_the_folder_of_a_run_stands_for_its_model(hermtk, models, data):
    assert json.loads(hermtk("evaluate", models, data, "--json").out)["model"] == str(models / "model.pt")


def test_builtin_stands_for_the_embedded_set_unless_a_file_has_that_name(hermtk, model, data, monkeypatch):
    monkeypatch.setitem(NAMED, "builtin", lambda: data)
    assert json.loads(hermtk("evaluate", model, "builtin", "--json").out)["structures"] == 12
    Path("builtin").write_text("1\nenergy=-3.0\nH 0 0 0\n")
    shown = hermtk("evaluate", model, "builtin", "--format", "extxyz", "--json")
    assert json.loads(shown.out)["structures"] == 1


def test_units_may_be_declared(hermtk, model, data):
    plain, scaled = (
        json.loads(hermtk("evaluate", model, data, "--json", *more).out)
        for more in ([], ["--energy-unit", "meV"])
    )
    true = np.mean([s.energy for s in read_structures(data)])
    off = plain["energy"]["mean"] + true - 1e-3 * true
    assert scaled["energy"]["mean"] == pytest.approx(off)


def test_missing_labels_are_said(hermtk, model, tmp_path):
    path = tmp_path / "some.extxyz"
    path.write_text("1\nenergy=-3.0\nH 0 0 0\n1\nname=bare\nO 0 0 0\n")
    shown = hermtk("evaluate", model, path)
    assert "Not counted, of 2 structures: 1 without energy, 2 without forces." in shown.out
    assert "1 of 2" in shown.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.pt", "DATA"], "there is no model file nowhere.pt"),
        (["MODEL", "nowhere.xyz"], "there is no file nowhere.xyz"),
        ([".", "DATA"], "the folder . holds no model.pt"),
        (["DATA", "DATA"], "clusters.extxyz"),
        (["MODEL", "DATA", "--device", "warp"], "the device 'warp' cannot be used here"),
        (["MODEL", "DATA", "--energy-unit", "kcal"], "no energy unit named 'kcal'. Did you mean 'kcal/mol'?"),
        (["MODEL", "DATA", "--format", "xyz"], "no format named 'xyz'. Did you mean 'extxyz'?"),
        (["MODEL", "ALLOY"], "alloy.extxyz:0 holds Pd, Au; the model knows H, C, O"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(hermtk, model, data, alloy, unchanged, arguments, said):
    names = {"MODEL": model, "DATA": data, "ALLOY": alloy}
    shown = hermtk("evaluate", *(names.get(a, a) for a in arguments), "--out", "there")
    assert shown.status == 1
    assert said in shown.error
    assert unchanged()
    assert not Path("there").exists()


def test_data_without_any_label_are_refused(hermtk, model, tmp_path):
    (tmp_path / "bare.xyz").write_text("1\n\nH 0 0 0\n")
    shown = hermtk("evaluate", model, tmp_path / "bare.xyz")
    assert shown.status == 1
    assert "has no energies, forces or stresses to compare with; `hermtk predict`" in shown.error


def test_a_file_in_the_place_of_the_folder_is_refused(hermtk, model, data, unchanged):
    shown = hermtk("evaluate", model, data, "--out", data)
    assert (shown.status, shown.error) == (1, f"{data} is a file; --out names a folder")
    assert unchanged()


def test_a_model_file_that_tries_to_run_code_runs_none(hermtk, data, tmp_path):
    trace = tmp_path / "ran"
    for name, write in (("plain.pt", _pickled), ("zipped.pt", torch.save)):
        write({"magic": "hermtk model", "weights": Runs(trace)}, tmp_path / name)
        shown = hermtk("evaluate", tmp_path / name, data)
        assert shown.status == 1
        assert "could run code" in shown.error
        assert not trace.exists()


def test_a_model_of_a_newer_format_is_refused(hermtk, model, data, tmp_path):
    content = torch.load(model, weights_only=True)
    torch.save({**content, "format": 99, "version": "9.1"}, tmp_path / "new.pt")
    shown = hermtk("evaluate", tmp_path / "new.pt", data)
    assert shown.status == 1
    assert "has format 99 (hermtk 9.1)" in shown.error
    assert "upgrade hermtk" in shown.error


def _pickled(content: object, path: Path) -> None:
    path.write_bytes(pickle.dumps(content, protocol=2))
