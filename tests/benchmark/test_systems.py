"""The systems of a benchmark: whole crystals of the elements asked for, the same in every run."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermtk.benchmark.systems import LATTICE, METALS, RATTLE, alloy, ethanols, structures
from hermtk.errors import DataError
from hermtk.graph.build import build_graph


@given(cells=st.integers(1, 30), data=st.data())
def test_an_alloy_holds_each_of_its_elements_equally_often(cells: int, data: st.DataObject):
    n = data.draw(st.integers(1, min(4 * cells, len(METALS))))
    system = alloy(4 * cells, n)
    (made,) = structures(system)
    kinds, counts = np.unique(made.numbers, return_counts=True)
    assert len(made) == 4 * cells
    assert set(kinds) == set(system.elements)
    assert np.ptp(counts) <= 1
    assert made.volume == pytest.approx(cells * LATTICE**3)


def test_every_atom_of_an_alloy_has_the_twelve_neighbors_of_fcc():
    (made,) = structures(alloy(32, 2))
    # between the first shell and the second, however far two atoms were moved
    graph = build_graph(made, (LATTICE / 2**0.5 + LATTICE) / 2)
    assert RATTLE * 3**0.5 < (LATTICE - LATTICE / 2**0.5) / 4
    assert graph.center.bincount().tolist() == [12] * 32


@pytest.mark.parametrize(
    ("atoms", "box"), [(32, (2, 2, 2)), (108, (3, 3, 3)), (72, (2, 3, 3)), (28, (1, 1, 7))]
)
def test_an_alloy_is_as_near_to_a_cube_as_its_cells_allow(atoms: int, box: tuple[int, int, int]):
    (made,) = structures(alloy(atoms, 1))
    assert sorted(np.diag(made.cell) / LATTICE) == pytest.approx(sorted(box))


def test_alloys_of_one_size_differ_in_their_elements_alone():
    two, five = (structures(alloy(32, n))[0] for n in (2, 5))
    assert np.array_equal(two.positions, five.positions)
    assert not np.array_equal(two.numbers, five.numbers)


def test_ethanols_are_moved_each_in_its_own_way():
    made = structures(ethanols(3))
    assert [sorted(s.numbers.tolist()) for s in made] == [[1] * 6 + [6, 6, 8]] * 3
    assert not np.array_equal(made[0].positions, made[1].positions)
    assert not any(s.pbc.any() for s in made)


@pytest.mark.parametrize("system", [alloy(12, 3), ethanols(2)])
def test_every_run_has_the_same_systems_and_labels(system):
    for one, other in zip(structures(system), structures(system), strict=True):
        assert np.array_equal(one.positions, other.positions)
        assert np.array_equal(one.numbers, other.numbers)
        assert one.energy == other.energy
        assert np.array_equal(one.forces, other.forces)


@pytest.mark.parametrize(
    ("atoms", "elements", "said"),
    [
        (30, 2, "30 atoms do not fill fcc cells of four: 28 or 32 do"),
        (0, 1, "0 atoms do not fill fcc cells of four: 4 or 8 do"),
        (400, 30, "1 to 29 elements, not of 30"),
        (400, 0, "1 to 29 elements, not of 0"),
        (4, 5, "4 atoms cannot be of 5 elements: 4 at most"),
    ],
)
def test_an_alloy_that_cannot_be_is_refused(atoms: int, elements: int, said: str):
    with pytest.raises(DataError, match=said):
        alloy(atoms, elements)


def test_a_batch_without_molecules_is_refused():
    with pytest.raises(DataError, match="one molecule at least, not 0"):
        ethanols(0)
