"""Elements, reference energies, scales."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hermtk.data.dataset import read_structures
from hermtk.data.statistics import (
    elements_of,
    energy_sd_per_atom,
    force_rms,
    given_references,
    isolated_references,
    reference_energies,
)
from hermtk.data.structure import Structure
from hermtk.errors import DataError, UnknownElement, UnknownName


def molecule(numbers, energy=None, forces=None):
    numbers = np.array(numbers)
    return Structure(numbers, np.arange(3.0 * len(numbers)).reshape(-1, 3), energy=energy, forces=forces)


def test_elements_are_those_that_occur_in_rising_order():
    assert elements_of([molecule([8, 1, 1]), molecule([6, 8]), molecule([1])]) == (1, 6, 8)


@given(hnp.arrays(np.float64, 3, elements=st.floats(-3e4, 3e4)), st.integers(0, 2**32))
def test_energies_made_of_atoms_give_the_atoms_back(atomic, seed):
    values = dict(zip((1, 6, 8), atomic.tolist(), strict=True))
    compositions = (
        np.random.default_rng(seed).integers(1, 9, (20, 3)) + np.eye(3, dtype=int)[np.arange(20) % 3] * 3
    )
    numbers = [np.repeat([1, 6, 8], counts) for counts in compositions]
    found = reference_energies([molecule(z, sum(values[k] for k in z.tolist())) for z in numbers], (1, 6, 8))
    assert found.rank == 3
    assert found.values == pytest.approx(values, abs=1e-9 * max(1.0, np.abs(atomic).max()))


@given(st.lists(st.floats(-1e5, 1e5), min_size=1, max_size=10))
def test_one_composition_gives_every_element_the_mean_per_atom(energies):
    found = reference_energies([molecule([6, 6, 8, 1, 1, 1], energy) for energy in energies], (1, 6, 8))
    assert found.rank == 1
    assert list(found.values.values()) == pytest.approx([np.mean(energies) / 6] * 3, abs=1e-9, rel=1e-12)


def test_left_open_means_nearest_to_the_mean_and_still_a_least_square():
    # H2O and (H2O)2 differ by size alone: rank 1; the total stays exact
    data = [molecule([1, 1, 8], -30.0), molecule([1, 1, 8, 1, 1, 8], -60.0)]
    found = reference_energies(data, (1, 8))
    assert found.rank == 1
    assert 2 * found.values[1] + found.values[8] == pytest.approx(-30.0, abs=1e-12)
    assert energy_sd_per_atom(data, found) == pytest.approx(0.0, abs=1e-12)


def test_least_squares_leave_residuals_that_no_composition_explains():
    rng = np.random.default_rng(0)
    data = [molecule(np.repeat([1, 8], rng.integers(1, 5, 2)), float(rng.normal())) for _ in range(30)]
    found = reference_energies(data, (1, 8))
    residuals = np.array([s.energy - sum(found.values[int(z)] for z in s.numbers) for s in data])
    for element in (1, 8):
        assert sum(residuals * [np.sum(s.numbers == element) for s in data]) == pytest.approx(0.0, abs=1e-10)


def test_structures_without_an_energy_do_not_count():
    with_energy = [molecule([1, 1], -2.0)]
    assert reference_energies([*with_energy, molecule([1])], (1,)).values == {1: -1.0}
    with pytest.raises(DataError, match="need structures with energies"):
        reference_energies([molecule([1])], (1,))


def test_an_element_outside_the_list_is_refused_by_name():
    with pytest.raises(UnknownElement, match="holds O; the elements are H, C"):
        reference_energies([molecule([1, 8], 0.0)], (1, 6))


def test_given_references_may_be_named_by_symbol_or_number():
    found = given_references({"H": -13.6, 8: -2041.0, "6": -1029.0, "Xe": 5.0}, (1, 6, 8))
    assert found.values == {1: -13.6, 6: -1029.0, 8: -2041.0}
    assert found.how == "given"


@pytest.mark.parametrize(
    ("values", "error", "words"),
    [
        ({"H": -13.6, "Ox": 1.0}, UnknownName, "no element named 'Ox'"),
        ({"H": -13.6, 119: 1.0}, UnknownName, "119"),
        ({"H": -13.6}, DataError, "no reference energy is given for O; given are H"),
        ({"H": -13.6, 1: -13.6, "O": 0.0}, DataError, "H is given twice"),
        ({"H": float("nan"), "O": 0.0}, DataError, "H is nan"),
    ],
)
def test_wrong_references_are_refused(values, error, words):
    with pytest.raises(error, match=words):
        given_references(values, (1, 8))


def test_the_force_scale_is_the_root_mean_square_of_the_components():
    forces = np.array([[3.0, 0.0, 0.0], [0.0, 4.0, 0.0]])
    assert force_rms([molecule([1, 1], forces=forces), molecule([1])]) == pytest.approx(
        np.sqrt(25 / 6), rel=1e-15
    )
    assert force_rms([molecule([1])]) is None


def test_the_energy_scale_ignores_what_the_references_explain(water):
    data = [replace(water, energy=-2079.5 + 3 * shift) for shift in (-0.2, 0.0, 0.2)]
    references = given_references({"H": -13.0, "O": -2040.0}, (1, 8))
    assert energy_sd_per_atom(data, references) == pytest.approx(np.std([-0.2, 0.0, 0.2]), rel=1e-10)
    assert energy_sd_per_atom([replace(water, energy=None)], references) is None


def test_four_metals_have_four_reference_energies_near_their_cohesive_ones(shared):
    data = read_structures(shared / "data/nbmotaw/train.npz")[::10]
    found = reference_energies(data, elements_of(data))
    assert found.rank == 4
    # PBE total energies per atom of the pure metals: Nb -10.1, Mo -10.9, Ta -11.9, W -13.0 eV
    assert list(found.values.values()) == pytest.approx([-10.1, -10.9, -11.9, -13.0], abs=0.5)


def atom(number: int, energy: float | None, **more) -> Structure:
    return Structure(np.array([number]), np.zeros((1, 3)), energy=energy, source=f"atom {number}", **more)


def test_isolated_atoms_give_the_references():
    crystal = atom(6, -9.0, cell=3 * np.eye(3), pbc=np.ones(3, dtype=bool))
    found = isolated_references(
        [atom(1, -13.6), crystal, atom(6, -1029.0), atom(1, -13.6), atom(8, None)], (1, 6)
    )
    assert (found.values, found.rank, found.how) == ({1: -13.6, 6: -1029.0}, 2, "isolated atoms")


def test_elements_without_an_isolated_atom_are_named():
    with pytest.raises(DataError, match="no isolated atom of C, O among"):
        isolated_references([atom(1, -13.6)], (1, 6, 8))


def test_isolated_atoms_that_differ_are_refused():
    with pytest.raises(DataError, match=r"isolated atom H has the energy -12.0 eV, another one -13.6"):
        isolated_references([atom(1, -13.6), atom(1, -12.0)], (1,))
