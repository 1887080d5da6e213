"""Energies of single frames, of some, and of whole compositions against what the probe says of them."""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from scipy.spatial import KDTree

from hermtk.audit.findings import Finding
from hermtk.audit.yardstick import Examined
from hermtk.data.elements import symbols
from hermtk.data.structure import Structure

Array = np.ndarray
# compositions with so many structures are compared, if there are so many of them
MEMBERS, COMPOSITIONS = 4, 8
# one is off by so many times what is usual between them, and by so much, eV/atom
OFF, OFFSET = 8.0, 0.01


def energies(name: str, seen: Examined) -> Iterator[Finding]:
    """Energies off for some frames: by a common amount (shifted), or each by its own."""
    rest = seen.energies
    local, noise = _against_neighbours(seen.phi, rest)
    atoms = np.array([len(s) for s in seen.structures], dtype=float)
    if (shift := _common_shift(atoms, local, noise)) is not None:
        amount, unit, members = shift
        summary = (
            f"{name}: the energies of {len(members)} of {len(rest)} structures ({len(members) / len(rest):.1%}) are off by "
            f"{amount:+.3g} {unit} against structures like them, by the same amount: another reference, functional or cell of "
            "the calculation"
        )
        sources = tuple(seen.structures[k].source for k in members[:10])
        evidence = {"shift": amount, "unit": unit, "count": len(members)}
        yield Finding("energy-shift", "error", summary, sources, evidence)
        return
    usual = spread(rest)
    off = np.flatnonzero((np.abs(local) > 8 * noise) & (np.abs(rest - np.median(rest)) > 8 * usual))
    if len(off):
        off = off[np.argsort(-np.abs(local[off]))]
        summary = (
            f"{name}: the energies of {len(off)} structures are further from the probe than is usual, the worst is "
            f"{seen.structures[off[0]].source} by {1e3 * rest[off[0]]:+.0f} meV/atom ({1e3 * usual:.1f} is usual)"
        )
        sources = tuple(seen.structures[k].source for k in off[:10])
        yield Finding("energy-outliers", "note", summary, sources, {"count": len(off), "usual": usual})
    yield from _compositions(name, seen)


def _compositions(name: str, seen: Examined) -> Iterator[Finding]:
    """Compositions whose energies are all off by one amount, where those of most others are not: sets put together."""
    groups: dict[str, list[int]] = defaultdict(list)
    for k, s in enumerate(seen.structures):
        groups[_formula(s)].append(k)
    several = {formula: places for formula, places in groups.items() if len(places) >= MEMBERS}
    if len(several) < COMPOSITIONS:
        return
    medians = np.array([np.median(seen.energies[places]) for places in several.values()])
    elements = sorted({int(z) for s in seen.structures for z in s.numbers})
    firsts = [seen.structures[places[0]].numbers for places in several.values()]
    rest = _least_absolute(
        np.array([[np.mean(numbers == z) for z in elements] for numbers in firsts]), medians
    )
    usual = spread(rest) + 1e-12
    off = {
        formula: float(value)
        for (formula, places), value in zip(several.items(), rest, strict=True)
        if abs(value) > max(OFF * usual, 3 * spread(seen.energies[places]) / np.sqrt(len(places)), OFFSET)
    }
    # of many, it is the probe that does not fit them
    if not off or len(off) > 0.2 * len(several):
        return
    first = sorted(off, key=lambda formula: -abs(off[formula]))
    said = ", ".join(f"{formula} by {1e3 * off[formula]:+.0f} meV/atom" for formula in first[:3])
    summary = (
        f"{name}: the energies of {len(off)} of {len(several)} compositions are off as a whole against the others, {said} "
        f"({1e3 * usual:.1f} is usual): another reference or method than the rest?"
    )
    sources = tuple(seen.structures[several[formula][0]].source for formula in first[:10])
    yield Finding("composition-offset", "warning", summary, sources, {"offsets": off, "usual": usual})


def _least_absolute(shares: Array, values: Array) -> Array:
    """What is left of values when the part of the elements is taken off that leaves the smallest sum of absolute values."""
    weights = np.ones(len(values))
    rest = values
    for _ in range(50):
        part = np.linalg.lstsq(shares * weights[:, None], values * weights, rcond=None)[0]
        rest = values - shares @ part
        weights = 1 / np.sqrt(np.abs(rest) + 1e-6)
    return rest


def _formula(s: Structure) -> str:
    """By shares, so that a supercell has that of its cell."""
    numbers, counts = np.unique(s.numbers, return_counts=True)
    shares = counts // np.gcd.reduce(counts)
    return "".join(
        f"{symbol}{count}" for symbol, count in zip(symbols(numbers.tolist()), shares, strict=True)
    )


def _common_shift(atoms: Array, local: Array, noise: Array) -> tuple[float, str, Array] | None:
    """The largest group of structures off by one amount, in eV or in eV/atom, that stands apart from the others."""
    best: tuple[float, str, Array] | None = None
    for unit, factor in (("eV", atoms), ("eV/atom", np.ones_like(local))):
        values, blur = local * factor, noise * factor
        far = np.flatnonzero(np.abs(values) > 5 * blur)
        for k in far:
            near = far[np.abs(values[far] - values[k]) < np.maximum(2.5 * blur[far], 0.2 * abs(values[k]))]
            amount = float(np.median(values[near]))
            # others as far off to the same side, or half as far where so much would show: a tail, not a shift
            share = values / amount
            tail = int((share[far] > 0.5).sum())
            between = int(((share > 0.35) & (share < 0.7) & (5 * blur < abs(amount))).sum())
            enough = len(near) >= max(4, 0.015 * len(local)) and len(near) >= max(0.7 * tail, 2 * between)
            if enough and (best is None or len(near) > len(best[2])):
                best = (amount, unit, near)
    return best


def _against_neighbours(phi: Array, values: Array) -> tuple[Array, Array]:
    """Values minus the median over structures like them, and how much these scatter."""
    if (found := alike(phi)) is None:
        return values - np.median(values), np.full_like(values, spread(values) + 1e-12)
    around, alone = found
    local = values - np.median(values[around], axis=1)
    scatter = 1.4826 * np.median(np.abs(local[around]), axis=1)
    return local, alone * np.maximum(scatter, 0.5 * spread(local)) + 1e-12


def alike(phi: Array, neighbours: int = 10) -> tuple[Array, Array] | None:
    """The structures [S, neighbours] that are nearest in the features' main components; None of a small set.

    And how much farther they are than is usual [S], at least 1: where there is hardly anything alike, they say little.
    """
    if len(phi) <= 2 * neighbours:
        return None
    phi = phi - phi.mean(axis=0)
    left, sizes, _ = np.linalg.svd(phi / (phi.std(axis=0) + 1e-12), full_matrices=False)
    components = left[:, :12] * sizes[:12]
    distances, near = KDTree(components).query(components, k=neighbours + 1)
    around, far = np.asarray(near)[:, 1:], np.median(np.asarray(distances)[:, 1:], axis=1)
    return around, np.maximum(1.0, far / (np.median(far) + 1e-12))


def spread(values: Array) -> float:
    """The standard deviation of a normal distribution with this median deviation."""
    return float(1.4826 * np.median(np.abs(values - np.median(values))))
