"""The probe's forces and virials are the derivatives of its energies."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hermtk.audit.probe import Features
from hermtk.data.structure import Structure

STEP = 1e-5
VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


def crystal(seed: int, numbers: list[int]) -> Structure:
    generator = np.random.default_rng(seed)
    cell = np.diag([4.0, 5.0, 6.0]) + 0.3 * generator.normal(size=(3, 3))
    fractional = (
        np.arange(len(numbers))[:, None] * [0.37, 0.61, 0.23] + 0.05 * generator.random((len(numbers), 3))
    ) % 1.0
    return Structure(np.array(numbers), fractional @ cell, cell, np.ones(3, dtype=bool))


def energies(features: Features, s: Structure) -> np.ndarray:
    return next(features.chunks([s]))[1].energy[0]


@pytest.mark.parametrize("numbers", [[29, 29, 29], [1, 6, 8, 6], [1, 6, 7, 8, 9, 16, 17, 35, 53]])
def test_forces_and_virials_are_derivatives(numbers):
    s = crystal(3, numbers)
    features = Features(sorted(set(numbers)), 4.0)
    _, rows = next(features.chunks([s]))
    for atom in range(len(s)):
        for axis in range(3):
            ends = []
            for sign in (1, -1):
                moved = s.positions.copy()
                moved[atom, axis] += sign * STEP
                ends.append(energies(features, replace(s, positions=moved)))
            slope = -(ends[0] - ends[1]) / (2 * STEP)
            np.testing.assert_allclose(rows.forces[atom, axis], slope, rtol=2e-5, atol=2e-5)
    for k, (x, y) in enumerate(VOIGT):
        ends = []
        for sign in (1, -1):
            strain = np.eye(3)
            strain[x, y] += sign * STEP / 2
            strain[y, x] += sign * STEP / 2
            ends.append(energies(features, replace(s, positions=s.positions @ strain, cell=s.cell @ strain)))
        np.testing.assert_allclose(rows.virial[0, k], (ends[0] - ends[1]) / (2 * STEP), rtol=2e-5, atol=2e-5)


@given(seed=st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_the_features_do_not_change_under_rotation_and_permutation(seed):
    s = crystal(seed, [1, 6, 8, 6])
    features = Features((1, 6, 8), 4.0)
    generator = np.random.default_rng(seed)
    turn, _ = np.linalg.qr(generator.normal(size=(3, 3)))
    order = generator.permutation(len(s))
    other = replace(
        s, numbers=s.numbers[order], positions=(s.positions @ turn)[order] + 1.7, cell=s.cell @ turn
    )
    np.testing.assert_allclose(energies(features, other), energies(features, s), rtol=1e-9, atol=1e-9)


def test_chunks_together_are_all_structures_and_very_large_ones_are_left_out(monkeypatch):
    several = [crystal(seed, [29] * 4) for seed in range(30)]
    features = Features((29,), 5.0)
    whole = [(places, rows.energy) for places, rows in features.chunks(several)]
    monkeypatch.setattr("hermtk.audit.probe._CHUNK", 2_000)
    parts = [(places, rows.energy) for places, rows in features.chunks(several)]
    assert len(parts) > len(whole)
    assert [place for places, _ in parts for place in places] == list(range(30))
    np.testing.assert_allclose(
        np.concatenate([e for _, e in parts]), np.concatenate([e for _, e in whole]), rtol=1e-12
    )
    monkeypatch.setattr("hermtk.audit.probe._TOO_LARGE", 10)
    assert list(features.chunks(several)) == []
