"""Energies against the work of the forces between one frame and the next: needs no model, only frames close together."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from ase.geometry import find_mic

from hermtk.data.structure import Structure

# Angstrom, root mean square over atoms: further apart, the trapezoid between two frames is no longer the work
NEAR, FAR = 1e-4, 0.15
FEWEST = 10


@dataclass(frozen=True)
class Work:
    """Differences of energy over the work of the forces, -1/2 sum (F_a + F_b) . (x_b - x_a).

    Attributes:
        ratio: least-squares slope; 1 where both belong together.
        explained: share of the square of the differences that the work explains.
        steps: how many pairs of frames.
    """

    ratio: float
    explained: float
    steps: int


def work(structures: Sequence[Structure]) -> Work | None:
    """The slope over consecutive frames of the same atoms in the same cell; None where there are too few close ones."""
    found = [step for a, b in pairwise(structures) if (step := _step(a, b)) is not None]
    if len(found) < FEWEST:
        return None
    differences, works = np.array(found).T
    ratio = float(differences @ works / (works @ works))
    left = ((differences - ratio * works) ** 2).sum() / max((differences**2).sum(), 1e-300)
    return Work(ratio, float(1 - left), len(found))


def _step(a: Structure, b: Structure) -> tuple[float, float] | None:
    if a.forces is None or b.forces is None or a.energy is None or b.energy is None:
        return None
    if len(a) != len(b) or (a.numbers != b.numbers).any() or np.abs(a.cell - b.cell).max() > 1e-6:
        return None
    moved = b.positions - a.positions
    if a.pbc.any():
        moved, _ = find_mic(moved, a.cell, a.pbc)  # type: ignore[arg-type]
    far = np.sqrt(np.mean(np.sum(moved**2, axis=1)))
    if not NEAR < far < FAR:
        return None
    return b.energy - a.energy, float(-0.5 * np.sum((a.forces + b.forces) * moved))
