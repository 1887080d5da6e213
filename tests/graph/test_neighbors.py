"""Neighbour lists against the obvious one, on cells of every shape."""

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from hermtk.graph.neighbors import Pairs, brute_force_pairs, neighbor_pairs

NONE = np.zeros(3, dtype=bool)
ALL = np.ones(3, dtype=bool)


def as_set(pairs: Pairs) -> set[tuple[int, ...]]:
    rows = np.column_stack([pairs.center, pairs.neighbor, pairs.shift])
    return set(map(tuple, rows.tolist()))


def lengths(pairs: Pairs, positions, cell):
    vectors = positions[pairs.neighbor] + pairs.shift @ cell - positions[pairs.center]
    return np.linalg.norm(vectors, axis=1)


@st.composite
def worlds(draw):
    """Positions, a cell of any shape and hand, and which directions repeat; atoms may stand outside the cell."""
    random = np.random.default_rng(draw(st.integers(0, 10**6)))
    atoms = draw(st.integers(1, 11))
    size = draw(st.sampled_from([1.3, 2.5, 4.0, 7.0]))
    cell = size * (np.eye(3) + draw(st.sampled_from([0.0, 0.3, 0.6])) * random.uniform(-1, 1, (3, 3)))
    if draw(st.booleans()):
        cell = cell[[1, 0, 2]]
    pbc = np.array(draw(st.tuples(st.booleans(), st.booleans(), st.booleans())))
    spread = draw(st.sampled_from([1.0, 3.0]))
    positions = random.uniform(-0.5 * spread, 0.5 + 0.5 * spread, (atoms, 3)) @ cell
    return positions, cell, pbc, draw(st.sampled_from([1.1, 2.3, 3.7]))


@settings(max_examples=80, deadline=None)
@given(worlds())
def test_neighbors_are_those_of_the_obvious_list(world):
    positions, cell, pbc, cutoff = world
    volume = abs(np.linalg.det(cell))
    assume(volume > 0.2 * np.prod(np.linalg.norm(cell, axis=1)))
    assume(len(positions) ** 2 * cutoff**3 / volume < 20_000)
    slow = brute_force_pairs(positions, cell, pbc, cutoff + 1e-9)
    assume(not (lengths(slow, positions, cell) > cutoff - 1e-9).any())
    assert as_set(neighbor_pairs(positions, cell, pbc, cutoff)) == as_set(slow)


@settings(max_examples=30, deadline=None)
@given(worlds())
@example(
    (np.array([[0.1, 0.2, 0.3]]), np.array([[0.0, 2.0, 0.1], [2.0, 0.3, 0.0], [0.2, 0.1, 2.0]]), ALL, 3.7)
)
def test_every_pair_stands_in_both_directions_once(world):
    pairs = neighbor_pairs(*world)
    found = as_set(pairs)
    assert len(found) == len(pairs.center)
    assert {(j, i, -a, -b, -c) for i, j, a, b, c in found} == found


@settings(max_examples=30, deadline=None)
@given(worlds())
def test_pairs_are_sorted_by_center_neighbor_and_shift(world):
    pairs = neighbor_pairs(*world)
    rows = np.column_stack([pairs.center, pairs.neighbor, pairs.shift]).tolist()
    assert rows == sorted(rows)


@settings(max_examples=30, deadline=None)
@given(worlds())
def test_only_directions_that_repeat_have_images(world):
    positions, cell, pbc, cutoff = world
    assert not neighbor_pairs(positions, cell, pbc, cutoff).shift[:, ~pbc].any()


@pytest.mark.parametrize(
    ("pbc", "missing"), [((True, True, False), 2), ((True, False, True), 1), ((False, False, True), 0)]
)
def test_a_direction_that_does_not_repeat_needs_no_cell_vector(pbc, missing):
    random = np.random.default_rng(4)
    cell = np.array([[3.1, 0.4, 0.0], [-0.7, 2.9, 0.3], [0.2, 0.5, 3.3]])
    for direction in range(3):
        if not pbc[direction] and (direction == missing or sum(pbc) == 1):
            cell[direction] = 0
    positions = random.uniform(0, 3, (4, 3))
    fast, slow = (f(positions, cell, np.array(pbc), 3.77) for f in (neighbor_pairs, brute_force_pairs))
    assert len(fast.center) > 20
    assert as_set(fast) == as_set(slow)


def test_without_periodicity_the_cell_does_not_matter():
    positions = np.array([[0.0, 0, 0], [1.0, 0, 0], [9.0, 0, 0]])
    with_cell = neighbor_pairs(positions, 10 * np.eye(3), NONE, 2.0)
    assert as_set(with_cell) == {(0, 1, 0, 0, 0), (1, 0, 0, 0, 0)}
    assert as_set(neighbor_pairs(positions, np.zeros((3, 3)), NONE, 2.0)) == as_set(with_cell)


@pytest.mark.parametrize(("cutoff", "count"), [(2.6, 12), (3.7, 18), (4.5, 42), (5.2, 54)])
def test_an_fcc_lattice_has_the_shells_it_should(cutoff, count):
    cell = 1.8 * np.array([[0.0, 1, 1], [1, 0, 1], [1, 1, 0]])
    assert len(neighbor_pairs(np.zeros((1, 3)), cell, ALL, cutoff).center) == count


def test_no_atoms_have_no_neighbors():
    pairs = neighbor_pairs(np.zeros((0, 3)), np.eye(3), ALL, 2.0)
    assert pairs.center.shape == pairs.neighbor.shape == (0,)
    assert pairs.shift.shape == (0, 3)
