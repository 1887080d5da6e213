"""What twins mean: duplicates and near-duplicates within and across sets, labels that contradict each other, equal energies.

Symmetry makes twins that no comparison of coordinates finds: a crystal strained along x and along y (``twins``).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.spatial import KDTree

from hermtk.audit.findings import Finding, Sets
from hermtk.audit.twins import NEAR, Prints, Twins, by_composition, find_twins
from hermtk.data.structure import Structure

Array = np.ndarray

# Angstrom, largest change of a distance: what rounding in files leaves
SAME = 1e-3
# eV/atom: two runs of one code on one crystal turned agree to this, frames of a trajectory seldom do
SAME_ENERGY = 1e-6
# eV/atom and eV/Angstrom of the root mean square force: well beyond what 1e-3 Angstrom or the k-point mesh of a turned cell
# explain, which is up to 2 meV/atom and 20 meV/Angstrom in published sets
CONTRADICTION_ENERGY = 5e-3
CONTRADICTION_FORCE = 0.05
# neighbours in energy from which the density of energies is taken
_DENSITY = 20
_NAMED = 10


def duplicate_findings(sets: Sets, prints: Mapping[str, Prints], cutoff: float) -> Iterator[Finding]:
    """Duplicates and near-duplicates within each set and between any two, and labels that contradict each other."""
    names = list(prints)
    for one, two in [*((name, name) for name in names), *combinations(names, 2)]:
        twins = find_twins(sets[one], prints[one], sets[two], prints[two], cutoff)
        found = _Found(one, two, sets[one], sets[two], prints[one], prints[two], twins)
        yield from _duplicates(found)
        yield from _contradictions(found)
        yield from _coincidences(found)


@dataclass(frozen=True)
class _Found:
    """The twins of two sets, or of one with itself, and what the sentences about them need."""

    first: str
    second: str
    one: Sequence[Structure]
    two: Sequence[Structure]
    prints: Prints
    others: Prints
    twins: Twins

    @property
    def inside(self) -> bool:
        return self.first == self.second

    def energy_gap(self, twins: Twins) -> Float[Array, " pairs"]:
        """eV/atom, NaN where a label is missing."""
        return np.abs(self.prints.energies[twins.one] - self.others.energies[twins.two])

    def force_gap(self, twins: Twins) -> Float[Array, " pairs"]:
        """Of the root mean squares, eV/Angstrom, NaN where labels are missing."""
        return np.abs(self.prints.forces[twins.one] - self.others.forces[twins.two])

    def names(self, twins: Twins) -> tuple[str, ...]:
        """The first pairs as ``file:3 = file:7``."""
        rows = zip(twins.one[:_NAMED], twins.two[:_NAMED], strict=True)
        return tuple(f"{self.two[j].source} = {self.one[i].source}" for i, j in rows)


def _duplicates(found: _Found) -> Iterator[Finding]:
    n = len(found.others)
    where = f"of {n} structures of {found.second}"
    ending = "" if found.inside else "-across-sets"
    other = "an earlier one of the set" if found.inside else f"one of {found.first}"
    same, near = found.twins.within(-1.0, SAME), found.twins.within(SAME, NEAR)
    repeated = np.unique(same.two)
    if len(repeated):
        equal = np.unique(same.two[found.energy_gap(same) <= SAME_ENERGY])
        literal = np.unique(same.two[found.prints.copies[same.one] == found.others.copies[same.two]])
        advice = (
            "They count twice."
            if found.inside
            else "Errors measured on them are not those of new structures."
        )
        yield Finding(
            f"duplicates{ending}",
            "warning" if found.inside else "error",
            f"{len(repeated)} {where} have the geometry of {other} (distances agree within {SAME:g} Å; turned, moved, "
            f"renumbered or in another cell counts as the same): {len(literal)} as literal copies, {len(equal)} with the same "
            f"energy within {SAME_ENERGY:g} eV/atom. {advice}",
            found.names(same),
            {
                "sets": [found.first, found.second],
                "structures": len(repeated),
                "of": n,
                "copies": len(literal),
                "energy_twins": len(equal),
                "tolerance": SAME,
            },
        )
    close = np.setdiff1d(near.two, repeated)
    if len(close):
        order = np.argsort(near.apart)
        near = Twins(near.one[order], near.two[order], near.apart[order])
        yield Finding(
            f"near-duplicates{ending}",
            "note" if found.inside else "warning",
            f"{len(close)} {where} are within {NEAR:g} Å of {other} in all distances, as neighbouring frames of a trajectory "
            "are. Divide trajectories by blocks (`hermtk data split --by block`) to have tests that mean something.",
            found.names(near),
            {
                "sets": [found.first, found.second],
                "structures": len(close),
                "of": n,
                "nearest": float(near.apart.min()),
                "tolerance": NEAR,
            },
        )


def _contradictions(found: _Found) -> Iterator[Finding]:
    same = found.twins.within(-1.0, SAME)
    energy, force = found.energy_gap(same), found.force_gap(same)
    bad = np.flatnonzero((energy > CONTRADICTION_ENERGY) | (force > CONTRADICTION_FORCE))
    if not len(bad):
        return
    size = np.nan_to_num(energy[bad] / CONTRADICTION_ENERGY) + np.nan_to_num(force[bad] / CONTRADICTION_FORCE)
    bad = bad[np.argsort(-size)]
    worst = Twins(same.one[bad], same.two[bad], same.apart[bad])
    differing = _differing(found.one[worst.one[0]], found.two[worst.two[0]])
    what, how_much = [], {}
    for label, gaps, unit, factor in (
        ("energies", energy[bad], "meV/atom", 1e3),
        ("rms forces", force[bad], "meV/Å", 1e3),
    ):
        if np.isfinite(gaps).any():
            largest = float(np.nanmax(gaps))
            what.append(f"{label} by up to {factor * largest:.3g} {unit}")
            how_much[label.replace(" ", "_")] = largest
    hint = (
        f"They differ in {', '.join(differing)} too: if the labels depend on it, a model that does not know it learns a mean."
        if differing
        else "One of each pair is wrong, or the labels depend on something the file does not say."
    )
    where = f"within {found.first}" if found.inside else f"between {found.first} and {found.second}"
    yield Finding(
        "contradicting-labels",
        "error",
        f"{len(np.unique(worst.two))} structures {where} have the geometry of another one and other labels: "
        f"{', '.join(what)}. {hint}",
        found.names(worst),
        {
            "sets": [found.first, found.second],
            "structures": len(np.unique(worst.two)),
            "largest": how_much,
            "differing": differing,
        },
    )


def _coincidences(found: _Found) -> Iterator[Finding]:
    """Equal energies without equal geometry: named only where chance does not explain them."""
    twin = np.zeros(len(found.others), dtype=bool)
    same = found.twins.within(-1.0, NEAR)
    twin[same.two] = True
    if found.inside:
        twin[same.one] = True
    seen, expected = 0, 0.0
    for mine, others in by_composition(found.prints.compositions, found.others.compositions):
        one, two = found.prints.energies[mine], found.others.energies[others]
        counted = np.isfinite(two) & ~twin[others]
        one = np.sort(one[np.isfinite(one)])
        if len(one) <= _DENSITY or not counted.any():
            continue
        hits, chance = _equal_energies(one, two[counted], found.inside)
        seen, expected = seen + hits, expected + chance
    # a Poisson count: four standard deviations, and never a single pair
    if seen > expected + 4 * np.sqrt(expected) + 3:
        yield Finding(
            "energy-coincidences",
            "warning",
            f"{seen} structures of {found.second} have the energy of one of {found.first} within {SAME_ENERGY:g} eV/atom but "
            f"another geometry; chance would give {expected:.1f}. Energies may be rounded, or written to the wrong structures.",
            evidence={"sets": [found.first, found.second], "structures": seen, "expected": expected},
        )


def _equal_energies(one: Float[Array, " n"], two: Float[Array, " m"], inside: bool) -> tuple[int, float]:
    """How many of ``two`` lie within ``SAME_ENERGY`` of the sorted ``one``, and how many would by its density there."""
    own = int(inside)
    tree = KDTree(one[:, None])
    distance, _ = tree.query(two[:, None], k=_DENSITY + 1)
    hits = int(np.sum(distance[:, own] <= SAME_ENERGY))
    # of the farthest of k neighbours: equal energies themselves do not raise the density
    density = (_DENSITY + 1 - own) / np.maximum(2 * distance[:, -1], SAME_ENERGY)
    return hits, float(np.sum(-np.expm1(-2 * SAME_ENERGY * density)))


def _differing(one: Structure, two: Structure) -> list[str]:
    """Values of the frames, labels aside, that both have and that are not the same."""
    return [name for name in one.info if name in two.info and not _equal(one.info[name], two.info[name])]


def _equal(one: Any, two: Any) -> bool:
    try:
        return bool(np.array_equal(np.asarray(one), np.asarray(two)))
    except (TypeError, ValueError):
        return False
