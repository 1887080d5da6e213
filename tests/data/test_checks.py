"""What a structure has to satisfy."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hermtk.data.checks import SAME_PLACE, check_shapes, check_structure, require_labels
from hermtk.data.structure import Structure
from hermtk.errors import DataError


def with_value(array, place, value):
    changed = np.array(array, dtype=np.float64)
    changed[place] = value
    return changed


def test_good_structures_pass(water, crystal):
    check_structure(water)
    check_structure(crystal)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    ("field", "place", "words"),
    [
        ("positions", (1, 2), r"the position of atom 1 \(Cl\) is not finite"),
        ("forces", (0, 1), r"the force of atom 0 \(Cs\) is not finite"),
        ("stress", (2, 0), "the stress is not finite"),
        ("cell", (1, 1), "the cell is not finite"),
    ],
)
def test_a_value_that_is_not_finite_is_refused_with_file_frame_and_atom(crystal, field, place, words, value):
    bad = replace(crystal, **{field: with_value(getattr(crystal, field), place, value)})
    with pytest.raises(DataError, match=f"crystal.xyz:7: {words}: .*{value:g}"):
        check_structure(bad)


def test_an_energy_that_is_not_finite_is_refused(crystal):
    with pytest.raises(DataError, match=r"crystal.xyz:7: the energy is not finite"):
        check_structure(replace(crystal, energy=float("nan")))


def test_no_atoms_are_refused():
    empty = Structure(np.zeros(0, dtype=int), np.zeros((0, 3)), source="a.xyz:3")
    with pytest.raises(DataError, match=r"a.xyz:3: there are no atoms"):
        check_structure(empty)


@pytest.mark.parametrize("number", [0, 119, -6])
def test_an_impossible_atomic_number_is_refused(water, number):
    with pytest.raises(DataError, match=f"water.xyz:0: atom 2 has the atomic number {number}"):
        check_structure(replace(water, numbers=np.array([8, 1, number])))


def test_a_periodic_flag_without_a_cell_vector_is_refused(water):
    with pytest.raises(DataError, match=r"water.xyz:0: periodic along b, but cell vector b is \(0, 0, 0\)"):
        check_structure(replace(water, pbc=np.array([True, True, False]), cell=np.diag([9.0, 0.0, 9.0])))


@pytest.mark.parametrize("pbc", [[True, True, True], [True, True, False]])
def test_a_cell_without_volume_is_refused(water, pbc):
    flat = np.array([[4.0, 4.0, 0.0], [8.0, 8.0, 0.0], [0.0, 0.0, 9.0]])
    with pytest.raises(DataError, match=r"water.xyz:0: the cell has no volume"):
        check_structure(replace(water, pbc=np.array(pbc), cell=flat))


def test_directions_that_do_not_repeat_need_no_cell(water):
    check_structure(replace(water, pbc=np.array([True, False, False]), cell=np.diag([9.0, 0.0, 0.0])))


def test_two_atoms_at_one_place_are_refused_by_name(water):
    stacked = with_value(water.positions, 2, water.positions[1] + 1e-5)
    with pytest.raises(DataError, match=r"water.xyz:0: atoms 1 \(H\) and 2 \(H\) are at one place"):
        check_structure(replace(water, positions=stacked))


def test_an_atom_on_the_image_of_another_is_refused(crystal):
    image = crystal.positions[0] + np.array([3.0, -2.0, 1.0]) @ crystal.cell + 2e-4
    bad = replace(crystal, positions=np.stack([crystal.positions[0], image]))
    with pytest.raises(DataError, match=r"atoms 0 \(Cs\) and 1 \(Cl\) are at one place"):
        check_structure(bad)
    check_structure(replace(bad, pbc=np.zeros(3, dtype=bool)))


@pytest.mark.parametrize("direction", [0, 1, 2])
def test_two_atoms_at_one_place_are_found_across_a_face(crystal, direction):
    on_the_face = np.array([[0.3, 0.4, 0.6], [0.3, 0.4, 0.6]])
    on_the_face[:, direction] = 1e-6, 1 - 1e-6
    with pytest.raises(DataError, match="at one place"):
        check_structure(replace(crystal, positions=on_the_face @ crystal.cell))


def test_cell_vectors_that_do_not_repeat_may_be_anything(water):
    odd = np.array([[9.0, 0.0, 0.0], [9.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    check_structure(replace(water, cell=odd, pbc=np.array([True, False, False])))
    check_structure(replace(water, cell=odd))


def test_images_count_only_along_periodic_directions(crystal):
    image = crystal.positions[0] + crystal.cell[2]
    bad = replace(crystal, positions=np.stack([crystal.positions[0], image]))
    check_structure(replace(bad, pbc=np.array([True, True, False])))
    with pytest.raises(DataError, match="at one place"):
        check_structure(replace(bad, pbc=np.array([False, False, True])))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.lists(st.booleans(), min_size=3, max_size=3), st.floats(0.0, 3.0))
def test_one_place_is_what_a_search_over_all_images_finds(seed, pbc, apart):
    rng = np.random.default_rng(seed)
    cell = np.diag(rng.uniform(2, 5, 3)) + rng.uniform(-0.5, 0.5, (3, 3))
    pbc = np.array(pbc)
    first = rng.uniform(-4, 4, 3)
    direction = rng.normal(size=3)
    step = apart * SAME_PLACE * direction / np.linalg.norm(direction)
    second = first + step + rng.integers(-1, 2, 3) @ cell
    images = [
        np.array(n) for n in itertools.product((-2, -1, 0, 1, 2), repeat=3) if not np.array(n)[~pbc].any()
    ]
    nearest = min(np.linalg.norm(second - first + n @ cell) for n in images)
    s = Structure(np.array([1, 1]), np.stack([first, second]), cell=cell, pbc=pbc)
    if abs(nearest - SAME_PLACE) < 1e-9:
        return
    if nearest < SAME_PLACE:
        with pytest.raises(DataError, match="at one place"):
            check_structure(s)
    else:
        check_structure(s)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"numbers": np.ones((3, 1))}, r"atomic numbers have shape \(3, 1\)"),
        ({"positions": np.zeros((2, 3))}, r"positions of 3 atoms should have shape \(3, 3\), found \(2, 3\)"),
        ({"forces": np.zeros((3, 2))}, r"forces of 3 atoms should have shape \(3, 3\), found \(3, 2\)"),
        ({"cell": np.zeros(3)}, r"the cell of 3 atoms should have shape \(3, 3\), found \(3,\)"),
        ({"pbc": np.zeros(2)}, "the periodic flags"),
        ({"stress": np.zeros(6)}, "the stress"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(wrong, words):
    fitting = {
        "numbers": np.ones(3),
        "positions": np.zeros((3, 3)),
        "cell": np.zeros((3, 3)),
        "pbc": np.zeros(3, dtype=bool),
        "forces": np.zeros((3, 3)),
    }
    check_shapes("a.npz:1", **fitting)
    with pytest.raises(DataError, match=f"a.npz:1: {words}"):
        check_shapes("a.npz:1", **{**fitting, **wrong})


def test_missing_labels_that_are_trained_on_are_counted_and_named(water, crystal):
    bare = [replace(water, forces=None, source=f"w.xyz:{k}") for k in range(5)]
    with pytest.raises(
        DataError, match=r"5 of 6 structures have no forces.*w.xyz:0, w.xyz:1, w.xyz:2, \.\.\."
    ):
        require_labels([crystal, *bare], forces=True, stress=False)
    with pytest.raises(DataError, match=r"1 of 2 structures have no stress.*water.xyz:0"):
        require_labels([crystal, water], forces=True, stress=True)
    with pytest.raises(DataError, match="1 of 1 structures have no energy"):
        require_labels([replace(water, energy=None)], forces=False, stress=False)


def test_labels_that_are_not_trained_on_may_be_missing(water):
    require_labels([replace(water, forces=None)], forces=False, stress=False)
