"""Structures that are there twice: copies, and the same geometry turned, moved, renumbered or strained along an equivalent axis.

Every structure is reduced to a fingerprint of some 60 bytes; those whose fingerprints nearly agree are read again and compared
atom by atom.
"""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial import KDTree

from hermtk.audit.fingerprint import WIDTH, composition_key, copy_key, fingerprint, unlikeness
from hermtk.audit.views import View, view
from hermtk.data.structure import Structure

Array = np.ndarray

# Angstrom, largest change of a distance: what a vibration does within some femtoseconds
NEAR = 1e-2
# fingerprints further apart than this are not of geometries within NEAR of each other
_REACH = 5 * NEAR
# how fast a fingerprint changes with a distance, at most: all distances of a dense crystal at once
_STEEPEST, _ROUNDING = 50.0, 1e-4
_CANDIDATES = 4
# candidates come nearest first: after so many in a row that were none, the rest is none
_PATIENCE = 50
_MOST = 20_000


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
    for mine, theirs in by_composition(prints.compositions[unique], others.compositions[asked]):
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


def by_composition(
    one: Int[Array, " n"], two: Int[Array, " m"]
) -> Iterator[tuple[Int[Array, " some"], Int[Array, " others"]]]:
    """Indices into both of each key that both hold."""
    rows = [(np.argsort(keys, kind="stable"), np.sort(keys)) for keys in (one, two)]
    for key in np.intersect1d(one, two):
        ends = [np.searchsorted(values, key, side=side) for _, values in rows for side in ("left", "right")]
        yield rows[0][0][ends[0] : ends[1]], rows[1][0][ends[2] : ends[3]]


def _empty() -> Float[Array, "0 width"]:
    return np.zeros((0, WIDTH), dtype=np.float32)
