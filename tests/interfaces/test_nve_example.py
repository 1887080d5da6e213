import csv
import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from ase.build import bulk, molecule
from ase.io import write

from hermtk.models.build import build_model
from hermtk.models.config import ModelConfig
from hermtk.models.files import save_model

SCRIPT = Path(__file__).parents[2] / "docs" / "examples" / "nve.py"


@pytest.fixture(scope="module")
def example():
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("nve_example", SCRIPT)
    module = sys.modules["nve_example"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules["nve_example"]


@pytest.fixture
def arguments(tmp_path) -> list[str]:
    """A small random model, an ethanol molecule, 50 steps."""
    config = ModelConfig(channels=8, layers=1, cutoff=3.0, n_basis=4)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        save_model(tmp_path / "model.pt", build_model(config, (1, 6, 8), scale=3.0), config)
    write(tmp_path / "start.extxyz", molecule("CH3CH2OH"))
    return [
        f"{tmp_path / 'model.pt'}",
        f"--data={tmp_path / 'start.extxyz'}",
        f"--out={tmp_path / 'out'}",
        "--steps=50",
    ]


def test_it_records_and_draws_a_run(example, arguments, tmp_path, capsys):
    assert example.main(arguments) == 0
    rows = list(csv.DictReader((tmp_path / "out" / "energy.csv").read_text().splitlines()))
    assert [float(row["time_fs"]) for row in rows] == [0, 5, 10, 15, 20, 25]
    total = [float(row["total_eV"]) for row in rows]
    parts = [float(row["potential_eV"]) + float(row["kinetic_eV"]) for row in rows]
    assert total == parts
    assert np.ptp(total) < 0.01
    assert float(rows[0]["temperature_K"]) == pytest.approx(300)
    assert (tmp_path / "out" / "energy.png").read_bytes().startswith(b"\x89PNG")
    assert "eV/atom/ps" in capsys.readouterr().out


def test_the_whole_neither_moves_nor_turns_at_the_start(example, arguments):
    atoms = example.start(example.parse(arguments))
    np.testing.assert_allclose(atoms.get_momenta().sum(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(atoms.get_angular_momentum(), 0, atol=1e-9)


@pytest.mark.parametrize(
    ("atoms", "freedom"),
    [(molecule("CH3CH2OH"), 21), (molecule("CO2"), 4), (molecule("H"), 0), (bulk("Cu", cubic=True), 9)],
    ids=["bent", "linear", "lone", "periodic"],
)
def test_degrees_of_freedom_leave_out_the_motion_of_the_whole(example, atoms, freedom):
    assert example.freedom(atoms) == freedom


def test_the_summary_finds_drift_fluctuation_and_jump(example):
    time = np.arange(0.0, 1000.0, 5.0)
    energy = 2e-6 * time + 1e-3 * np.where(np.arange(200) % 2, 1, -1)
    summary = example.summarise(records(example, time, energy), 4)
    assert summary.drift == pytest.approx(2e-3 / 4, rel=0.1)
    assert summary.rms == pytest.approx(1e-3 / 4, rel=0.01)
    energy[101:] += 0.02
    assert example.summarise(records(example, time, energy), 4).jump == pytest.approx(0.022 / 4, rel=0.01)


def records(example, time, energy):
    return [example.Record(t, e, 0.0, 0.0) for t, e in zip(time, energy, strict=True)]


def test_what_goes_wrong_is_said_in_one_paragraph(example, arguments, capsys):
    assert example.main(["nowhere.pt", *arguments[1:]]) == 1
    assert "no model file nowhere.pt" in capsys.readouterr().out


def test_a_run_that_cannot_go_on_keeps_its_records(example, arguments, tmp_path, monkeypatch, capsys):
    def simulate(*_):
        records = [example.Record(5.0 * k, 0.0, 1.0, 300.0) for k in range(4)]
        return records, "the position of atom 3 (H) is not finite"

    monkeypatch.setattr(example, "simulate", simulate)
    assert example.main(arguments) == 1
    assert "stopped after 15 fs" in capsys.readouterr().out
    assert len((tmp_path / "out" / "energy.csv").read_text().splitlines()) == 5
