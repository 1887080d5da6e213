"""Models of properties: references, files, and what they are refused for."""

from pathlib import Path

import pytest
import torch

from hermtk.data.targets import ENERGY, TARGETS, Target
from hermtk.errors import ConfigError, HermtkError, ModelFileError
from hermtk.graph.build import build_graph
from hermtk.interfaces.ase import HermCalculator
from hermtk.models.build import build_model, readout_of
from hermtk.models.config import ModelConfig
from hermtk.models.files import load_model, save_model
from hermtk.models.property import Property
from hermtk.testing.structures import molecule
from property_world import CONFIG, CUTOFF, NAMES, REFERENCE, made, values


def test_a_sum_of_shares_is_its_references_where_the_network_is_silent():
    model = made("U0")
    with torch.no_grad():
        for weight in model.network.readout.parameters():
            weight.zero_()
    one = molecule()
    assert values(model, one).item() == pytest.approx(sum(REFERENCE[int(z)] for z in one.numbers), rel=1e-14)


def test_values_are_in_double_precision_whatever_the_network_s():
    model = made("gap").to(torch.float32)
    assert model.reference.dtype == torch.float64
    assert values(model, molecule()).dtype == torch.float64
    assert values(model, molecule()).item() == pytest.approx(values(made("gap"), molecule()).item(), rel=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_gives_the_model_back_with_its_target(name: str, tmp_path: Path):
    model = made(name)
    save_model(tmp_path / "model.pt", model, CONFIG, {"made": "now"})
    loaded = load_model(tmp_path / "model.pt")
    assert loaded.target == TARGETS[name]
    assert loaded.config.readout == readout_of(CONFIG, TARGETS[name])
    assert isinstance(loaded.model, Property)
    assert torch.equal(values(loaded.model, molecule()), values(model, molecule()))


def test_a_file_of_a_target_of_one_s_own_keeps_its_name_and_unit(tmp_path: Path):
    target = Target("melting_point", "K", names=("melting_point",))
    save_model(
        tmp_path / "model.pt",
        made(target, readout="intensive"),
        CONFIG.model_copy(update={"readout": "intensive"}),
    )
    assert load_model(tmp_path / "model.pt").target == target


def test_potentials_are_written_so_that_older_versions_read_them(tmp_path: Path):
    torch.manual_seed(0)
    save_model(tmp_path / "potential.pt", build_model(CONFIG, (1, 6)), CONFIG)
    save_model(tmp_path / "property.pt", made("gap"), CONFIG)
    content = {
        name: torch.load(tmp_path / f"{name}.pt", weights_only=True) for name in ("potential", "property")
    }
    assert (content["potential"]["format"], content["property"]["format"]) == (1, 2)
    assert "target" not in content["potential"]
    assert content["potential"]["config"]["readout"] == "energy"
    assert load_model(tmp_path / "potential.pt").target == ENERGY


def test_a_calculator_says_that_a_property_moves_no_atoms(tmp_path: Path):
    save_model(tmp_path / "model.pt", made("homo"), CONFIG)
    with pytest.raises(ModelFileError, match=r"gives homo \(eV\), not the energy: it has no forces"):
        HermCalculator(tmp_path / "model.pt")


def test_a_damaged_probe_is_noticed(tmp_path: Path):
    save_model(tmp_path / "model.pt", made("r2"), CONFIG)
    content = torch.load(tmp_path / "model.pt", weights_only=True)
    content["weights"]["scale"] *= 1.5
    torch.save(content, tmp_path / "model.pt")
    with pytest.raises(ModelFileError, match="no longer gives"):
        load_model(tmp_path / "model.pt")


@pytest.mark.parametrize(
    ("name", "readout"),
    [
        ("mu", "dipole"),
        ("r2", "extent"),
        ("homo", "intensive"),
        ("U0", "energy"),
        ("cv", "energy"),
        ("energy", "energy"),
    ],
)
def test_the_target_chooses_its_readout(name: str, readout: str):
    assert readout_of(ModelConfig(), TARGETS.get(name, ENERGY)) == readout


@pytest.mark.parametrize(
    ("name", "readout", "reason"),
    [
        ("U0", "intensive", "it grows with the number of atoms, a mean over atoms does not"),
        ("gap", "energy", "it does not grow with the number of atoms, a sum over atoms does"),
        ("mu", "energy", "the dipoles of atoms have directions"),
        ("energy", "dipole", "reads a property of whole structures, and the target is the energy"),
    ],
)
def test_a_readout_that_contradicts_the_target_is_refused_with_the_reason(
    name: str, readout: str, reason: str
):
    with pytest.raises(ConfigError, match=reason):
        readout_of(ModelConfig(readout=readout), TARGETS.get(name, ENERGY))


def test_a_target_nobody_knows_needs_a_readout():
    with pytest.raises(
        ConfigError, match=r"set model\.readout to energy \(a sum over atoms\) or to intensive"
    ):
        readout_of(ModelConfig(), Target("colour"))
    assert readout_of(ModelConfig(readout="energy"), Target("colour")) == "energy"


def test_what_belongs_to_energies_alone_is_refused():
    with pytest.raises(ConfigError, match=r"model\.zbl is a repulsion energy"):
        made("alpha", zbl=True)
    with pytest.raises(ConfigError, match="reads a property of whole structures"):
        build_model(CONFIG.model_copy(update={"readout": "extent"}), (1, 6))


def test_a_readout_of_whole_structures_gets_them_one_at_a_time(monkeypatch: pytest.MonkeyPatch):
    model = made("U0")
    monkeypatch.setattr(type(model.network.readout), "whole", True)
    with pytest.raises(HermtkError, match="one at a time"):
        model(build_graph([molecule(), molecule()], CUTOFF))
