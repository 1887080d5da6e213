import copy
import json
import pickle

import numpy as np
import pytest
import torch
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress
from ase.filters import FrechetCellFilter
from ase.io import read, write
from ase.md.verlet import VelocityVerlet
from ase.optimize import BFGS
from hypothesis import given, settings
from hypothesis import strategies as st

from hermtk.data.atoms import to_atoms
from hermtk.errors import DataError, HermtkError, ModelFileError, UnknownElement
from hermtk.graph.build import build_graph
from hermtk.interfaces import ase as interface
from hermtk.interfaces.ase import HermCalculator
from hermtk.models.build import build_model
from hermtk.models.config import ModelConfig
from hermtk.models.files import save_model
from hermtk.models.variants import VARIANTS
from hermtk.physics.derivatives import predict
from hermtk.testing.structures import ALLOY, ORGANIC, crystal, left_handed, sheared
from hermtk.testing.subject import CUTOFF, Subject

ORGANIC_MODEL = Subject("painn", "hvnet").make(ORGANIC)


def calculator(**kwargs) -> HermCalculator:
    return HermCalculator(ORGANIC_MODEL, **kwargs)


def with_model(atoms: Atoms) -> Atoms:
    atoms.calc = calculator()
    return atoms


def ethanol() -> Atoms:
    return with_model(molecule("CH3CH2OH"))


def rattled_crystal(change=None) -> Atoms:
    structure = crystal()
    return with_model(to_atoms(change(structure) if change else structure))


CELLS = pytest.mark.parametrize(
    "change", [None, sheared, left_handed], ids=["plain", "skewed", "left-handed"]
)


def test_results_are_those_of_predict():
    atoms = rattled_crystal()
    graph = build_graph(crystal(), CUTOFF)
    expected = predict(ORGANIC_MODEL, graph, stress=True)
    s = expected.stress[0].detach().numpy()
    assert atoms.get_potential_energy() == pytest.approx(expected.energy.item(), abs=1e-12)
    np.testing.assert_allclose(atoms.get_potential_energies(), expected.energies.numpy(), atol=1e-12)
    np.testing.assert_allclose(atoms.get_forces(), expected.forces.numpy(), atol=1e-12)
    voigt = [s[0, 0], s[1, 1], s[2, 2], s[1, 2], s[0, 2], s[0, 1]]
    np.testing.assert_allclose(atoms.get_stress(), voigt, atol=1e-12)


def test_atoms_shares_add_up_to_the_energy_and_the_free_energy_is_the_energy():
    atoms = ethanol()
    energy = atoms.get_potential_energy()
    assert atoms.get_potential_energies().sum() == pytest.approx(energy, abs=1e-10)
    assert atoms.get_potential_energy(force_consistent=True) == energy


def test_forces_are_the_slope_of_the_energy():
    atoms = ethanol()
    forces = atoms.get_forces()
    assert abs(forces).max() > 0.1
    np.testing.assert_allclose(forces, calculate_numerical_forces(atoms, eps=1e-5), atol=1e-7)


@CELLS
def test_stress_is_the_slope_of_the_energy_under_strain(change):
    atoms = rattled_crystal(change)
    stress = atoms.get_stress()
    assert abs(stress).max() > 1e-3
    np.testing.assert_allclose(stress, calculate_numerical_stress(atoms, eps=1e-5), atol=1e-8)


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_alloy_cell_smaller_than_the_cutoff_equals_its_supercell(variant):
    cell = bulk("Ni", "fcc", a=3.6, cubic=True)
    cell.numbers = ALLOY[:4]
    cell.rattle(0.1, seed=0)
    assert min(cell.cell.lengths()) < CUTOFF
    cell.calc = HermCalculator(Subject("painn", variant).make(ALLOY))
    large = cell.repeat(3)
    large.calc = cell.calc
    energies, forces, stress = cell.get_potential_energies(), cell.get_forces(), cell.get_stress()
    assert large.get_potential_energy() / 108 == pytest.approx(energies.sum() / 4, abs=1e-9)
    np.testing.assert_allclose(large.get_potential_energies(), np.tile(energies, 27), atol=1e-9)
    np.testing.assert_allclose(large.get_forces(), np.tile(forces, (27, 1)), atol=1e-9)
    np.testing.assert_allclose(large.get_stress(), stress, atol=1e-9)


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(-3, 3), min_size=9, max_size=9))
def test_wrapping_atoms_into_the_cell_changes_nothing(turns):
    atoms = rattled_crystal()
    moved = with_model(atoms.copy())
    moved.positions += np.reshape(turns, (3, 3)) @ atoms.cell.array
    assert moved.get_potential_energy() == pytest.approx(atoms.get_potential_energy(), abs=1e-9)
    np.testing.assert_allclose(moved.get_forces(), atoms.get_forces(), atol=1e-9)
    np.testing.assert_allclose(moved.get_stress(), atoms.get_stress(), atol=1e-9)


def test_nothing_is_computed_twice(monkeypatch):
    calls = []
    monkeypatch.setattr(interface, "predict", lambda *a, **k: calls.append(1) or predict(*a, **k))
    atoms = rattled_crystal()
    atoms.get_forces()
    atoms.get_potential_energy()
    atoms.get_stress()
    atoms.get_potential_energies()
    atoms.set_initial_charges([0.5, 0.0, -0.5])
    atoms.get_potential_energy()
    atoms.calc.get_forces(atoms.copy())
    assert len(calls) == 1


def _move(atoms: Atoms) -> None:
    atoms.positions[0, 0] += 1e-3


def _exchange(atoms: Atoms) -> None:
    atoms.numbers = atoms.numbers[[1, 0, 2]]


def _stretch(atoms: Atoms) -> None:
    atoms.set_cell(atoms.cell.array * 1.01)


def _open(atoms: Atoms) -> None:
    atoms.pbc = [True, True, False]


@pytest.mark.parametrize("change", [_move, _exchange, _stretch, _open])
def test_every_change_that_counts_is_seen(change):
    atoms = rattled_crystal()
    before = atoms.get_potential_energy()
    change(atoms)
    fresh = with_model(atoms.copy())
    assert abs(atoms.get_potential_energy() - before) > 1e-6
    assert atoms.get_potential_energy() == pytest.approx(fresh.get_potential_energy(), abs=1e-12)
    np.testing.assert_allclose(atoms.get_forces(), fresh.get_forces(), atol=1e-12)


def test_results_given_away_are_not_the_calculators_own():
    atoms = ethanol()
    atoms.get_forces()[:] = 0
    assert abs(atoms.get_forces()).max() > 0.1


def test_stress_of_a_molecule_is_refused_before_anything_is_computed(monkeypatch):
    monkeypatch.setattr(interface, "predict", lambda *a, **k: pytest.fail("computed"))
    with pytest.raises(PropertyNotImplementedError, match="three cell vectors, these atoms have 0"):
        ethanol().get_stress()


def test_a_slab_without_a_third_cell_vector_has_forces_and_no_stress():
    atoms = with_model(bulk("C", "fcc", a=3.6).repeat((2, 2, 1)))
    atoms.cell[2] = 0
    atoms.pbc = [True, True, False]
    assert atoms.get_forces().shape == (4, 3)
    assert "stress" not in atoms.calc.results
    with pytest.raises(PropertyNotImplementedError):
        atoms.get_stress()


def test_properties_a_model_does_not_have_are_refused():
    with pytest.raises(PropertyNotImplementedError):
        ethanol().get_dipole_moment()


def test_an_element_the_model_lacks_is_refused_by_name():
    atoms = with_model(Atoms("COSi", [[0, 0, 0], [1.2, 0, 0], [0, 1.5, 0]]))
    with pytest.raises(UnknownElement, match="knows the elements O, H, C; the structure holds Si"):
        atoms.get_potential_energy()
    atoms.symbols[2] = "H"
    assert np.isfinite(atoms.get_potential_energy())


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_positions_that_are_no_numbers_are_refused(value):
    atoms = ethanol()
    atoms.positions[3, 1] = value
    with pytest.raises(DataError, match="position of atom 3 \\(H\\) is not finite"):
        atoms.get_forces()


def test_periodic_without_a_cell_is_refused():
    atoms = ethanol()
    atoms.pbc = True
    with pytest.raises(DataError, match="periodic along a"):
        atoms.get_forces()


def test_two_atoms_at_one_place_are_refused():
    atoms = ethanol()
    atoms.positions[4] = atoms.positions[1]
    with pytest.raises(DataError, match="at one place"):
        atoms.get_forces()


def test_no_atoms_have_no_energy():
    atoms = with_model(Atoms())
    assert atoms.get_potential_energy() == 0.0
    assert atoms.get_potential_energies().shape == (0,)
    assert atoms.get_forces().shape == (0, 3)


def test_a_lone_atom_has_no_force():
    atoms = with_model(Atoms("O", [[0.1, 0.2, 0.3]]))
    assert np.isfinite(atoms.get_potential_energy())
    np.testing.assert_array_equal(atoms.get_forces(), np.zeros((1, 3)))


def test_a_calculator_without_atoms_says_so():
    with pytest.raises(HermtkError, match="no atoms"):
        calculator().get_potential_energy()


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))])
def test_copies_and_pickles_give_the_same(duplicate):
    atoms = rattled_crystal()
    forces = atoms.get_forces()
    twin = atoms.copy()
    twin.calc = duplicate(atoms.calc)
    twin.calc.reset()
    np.testing.assert_array_equal(twin.get_forces(), forces)
    assert twin.calc.parameters == atoms.calc.parameters


def test_a_potential_given_is_left_as_it_was_and_later_changes_do_not_count():
    potential = Subject("painn").make(ORGANIC).train()
    atoms = molecule("CH3CH2OH")
    atoms.calc = HermCalculator.from_potential(potential)
    before = atoms.get_potential_energy()
    assert potential.training
    assert all(weight.requires_grad for weight in potential.parameters())
    with torch.no_grad():
        potential.scale.mul_(2)
    atoms.calc.reset()
    assert atoms.get_potential_energy() == before


def test_parameters_say_which_model_it_is():
    assert calculator().name == "hermtk"
    parameters = calculator().todict()
    assert parameters["elements"] == ["O", "H", "C"]
    assert parameters["cutoff"] == CUTOFF
    assert parameters["dtype"] == "float64"
    assert parameters["device"] == "cpu"
    json.dumps(parameters)


def test_parameters_cannot_be_set_later():
    with pytest.raises(HermtkError, match="cutoff cannot be set"):
        calculator().set(cutoff=7.0)


def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(HermtkError, match="'nonsense'"):
        calculator(device="nonsense")


def test_a_model_file_gives_what_was_saved(tmp_path):
    config = ModelConfig(channels=8, layers=2, cutoff=4.0, n_basis=5, variant="hpnet")
    potential = build_model(config, ORGANIC, reference=dict.fromkeys(ORGANIC, -3.0), scale=0.7)
    path = tmp_path / "model.pt"
    save_model(path, potential, config)
    atoms = molecule("CH3CH2OH")
    atoms.calc = HermCalculator(path)
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    assert forces.dtype == np.float64
    assert atoms.calc.parameters["model"] == str(path)
    assert (atoms.calc.parameters["subnet"], atoms.calc.parameters["variant"]) == ("painn", "hpnet")
    atoms.calc = HermCalculator.from_potential(potential)
    assert atoms.get_potential_energy() == energy
    np.testing.assert_array_equal(atoms.get_forces(), forces)


def test_a_model_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ModelFileError, match=r"nowhere\.pt"):
        HermCalculator(tmp_path / "nowhere.pt")


def test_ase_writes_the_results_and_reads_them_back(tmp_path):
    atoms = rattled_crystal()
    forces, stress = atoms.get_forces(), atoms.get_stress()
    write(tmp_path / "crystal.traj", atoms)
    again = read(tmp_path / "crystal.traj")
    assert again.get_potential_energy() == atoms.get_potential_energy()
    np.testing.assert_array_equal(again.get_forces(), forces)
    np.testing.assert_array_equal(again.get_stress(), stress)


def test_a_cluster_relaxes():
    atoms = ethanol()
    start = atoms.get_potential_energy()
    BFGS(atoms, logfile=None, maxstep=0.05).run(fmax=1e-3, steps=5)
    assert atoms.get_potential_energy() < start - 1e-3


def test_a_crystal_relaxes_with_its_cell():
    atoms = rattled_crystal()
    start, cell = atoms.get_potential_energy(), atoms.cell.array.copy()
    BFGS(FrechetCellFilter(atoms), logfile=None, maxstep=0.05).run(fmax=1e-3, steps=5)
    assert atoms.get_potential_energy() < start - 1e-3
    assert abs(atoms.cell.array - cell).max() > 1e-3


def test_dynamics_conserves_energy_to_second_order_in_the_time_step():
    coarse, fine = energy_change(timestep=0.5, steps=20), energy_change(timestep=0.25, steps=40)
    assert coarse < 0.03
    assert coarse / fine == pytest.approx(4, rel=0.2)


def energy_change(timestep: float, steps: int) -> float:
    """The largest change of the total energy on the way, eV."""
    atoms = ethanol()
    # random weights bind far more tightly than bonds do
    atoms.set_masses([100.0] * 9)
    atoms.set_velocities(0.01 * np.random.default_rng(0).normal(size=(9, 3)))
    energies = []
    dynamics = VelocityVerlet(atoms, timestep=timestep * units.fs)
    dynamics.attach(lambda: energies.append(atoms.get_total_energy()))
    dynamics.run(steps)
    return float(np.ptp(energies))
