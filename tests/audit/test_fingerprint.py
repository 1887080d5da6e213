"""Fingerprints: the same for the same geometry however it is written, another for another."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit_world import crystals, molecules, repeated, turned
from hermtk.audit.fingerprint import composition_key, copy_key, fingerprint, unlikeness
from hermtk.audit.views import MOST_DENSE, view
from hermtk.data.structure import Structure

SEEDS = st.integers(0, 2**31)


@st.composite
def structures(draw) -> Structure:
    """A few atoms of any elements, in empty space or in a skewed cell with some directions that repeat."""
    rng = np.random.default_rng(draw(SEEDS))
    n = draw(st.integers(1, 8))
    cell = np.diag(rng.uniform(3.0, 6.0, 3)) + rng.uniform(-0.8, 0.8, (3, 3))
    pbc = np.array(draw(st.tuples(st.booleans(), st.booleans(), st.booleans())))
    numbers = rng.choice([1, 6, 29, 118], n)
    return Structure(numbers, rng.uniform(0, 5, (n, 3)), cell if pbc.any() else np.zeros((3, 3)), pbc)


def prints(s: Structure) -> np.ndarray:
    return fingerprint(view(s, 5.0))


@settings(deadline=None, max_examples=60)
@given(structures(), SEEDS, st.booleans())
def test_turning_mirroring_moving_and_renumbering_change_nothing(s, seed, mirror):
    other = turned(s, seed, mirror)
    assert np.allclose(prints(s), prints(other), rtol=0, atol=1e-8)
    assert unlikeness(view(s, 5.0), view(other, 5.0)) < 1e-8
    assert composition_key(s) == composition_key(other)


@settings(deadline=None, max_examples=40)
@given(structures(), SEEDS, st.tuples(*[st.integers(1, 2)] * 3))
def test_a_supercell_wrapped_elsewhere_is_its_cell(s, seed, times):
    times = np.where(s.pbc, times, 1)
    large = repeated(s, tuple(times.tolist()))
    rng = np.random.default_rng(seed)
    shifts = np.where(s.pbc, rng.integers(-3, 4, (len(large), 3)), 0)
    large = replace(large, positions=large.positions + shifts @ large.cell)
    assert np.allclose(prints(s), prints(large), rtol=0, atol=1e-8)
    assert unlikeness(view(s, 5.0), view(large, 5.0)) < 1e-8
    assert composition_key(s) == composition_key(large)


@settings(deadline=None, max_examples=40)
@given(structures(), SEEDS)
def test_a_small_move_changes_it_a_little(s, seed):
    moved = replace(
        s, positions=s.positions + np.random.default_rng(seed).normal(scale=1e-6, size=(len(s), 3))
    )
    assert np.abs(prints(moved) - prints(s)).max() < 1e-3


@pytest.mark.parametrize("n", [2, 9])
def test_another_geometry_has_another_one(n):
    one, two = (replace(s, forces=None) for s in molecules(2))
    if n == 2:
        one, two = (
            replace(s, numbers=s.numbers[:2], positions=s.positions[:2] * f)
            for s, f in ((one, 1), (one, 1.05))
        )
    assert np.abs(prints(one) - prints(two)).max() > 5e-3
    assert unlikeness(view(one, 5.0), view(two, 5.0)) > 0.02


def test_exchanged_elements_are_another_structure():
    one = molecules(1)[0]
    o, c = 2, 0
    numbers = one.numbers.copy()
    numbers[[o, c]] = numbers[[c, o]]
    two = replace(one, numbers=numbers)
    assert composition_key(one) == composition_key(two)
    assert np.abs(prints(one) - prints(two)).max() > 1e-2
    assert unlikeness(view(one, 5.0), view(two, 5.0)) > 0.1


def test_molecules_beyond_the_cutoff_of_each_other_are_told_apart():
    water = replace(molecules(1, name="H2O")[0], forces=None)
    pair = [
        replace(
            water,
            numbers=np.tile(water.numbers, 2),
            positions=np.concatenate([water.positions, water.positions + np.array([apart, 0, 0])]),
        )
        for apart in (8.0, 8.5)
    ]
    assert np.abs(prints(pair[0]) - prints(pair[1])).max() > 1e-2
    assert unlikeness(view(pair[0], 5.0), view(pair[1], 5.0)) > 0.3


def test_unlikeness_is_the_change_of_a_distance():
    pair = [Structure(np.array([6, 8]), np.array([[0.0, 0, 0], [0, 0, d]])) for d in (1.13, 1.16)]
    assert unlikeness(view(pair[0], 5.0), view(pair[1], 5.0)) == pytest.approx(0.03)
    assert unlikeness(view(pair[0], 5.0), view(molecules(1)[0], 5.0)) == np.inf


def test_copies_have_one_key_and_turned_ones_another():
    one = crystals(1)[0]
    assert copy_key(one) == copy_key(replace(one, source="elsewhere", energy=3.0))
    assert copy_key(one) == copy_key(replace(one, positions=one.positions + 1e-9))
    assert copy_key(one) != copy_key(turned(one))
    assert copy_key(one) != copy_key(replace(one, cell=one.cell * 1.01))


def test_minus_zero_is_zero():
    one = Structure(np.array([1, 1]), np.array([[0.0, 0, 0], [0, 0, 0.74]]))
    two = replace(one, positions=np.array([[-0.0, 0, 0], [0, 0, 0.74]]))
    assert copy_key(one) == copy_key(two)


def test_edges_of_an_impossibly_dense_crystal_can_be_counted():
    dense = crystals(1)[0]
    dense = replace(dense, positions=dense.positions * 0.1, cell=dense.cell * 0.1)
    assert len(dense) / dense.volume > MOST_DENSE
    seen = view(dense, 5.0)
    assert seen.cutoff < 1.0
    assert 10 * len(dense) < len(seen.distance) < 300 * len(dense)
