"""Whether energies, forces and stresses agree with each other: units, signs, orders, and frames that do not belong.

A probe potential (``probe.py``) is fitted to forces and energies together under one assumption after the other: that they belong
together as they stand, that energies are in kcal/mol, that forces are gradients, and so on. The right one fits far better.
"""

from collections.abc import Iterator, Sequence
from itertools import permutations
from typing import Any

import numpy as np
from scipy.spatial import KDTree

from hermtk.audit.findings import Finding, Sets
from hermtk.audit.yardstick import FOLDS, Fit, Yardstick
from hermtk.data.structure import Structure
from hermtk.units import ENERGY, LENGTH, STRESS

Array = np.ndarray
# fewer structures than this cannot carry a fit
FEWEST = 4 * FOLDS
# another assumption has to leave less than this share of what the plain one leaves
BETTER = 0.5
# more than this unexplained of forces and energies together and nothing can be said
BLIND = 0.8
VOIGT = ("xx", "yy", "zz", "yz", "xz", "xy")

_KCAL, _KJ, _HA, _RY, _BOHR = (
    ENERGY["kcal/mol"],
    ENERGY["kJ/mol"],
    ENERGY["Ha"],
    ENERGY["Ry"],
    LENGTH["Bohr"],
)
# eV, the atoms from hydrogen to argon with all electrons: Chakravorty et al., Phys. Rev. A 47, 3649 (1993)
ATOMS = -_HA * np.array(
    [0.5, 2.9037, 7.4781, 14.6674, 24.6539, 37.8450, 54.5892, 75.0673, 99.7339]
    + [128.9376, 162.2546, 200.053, 242.346, 289.359, 341.259, 398.110, 460.148, 527.540]
)
# energies over what forces integrate to -> what is then wrong, and in words
RATIOS: dict[float, tuple[str, str]] = {
    1 / _KCAL: ("energy-unit", "energies in kcal/mol, forces in eV/Angstrom"),
    1 / _KJ: ("energy-unit", "energies in kJ/mol, forces in eV/Angstrom"),
    1 / _HA: ("energy-unit", "energies in Hartree, forces in eV/Angstrom"),
    1 / _RY: ("energy-unit", "energies in Rydberg, forces in eV/Angstrom"),
    1e3: ("energy-unit", "energies in meV, forces in eV/Angstrom"),
    _KCAL: ("force-unit", "forces in kcal/mol/Angstrom, energies in eV"),
    _KJ: ("force-unit", "forces in kJ/mol/Angstrom, energies in eV"),
    _HA / _BOHR: ("force-unit", "forces in Hartree/Bohr, energies in eV"),
    _RY / _BOHR: ("force-unit", "forces in Rydberg/Bohr, energies in eV"),
    1 / _BOHR: ("force-unit", "forces per Bohr, energies and positions per Angstrom"),
    _BOHR: ("length-unit", "positions in Bohr, forces per Angstrom"),
    10.0: ("length-unit", "positions in nm, forces per Angstrom"),
}
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


def consistency(sets: Sets) -> Iterator[Finding]:
    """Findings on each set that has energies and forces."""
    for name, structures in sets.items():
        places = [k for k, s in enumerate(structures) if s.energy is not None and s.forces is not None][
            :20_000
        ]
        yield from _totals(name, structures)
        if len(places) >= FEWEST:
            yield from _examine(name, [structures[k] for k in places])


def _examine(name: str, structures: Sequence[Structure]) -> Iterator[Finding]:
    if not any(len(s) > 1 for s in structures):
        return
    yardstick = Yardstick(structures)
    found, ratio, fit = _ratio(name, yardstick)
    yield from found
    if fit is None:
        return
    yield from _strange_forces(name, yardstick, fit, flipped=ratio < 0)
    yield from _strange_energies(name, yardstick, fit, ratio)
    yield from _stress(name, yardstick, fit, np.sign(ratio))


def _ratio(name: str, yardstick: Yardstick) -> tuple[list[Finding], float, Fit | None]:
    """The ratio of energies to forces that explains both best; no fit where the probe cannot tell."""
    trials = {ratio: yardstick.fit(ratio) for ratio in (1.0, -1.0, *RATIOS)}
    plain = trials[1.0]
    if trials[-1.0].unexplained < plain.unexplained:
        trials |= {-ratio: yardstick.fit(-ratio) for ratio in RATIOS}
    best = min(trials, key=lambda ratio: trials[ratio].unexplained)
    numbers = {
        "unexplained": round(plain.unexplained, 4),
        "unexplained_by_ratio": {f"{ratio:.4g}": round(fit.unexplained, 4) for ratio, fit in trials.items()},
        "structures": len(yardstick.sample),
    }
    if trials[best].unexplained > BLIND:
        summary = (
            f"{name}: whether energies and forces belong together could not be judged: the probe leaves "
            f"{plain.forces:.0%} of the forces and {plain.energies:.0%} of the energies unexplained"
        )
        return [Finding("consistency-unknown", "note", summary, evidence=numbers)], 1.0, None
    if best == 1.0 or trials[best].unexplained > BETTER * plain.unexplained:
        summary = (
            f"{name}: energies and forces belong together: a probe potential explains {1 - plain.forces:.1%} of the forces "
            f"and {1 - plain.energies:.1%} of the energies of {len(yardstick.sample)} structures"
        )
        return [Finding("consistent", "note", summary, evidence=numbers)], 1.0, plain
    # units whose ratios are nearly the same cannot be told apart: the likelier mistakes stand first
    sign, limit = np.sign(best), 1.3 * trials[best].unexplained + 0.01
    as_good = [r for r in (1.0, *RATIOS) if sign * r in trials and trials[sign * r].unexplained < limit]
    found, said = [], f"energies are about {best:.4g} times what the forces integrate to"
    if sign < 0:
        found.append(("force-sign", "forces of the wrong sign (they are gradients, +dE/dx)"))
    if abs(best) != 1.0 and 1.0 not in as_good:
        kind, _ = RATIOS[as_good[0]]
        found.append((kind, ", or ".join(RATIOS[ratio][1] for ratio in as_good)))
    remains = f"so read, {trials[best].unexplained:.3f} of both remains unexplained, as they stand {plain.unexplained:.3f}"
    evidence = {**numbers, "ratio": best}
    return (
        [
            Finding(kind, "error", f"{name}: {words}? {said}: {remains}", evidence=evidence)
            for kind, words in found
        ],
        best,
        trials[best],
    )


def _strange_forces(name: str, yardstick: Yardstick, fit: Fit, *, flipped: bool) -> Iterator[Finding]:
    """Frames whose forces have nothing to do with their geometry, where those of the others have."""
    left, labels, predicted = yardstick.force_residuals(fit)
    typical = float(np.median(left))
    size = np.sqrt(np.mean(labels**2))
    # where the probe itself says something absurd, it has seen nothing like that geometry
    strange = (left > 6 * typical) & (left > np.maximum(0.8 * predicted, 0.2 * size)) & (left > 0.7 * labels)
    strange &= predicted < 3 * np.maximum(size, labels)
    worst = np.flatnonzero(strange)[np.argsort(-left[strange])]
    if fit.forces > 0.3 or not len(worst):
        return
    first = yardstick.sample[worst[0]]
    summary = (
        f"{name}: the forces of {len(worst)} structures do not belong to their geometry, the worst is {first.source}: "
        f"{left[worst[0]]:.2f} eV/Angstrom (rms) away from the probe, {typical:.2f} is usual; "
        "forces of another frame, or a calculation that did not converge"
    )
    sources = tuple(yardstick.sample[k].source for k in worst[:10])
    evidence = {"count": len(worst), "rms": [round(float(left[k]), 4) for k in worst[:10]], "usual": typical}
    yield Finding("force-outliers", "warning", summary, sources, evidence)


def _strange_energies(name: str, yardstick: Yardstick, fit: Fit, ratio: float) -> Iterator[Finding]:
    """Energies off for some frames: by a common amount (shifted), or each by its own."""
    if fit.forces > 0.25:
        return
    # once more without those that are off, so that they do not bend the probe
    rest = yardstick.energy_residuals(fit, ratio)
    heed = np.abs(rest - np.median(rest)) < 5 * _spread(rest) + 1e-12
    rest = yardstick.energy_residuals(yardstick.without(ratio, heed), ratio)
    local, noise = _against_neighbours(yardstick, rest)
    if (shift := _common_shift(yardstick.atoms, local, noise)) is not None:
        amount, unit, members = shift
        summary = (
            f"{name}: the energies of {len(members)} of {len(rest)} structures ({len(members) / len(rest):.1%}) are off by "
            f"{amount:+.3g} {unit} against structures like them, by the same amount: another reference, functional or cell of "
            "the calculation"
        )
        sources = tuple(yardstick.sample[k].source for k in members[:10])
        evidence = {"shift": amount, "unit": unit, "count": len(members)}
        yield Finding("energy-shift", "error", summary, sources, evidence)
        return
    usual = _spread(rest)
    off = np.flatnonzero((np.abs(local) > 8 * noise) & (np.abs(rest - np.median(rest)) > 8 * usual))
    if len(off):
        off = off[np.argsort(-np.abs(local[off]))]
        summary = (
            f"{name}: the energies of {len(off)} structures are further from the probe than is usual, the worst is "
            f"{yardstick.sample[off[0]].source} by {1e3 * rest[off[0]]:+.0f} meV/atom ({1e3 * usual:.1f} is usual)"
        )
        sources = tuple(yardstick.sample[k].source for k in off[:10])
        yield Finding("energy-outliers", "note", summary, sources, {"count": len(off), "usual": usual})


def _common_shift(atoms: Array, local: Array, noise: Array) -> tuple[float, str, Array] | None:
    """The largest group of structures off by one amount, in eV or in eV/atom, that stands apart from the others."""
    best: tuple[float, str, Array] | None = None
    for unit, factor in (("eV", atoms), ("eV/atom", np.ones_like(local))):
        values, blur = local * factor, noise * factor
        far = np.flatnonzero(np.abs(values) > 5 * blur)
        for k in far:
            near = far[np.abs(values[far] - values[k]) < np.maximum(2.5 * blur[far], 0.2 * abs(values[k]))]
            amount = float(np.median(values[near]))
            # others as far off to the same side, that are not of the group: a tail, not a shift
            tail = int((np.sign(amount) * values[far] > 0.5 * abs(amount)).sum())
            enough = len(near) >= max(4, 0.015 * len(local)) and len(near) >= 0.7 * tail
            if enough and (best is None or len(near) > len(best[2])):
                best = (amount, unit, near)
    return best


def _against_neighbours(yardstick: Yardstick, values: Array, neighbours: int = 10) -> tuple[Array, Array]:
    """Values minus the median over structures like them, and how much these scatter: nearest in the features' main components."""
    if len(values) <= 2 * neighbours:
        return values - np.median(values), np.full_like(values, _spread(values) + 1e-12)
    phi = yardstick.phi - yardstick.phi.mean(axis=0)
    left, sizes, _ = np.linalg.svd(phi / (phi.std(axis=0) + 1e-12), full_matrices=False)
    components = left[:, :12] * sizes[:12]
    _, near = KDTree(components).query(components, k=neighbours + 1)
    around = np.asarray(near)[:, 1:]
    local = values - np.median(values[around], axis=1)
    scatter = 1.4826 * np.median(np.abs(local[around]), axis=1)
    return local, np.maximum(scatter, 0.5 * _spread(local)) + 1e-12


def _stress(name: str, yardstick: Yardstick, fit: Fit, sign: float) -> Iterator[Finding]:
    """Sign, unit and order of the stress against that of the probe."""
    labels = np.array([_voigt(s) for s in yardstick.sample])
    said = sign * yardstick.stresses(fit)
    known = np.isfinite(labels + said).all(axis=1)
    if known.sum() < FEWEST:
        return
    labels, said = labels[known], said[known]
    slope = float((labels * said).sum() / (said**2).sum())
    correlation = float((labels * said).sum() / np.sqrt((said**2).sum() * (labels**2).sum() + 1e-300))
    numbers: dict[str, Any] = {"slope": slope, "correlation": correlation, "structures": int(known.sum())}
    if abs(correlation) < 0.5:
        summary = f"{name}: sign and unit of the stress could not be judged (correlation with the probe {correlation:.2f})"
        yield Finding("stress-unknown", "note", summary, evidence=numbers)
        return
    factor = min((1.0, *STRESSES), key=lambda f: abs(np.log(slope / f)) if slope * f > 0 else np.inf)
    if abs(np.log(slope / factor)) > 0.7:
        summary = f"{name}: the stress is {slope:.4g} times what energies and forces ask for (correlation {correlation:.2f})"
        yield Finding("stress-unit", "warning", summary, evidence=numbers)
    elif factor != 1.0:
        kind, words = STRESSES[factor]
        summary = f"{name}: {words}? It is {slope:.4g} times what energies and forces ask for (correlation {correlation:.2f})"
        yield Finding(kind, "error", summary, evidence=numbers)
    yield from _order(name, labels, slope * said, numbers)


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


def _totals(name: str, structures: Sequence[Structure]) -> Iterator[Finding]:
    """Energies that are not totals, or not in eV, by their size alone.

    What calculations with all electrons give is that of the atoms within a percent (``ATOMS``); with heavier elements than argon,
    or pseudopotentials, nothing can be said.
    """
    chosen = [structures[k] for k in range(0, len(structures), max(1, len(structures) // 500))]
    chosen = [s for s in chosen if s.energy is not None]
    if not chosen:
        return
    energies, sizes = np.array([float(s.energy or 0.0) for s in chosen]), np.array([len(s) for s in chosen])
    ratio = _over_atoms(chosen)
    for unit, factor in ENERGY.items():
        if unit != "eV" and ratio is not None and abs(ratio * factor - 1) < 0.012:
            summary = (
                f"{name}: energies in {unit}? They are {ratio:.4g} times the total energy, in eV, of all electrons of these "
                "elements"
            )
            yield Finding("energy-unit", "error", summary, evidence={"ratio": ratio, "unit": unit})
    expected = np.std(sizes) * np.median(np.abs(energies) / sizes)
    if sizes.max() > 2 * sizes.min() and np.std(energies) < 0.1 * expected:
        summary = (
            f"{name}: energies per atom? Structures have {sizes.min()} to {sizes.max()} atoms, but their energies all lie near "
            f"{np.median(energies):.4g} eV; total energies are wanted"
        )
        yield Finding("energy-per-atom", "error", summary, evidence={"sd": float(np.std(energies))})


def _over_atoms(structures: Sequence[Structure]) -> float | None:
    """The median of energies over those of the atoms; None where there are heavier elements or energies of several kinds."""
    if max(int(s.numbers.max()) for s in structures) > len(ATOMS):
        return None
    ratios = np.array([float(s.energy or 0.0) / ATOMS[s.numbers - 1].sum() for s in structures])
    ratio = float(np.median(ratios))
    return ratio if np.abs(ratios - ratio).max() < 0.02 * abs(ratio) else None


def _voigt(s: Structure) -> Array:
    if s.stress is None:
        return np.full(6, np.nan)
    return s.stress[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]


def _spread(values: Array) -> float:
    """The standard deviation of a normal distribution with this median deviation."""
    return float(1.4826 * np.median(np.abs(values - np.median(values))))
