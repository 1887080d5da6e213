"""Energies against the work of forces along a trajectory."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT

from hermtk.audit import consistency as checks
from hermtk.audit.work import work
from hermtk.data.atoms import from_atoms
from hermtk.data.structure import Structure


@cache
def trajectory() -> list[Structure]:
    """A rattled copper cell that swings, through its periodic faces too."""
    atoms = bulk("Cu", cubic=True).repeat((2, 1, 1))
    generator = np.random.default_rng(0)
    start, swing = atoms.positions.copy(), 0.15 * generator.normal(size=atoms.positions.shape)
    found = []
    for k in range(40):
        atoms.positions = start + np.sin(0.2 * k) * swing
        atoms.wrap()
        atoms.calc = EMT()
        atoms.get_potential_energy()
        found.append(from_atoms(atoms, f"swing:{k}"))
    return found


def test_energies_change_by_the_work_of_the_forces():
    found = work(trajectory())
    assert found is not None
    assert abs(found.ratio - 1) < 0.02
    assert found.explained > 0.99
    assert found.steps > 30


def test_without_frames_close_together_nothing_is_said():
    assert work(trajectory()[::7]) is None
    assert work([replace(s, forces=None) for s in trajectory()]) is None


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (lambda s: s, {"consistent"}),
        (lambda s: replace(s, forces=-s.forces), {"force-sign"}),
        (lambda s: replace(s, energy=s.energy * 23.06), {"energy-unit"}),
        (lambda s: replace(s, positions=s.positions / 0.529, cell=s.cell / 0.529), {"length-unit"}),
    ],
    ids=["sound", "gradients", "kcal/mol", "Bohr"],
)
def test_trajectories_answer_where_the_probe_is_blind(change, names, monkeypatch):
    monkeypatch.setattr(checks, "BLIND", -1.0)
    found = {f.name for f in checks.consistency({"train": [change(s) for s in trajectory()]})}
    assert found - {"consistency-unknown"} == names
