"""Errors from references and predictions."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermtk.evaluation.comparison import Compared, Evaluation


def made(seed: int, sizes: list[int], stress: bool = True) -> Evaluation:
    r = np.random.default_rng(seed)
    n, total = len(sizes), sum(sizes)

    def pair(*shape: int) -> Compared:
        return Compared(r.normal(size=shape), r.normal(size=shape))

    tensor = pair(n, 3, 3)
    if not stress:
        tensor = Compared(np.full((n, 3, 3), np.nan), tensor.predicted)
    return Evaluation(
        numbers=r.choice([1, 6, 8], size=total),
        atoms=np.array(sizes),
        sources=tuple(f"some.xyz:{k}" for k in range(n)),
        energy=pair(n),
        forces=pair(total, 3),
        stress=tensor,
    )


def without(compared: Compared, rows: np.ndarray | list[int]) -> Compared:
    true = compared.true.copy()
    true[rows] = np.nan
    return Compared(true, compared.predicted)


sizes_of_sets = st.lists(st.integers(1, 5), min_size=1, max_size=6)


@given(st.integers(0, 1000), sizes_of_sets)
def test_the_errors_of_elements_make_up_the_error_of_all(seed, sizes):
    summary = made(seed, sizes).summary()
    elements = summary["elements"].values()
    assert sum(e["atoms"] for e in elements) == summary["atoms"] == sum(sizes)
    mean = sum(e["atoms"] * e["mae"] for e in elements) / summary["atoms"]
    square = sum(e["atoms"] * e["rmse"] ** 2 for e in elements) / summary["atoms"]
    assert summary["forces"]["mae"] == pytest.approx(mean)
    assert summary["forces"]["rmse"] ** 2 == pytest.approx(square)
    assert summary["forces"]["max"] == max(e["max"] for e in elements)


@given(st.integers(0, 1000), sizes_of_sets, st.floats(-1e3, 1e3))
def test_energies_off_by_a_constant_have_that_error(seed, sizes, off):
    e = made(seed, sizes)
    shifted = Evaluation(
        e.numbers, e.atoms, e.sources, Compared(e.energy.true, e.energy.true + off), e.forces, e.stress
    )
    errors = shifted.summary()["energy"]
    assert errors["mae"] == pytest.approx(abs(off), abs=1e-9)
    assert errors["rmse"] == pytest.approx(abs(off), abs=1e-9)
    assert errors["mean"] == pytest.approx(off, abs=1e-9)


@given(st.integers(0, 1000), sizes_of_sets)
def test_the_mean_absolute_error_lies_below_the_root_mean_square_and_that_below_the_largest(seed, sizes):
    summary = made(seed, sizes).summary()
    for name in ("energy", "energy_per_atom", "forces", "stress"):
        errors = summary[name]
        assert abs(errors["mean"]) <= errors["mae"] * (1 + 1e-12)
        assert errors["mae"] <= errors["rmse"] * (1 + 1e-12)
        assert errors["rmse"] <= errors["max"] * (1 + 1e-12)


def test_missing_labels_are_counted_and_left_out():
    e = made(1, [2, 3, 1, 2])
    holes = Evaluation(
        e.numbers,
        e.atoms,
        e.sources,
        without(e.energy, [1, 3]),
        without(e.forces, e.structure == 0),
        e.stress,
    )
    summary = holes.summary()
    assert (summary["energy"]["structures"], summary["energy"]["missing"]) == (2, 2)
    assert summary["energy"]["mae"] == pytest.approx(np.abs(e.energy.errors[[0, 2]]).mean())
    assert (summary["forces"]["structures"], summary["forces"]["missing"]) == (3, 1)
    kept = (e.forces.predicted - e.forces.true)[e.structure > 0]
    assert summary["forces"]["rmse"] == pytest.approx(np.sqrt(np.square(kept).mean()))
    assert (summary["stress"]["structures"], summary["stress"]["missing"]) == (4, 0)


def test_the_worst_structure_is_named():
    e = made(2, [1, 2, 2])
    forces = Compared(e.forces.true, e.forces.true.copy())
    forces.predicted[3, 1] -= 50.0
    e = Evaluation(e.numbers, e.atoms, e.sources, without(e.energy, [0, 1, 2]), forces, e.stress)
    assert e.summary()["forces"]["worst"] == "some.xyz:2"
    assert e.summary()["forces"]["max"] == pytest.approx(50.0)
    assert e.summary()["energy"]["worst"] is None


def test_energies_per_atom_are_divided_by_the_atoms():
    e = made(3, [2, 5])
    assert e.energy_per_atom.errors == pytest.approx(e.energy.errors / [2, 5])


@pytest.mark.parametrize("stress", [True, False])
def test_a_summary_is_valid_json(stress):
    summary = made(4, [3, 1], stress=stress).summary()
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    assert (summary["stress"]["mae"] is None) == (not stress)
