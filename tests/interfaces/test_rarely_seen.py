"""What a model's training hardly saw is said once, by the calculator and by the commands."""

import json
import pickle
import warnings

import pytest
import torch
from ase.build import molecule

from audit_world import molecules
from hermtk.audit.coverage import Coverage
from hermtk.audit.views import views
from hermtk.data.dataset import write_structures
from hermtk.errors import RarelySeen
from hermtk.interfaces.ase import HermCalculator
from hermtk.models.build import build_model
from hermtk.models.config import ModelConfig
from hermtk.models.files import load_model, save_model
from hermtk_cli.main import run

CUTOFF = 3.0


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Of 60 ethanols: it has seen no oxygen near another."""
    covered = Coverage()
    for _, _, seen in views({"": molecules(60)}, CUTOFF):
        covered.add(seen.structure.numbers, seen.center, seen.neighbor)
    config = ModelConfig(variant="htnet", channels=4, layers=1, n_basis=4, cutoff=CUTOFF)
    with torch.random.fork_rng(devices=[]):
        potential = build_model(config, (1, 6, 8)).eval()
    path = tmp_path_factory.mktemp("seen") / "model.pt"
    save_model(path, potential, config, {"coverage": covered.edges(potential.table), "seen": covered.facts()})
    return path


def test_the_calculator_warns_once_with_relation_and_count(model):
    calculator = HermCalculator(model)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        molecule("CH3CH2OH", calculator=calculator).get_potential_energy()
    acid = molecule("HCOOH", calculator=calculator)
    with pytest.warns(RarelySeen, match=r"fewer than 100 times: .*C-O-O \(0\)"):
        acid.get_forces()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        acid.rattle(0.01)
        acid.get_forces()
        molecule("H2O2", calculator=calculator).get_potential_energy()


def test_a_copy_of_the_calculator_warns_too(model):
    copied = pickle.loads(pickle.dumps(HermCalculator(model)))
    with pytest.warns(RarelySeen):
        molecule("H2O2", calculator=copied).get_potential_energy()


def test_a_potential_in_memory_has_nothing_to_say(model):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        calculator = HermCalculator.from_potential(load_model(model).potential)
        molecule("H2O2", calculator=calculator).get_potential_energy()


def test_commands_say_it_in_a_line(model, tmp_path, capsys):
    write_structures(tmp_path / "acid.extxyz", molecules(3, name="HCOOH"))
    write_structures(tmp_path / "ethanol.extxyz", molecules(3, 5))
    assert run(["predict", str(model), str(tmp_path / "acid.extxyz"), str(tmp_path / "out.extxyz")]) == 0
    said = "the model's training saw fewer than 100 times what these structures use: "
    assert said in capsys.readouterr().err
    assert run(["evaluate", str(model), str(tmp_path / "acid.extxyz"), "--json"]) == 0
    shown = capsys.readouterr()
    assert said in shown.err
    assert json.loads(shown.out)["rarely_seen"]["C-O-O"] == 0
    assert run(["evaluate", str(model), str(tmp_path / "ethanol.extxyz"), "--json"]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    assert "rarely_seen" not in json.loads(shown.out)


def test_show_names_the_least_seen(model, capsys):
    assert run(["show", str(model)]) == 0
    shown = capsys.readouterr().out
    assert "least seen" in shown
    assert "(0)" in shown
    assert "structures pairs" not in shown
    assert run(["show", str(model), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert 0 in found["poorest"].values()
    assert found["facts"]["seen"]["structures"] == 60
