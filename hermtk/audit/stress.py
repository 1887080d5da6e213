"""Whether the stress agrees with energies and forces: sign, unit, order and zero, against that of the probe."""

from collections.abc import Iterator
from itertools import permutations
from typing import Any

import numpy as np

from hermtk.audit.findings import Finding
from hermtk.audit.yardstick import Fit, Yardstick
from hermtk.data.structure import Structure
from hermtk.units import ENERGY, STRESS

Array = np.ndarray
FEWEST = 16
# another order has to leave less than this share of what the plain one leaves
BETTER = 0.5
# a constant offset has to be this many times the usual distance from it, and as large as this (eV/Angstrom^3)
PLAIN, LARGE = 3.0, 0.5 * STRESS["GPa"]
# and volumes per atom have to differ by this share (standard deviation): in one cell energies say nothing about the mean
STRAINED = 0.01
VOIGT = ("xx", "yy", "zz", "yz", "xz", "xy")
# labels over what the probe says -> what the labels then are
STRESSES: dict[float, tuple[str, str]] = {
    -1.0: ("stress-sign", "the stress has the wrong sign (pressure-like, positive under compression)"),
    1 / STRESS["GPa"]: ("stress-unit", "the stress is in GPa"),
    1 / STRESS["kbar"]: ("stress-unit", "the stress is in kbar"),
    1 / STRESS["Ha/Bohr^3"]: ("stress-unit", "the stress is in Hartree/Bohr^3"),
    -1 / STRESS["GPa"]: ("stress-unit", "the stress is in GPa and of the wrong sign"),
    -1 / STRESS["kbar"]: ("stress-unit", "the stress is in kbar and of the wrong sign, as VASP prints it"),
    ENERGY["kcal/mol"]: ("energy-unit", "energies and forces in kcal/mol, the stress in eV/Angstrom^3"),
}


def stress(name: str, yardstick: Yardstick, fit: Fit, sign: float) -> Iterator[Finding]:
    """Sign, unit, order and zero of the stress against that of the probe."""
    labels = np.array([_voigt(s) for s in yardstick.sample])
    said = sign * yardstick.stresses(fit)
    known = np.flatnonzero(np.isfinite(labels + said).all(axis=1))
    if len(known) < FEWEST:
        return
    off = labels[known] - said[known]
    # in one cell, neither forces nor energies determine the mean
    labels, said = (values[known] - values[known].mean(axis=0) for values in (labels, said))
    slope = float((labels * said).sum() / (said**2).sum())
    correlation = float((labels * said).sum() / np.sqrt((said**2).sum() * (labels**2).sum() + 1e-300))
    numbers: dict[str, Any] = {"slope": slope, "correlation": correlation, "structures": len(known)}
    if abs(correlation) < 0.5:
        summary = f"{name}: sign and unit of the stress could not be judged (correlation with the probe {correlation:.2f})"
        yield Finding("stress-unknown", "note", summary, evidence=numbers)
        return
    factor = min((1.0, *STRESSES), key=lambda f: abs(np.log(slope / f)) if slope * f > 0 else np.inf)
    # of liquids and soft metals the probe is off by a factor of two or so
    if abs(np.log(slope / factor)) > 1.2:
        summary = f"{name}: the stress is {slope:.4g} times what energies and forces ask for (correlation {correlation:.2f})"
        yield Finding("stress-unit", "warning", summary, evidence=numbers)
    elif factor != 1.0:
        kind, words = STRESSES[factor]
        summary = f"{name}: {words}? It is {slope:.4g} times what energies and forces ask for (correlation {correlation:.2f})"
        yield Finding(kind, "error", summary, evidence=numbers)
    else:
        yield from _offset(name, yardstick, known, off[:, :3].mean(axis=1))
    yield from _order(name, labels, slope * said, numbers)


def _offset(name: str, yardstick: Yardstick, known: Array, off: Array) -> Iterator[Finding]:
    """Whether the mean of the normal components is off by the same amount everywhere; ``off`` of the ``known``."""
    volumes = np.array([s.volume for s in yardstick.sample])[known] / yardstick.atoms[known]
    fold = yardstick.fold[known]
    lower, offset, upper = np.percentile(off, [25, 50, 75])
    between = max(abs(np.median(off[fold == f]) - offset) for f in np.unique(fold))
    usual = max(between, (upper - lower) / 2)
    if volumes.std() < STRAINED * volumes.mean() or abs(offset) < max(PLAIN * usual, LARGE):
        return
    summary = (
        f"{name}: the stress is {abs(offset) * 1e3:.1f} meV/Angstrom^3 ({abs(offset) / STRESS['GPa']:.1f} GPa) too "
        f"{'tensile' if offset > 0 else 'compressive'} for how energies change with the volume, everywhere alike "
        f"(within {usual * 1e3:.1f}): Pulay stress of a plane-wave basis, or an external pressure added? A model cannot "
        "have both: correct it, or train without (training.loss.stress=0)"
    )
    evidence = {"offset": float(offset), "usual": float(usual), "structures": len(off)}
    yield Finding("stress-offset", "warning", summary, evidence=evidence)


def _order(name: str, labels: Array, said: Array, numbers: dict[str, Any]) -> Iterator[Finding]:
    """Whether the shear components stand in another order."""
    total = (labels[:, 3:] ** 2).sum() + 1e-300
    left = {
        order: float(((labels[:, 3:] - said[:, [3 + k for k in order]]) ** 2).sum() / total)
        for order in permutations(range(3))
    }
    plain, best = left[0, 1, 2], min(left, key=lambda order: left[order])
    if left[best] < 0.7 and left[best] < BETTER * plain:
        order = ", ".join(VOIGT[3 + k] for k in best)
        summary = (
            f"{name}: the shear components of the stress seem to stand in the order {order} where yz, xz, xy is read: "
            f"so {left[best]:.0%} of their squares remains unexplained, as they stand {plain:.0%}"
        )
        evidence = {**numbers, "order": order, "unexplained": left[best], "unexplained_as_read": plain}
        yield Finding("stress-order", "error", summary, evidence=evidence)


def _voigt(s: Structure) -> Array:
    if s.stress is None:
        return np.full(6, np.nan)
    return s.stress[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
