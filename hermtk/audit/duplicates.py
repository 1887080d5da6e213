"""Structures that are there twice: copies, the same geometry seen otherwise, nearly the same, and what their labels say.

Symmetry makes twins that no comparison of coordinates finds: a crystal strained along x and along y. Every structure is
reduced to a fingerprint of some 60 bytes; those whose fingerprints nearly agree are read again and compared atom by atom.
"""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial import KDTree

from hermtk.audit.findings import Finding, Sets
from hermtk.audit.fingerprint import WIDTH, composition_key, copy_key, fingerprint, unlikeness
from hermtk.audit.views import View, view
from hermtk.data.structure import Structure

Array = np.ndarray

# Angstrom, largest change of a distance: what rounding in files leaves; what a vibration does within some femtoseconds
SAME = 1e-3
NEAR = 1e-2
# eV/atom: two runs of one code on one crystal turned agree to this, frames of a trajectory seldom do
SAME_ENERGY = 1e-6
# eV/atom and eV/Angstrom of the root mean square force: well beyond what 1e-3 Angstrom or the k-point mesh of a turned cell
# explain, which is up to 2 meV/atom and 20 meV/Angstrom in published sets
CONTRADICTION_ENERGY = 5e-3
CONTRADICTION_FORCE = 0.05
# fingerprints further apart than this are not of geometries within NEAR of each other
_REACH = 5 * NEAR
# how fast a fingerprint changes with a distance, at most: all distances of a dense crystal at once
_STEEPEST, _ROUNDING = 50.0, 1e-4
_CANDIDATES = 4
# candidates come nearest first: after so many in a row that were none, the rest is none
_PATIENCE = 50
_MOST = 20_000
# neighbours in energy from which the density of energies is taken
_DENSITY = 20
_NAMED = 10


class Prints:
    """What is kept of each structure of a set: 8 numbers of its geometry, two keys, energy per atom, size of the forces."""

    def __init__(self) -> None:
        self._vectors, self._forces = array("f"), array("f")
        self._compositions, self._copies = array("q"), array("q")
        self._energies = array("d")

    def add(self, seen: View) -> None:
        """One more structure."""
        s = seen.structure
        self._vectors.extend(fingerprint(seen).tolist())
        self._compositions.append(composition_key(s))
        self._copies.append(copy_key(s))
        self._energies.append(np.nan if s.energy is None else s.energy / len(s))
        self._forces.append(np.nan if s.forces is None else float(np.sqrt(np.mean(np.square(s.forces)))))

    def __len__(self) -> int:
        return len(self._energies)

    @property
    def vectors(self) -> Float[Array, "structures width"]:
        """The fingerprints."""
        return np.frombuffer(self._vectors, dtype=np.float32).reshape(-1, WIDTH) if len(self) else _empty()

    @property
    def compositions(self) -> Int[Array, " structures"]:
        """A key of the proportions of elements."""
        return np.array(self._compositions, dtype=np.int64)

    @property
    def copies(self) -> Int[Array, " structures"]:
        """A key that literal copies share."""
        return np.array(self._copies, dtype=np.int64)

    @property
    def energies(self) -> Float[Array, " structures"]:
        """eV/atom, NaN without a label."""
        return np.array(self._energies)

    @property
    def forces(self) -> Float[Array, " structures"]:
        """Root mean square component, eV/Angstrom, NaN without labels."""
        return np.array(self._forces, dtype=np.float64)


@dataclass(frozen=True)
class Twins:
    """Pairs of like structures: ``one`` and ``two`` [P] index two sets (or one), ``apart`` [P] is their unlikeness, Angstrom."""

    one: Int[Array, " pairs"]
    two: Int[Array, " pairs"]
    apart: Float[Array, " pairs"]

    def within(self, low: float, high: float) -> "Twins":
        """Those that are ``low`` < apart <= ``high``."""
        kept = (self.apart > low) & (self.apart <= high)
        return Twins(self.one[kept], self.two[kept], self.apart[kept])


def duplicate_findings(sets: Sets, prints: Mapping[str, Prints], cutoff: float) -> Iterator[Finding]:
    """Duplicates and near-duplicates within each set and between any two, and labels that contradict each other."""
    names = list(prints)
    for one, two in [*((name, name) for name in names), *combinations(names, 2)]:
        twins = find_twins(sets[one], prints[one], sets[two], prints[two], cutoff)
        found = _Found(one, two, sets[one], sets[two], prints[one], prints[two], twins)
        yield from _duplicates(found)
        yield from _contradictions(found)
        yield from _coincidences(found)


def find_twins(
    one: Sequence[Structure], prints: Prints, two: Sequence[Structure], others: Prints, cutoff: float
) -> Twins:
    """Pairs of like geometry, up to ``NEAR``, between two sets; within one, the earlier of a pair comes first.

    Of many alike not every pair is found, but every structure that has a twin is in some pair.
    """
    inside = prints is others
    pairs = dict.fromkeys(_copied(prints.copies, others.copies, inside), 0.0)
    failures = 0
    for i, j in _candidates(prints, others, inside)[:_MOST]:
        key = (min(i, j), max(i, j)) if inside else (i, j)
        if key in pairs:
            continue
        pair = view(one[key[0]], cutoff), view(two[key[1]], cutoff)
        apart = unlikeness(*pair)
        # the same surroundings of atoms in other proportions: the means tell them apart
        if np.abs(fingerprint(pair[0]) - fingerprint(pair[1])).max() > _STEEPEST * apart + _ROUNDING:
            apart = np.inf
        failures = 0 if apart <= NEAR else failures + 1
        if not failures:
            pairs[key] = apart
        elif failures == _PATIENCE:
            break
    found = np.array(list(pairs), dtype=np.int64).reshape(-1, 2)
    return Twins(found[:, 0], found[:, 1], np.array(list(pairs.values()), dtype=np.float64))


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
    for mine, others in _by_composition(found.prints.compositions, found.others.compositions):
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


def _copied(keys: Int[Array, " n"], others: Int[Array, " m"], inside: bool) -> list[tuple[int, int]]:
    """Literal copies: each with the first of its kind."""
    kinds, first = np.unique(keys, return_index=True)
    place = np.minimum(np.searchsorted(kinds, others), max(len(kinds) - 1, 0))
    if not len(kinds):
        return []
    source = first[place]
    hit = np.flatnonzero((kinds[place] == others) & ~((source == np.arange(len(others))) & inside))
    return list(zip(source[hit].tolist(), hit.tolist(), strict=True))


def _candidates(prints: Prints, others: Prints, inside: bool) -> list[tuple[int, int]]:
    """Pairs of neighbouring fingerprints, the nearest first; of literal copies only the first is looked at."""
    unique = _unique(prints.copies)
    asked = unique if inside else _unique(others.copies)
    found: list[tuple[float, int, int]] = []
    for mine, theirs in _by_composition(prints.compositions[unique], others.compositions[asked]):
        tree = KDTree(prints.vectors[unique[mine]], balanced_tree=False)
        count = min(_CANDIDATES + inside, len(mine))
        near = tree.query(others.vectors[asked[theirs]], k=count, distance_upper_bound=_REACH)
        # of one neighbour there is no second axis
        distance, place = (np.reshape(values, (-1, count)) for values in near)
        row, column = np.nonzero(np.isfinite(distance))
        one, two = unique[mine[place[row, column]]], asked[theirs[row]]
        kept = (one < two) | (not inside)
        found += zip(
            distance[row, column][kept].tolist(), one[kept].tolist(), two[kept].tolist(), strict=True
        )
    return [(i, j) for _, i, j in sorted(found)]


def _unique(keys: Int[Array, " n"]) -> Int[Array, " kept"]:
    _, first = np.unique(keys, return_index=True)
    return np.sort(first)


def _by_composition(
    one: Int[Array, " n"], two: Int[Array, " m"]
) -> Iterator[tuple[Int[Array, " some"], Int[Array, " others"]]]:
    """Indices into both of each key that both hold."""
    rows = [(np.argsort(keys, kind="stable"), np.sort(keys)) for keys in (one, two)]
    for key in np.intersect1d(one, two):
        ends = [np.searchsorted(values, key, side=side) for _, values in rows for side in ("left", "right")]
        yield rows[0][0][ends[0] : ends[1]], rows[1][0][ends[2] : ends[3]]


def _differing(one: Structure, two: Structure) -> list[str]:
    """Values of the frames, labels aside, that both have and that are not the same."""
    return [name for name in one.info if name in two.info and not _equal(one.info[name], two.info[name])]


def _equal(one: Any, two: Any) -> bool:
    try:
        return bool(np.array_equal(np.asarray(one), np.asarray(two)))
    except (TypeError, ValueError):
        return False


def _empty() -> Float[Array, "0 width"]:
    return np.zeros((0, WIDTH), dtype=np.float32)
