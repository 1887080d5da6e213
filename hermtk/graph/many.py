"""Neighbour lists of many structures at once, in a compact form: neighbours counted within their structure."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from hermtk.data.columns import ragged, starts
from hermtk.data.store import Store
from hermtk.graph.neighbors import Pairs, neighbor_pairs

Array = np.ndarray

# Up to this many atoms in empty space, all distances of equally large molecules at once are faster than a list for each
_SMALL = 48
# distances at a time: what they need stays in a processor's cache
_AT_A_TIME = 2**16
# relative; so near to the cut-off the order of additions decides, and the list of the single structure counts
_BORDER = 1e-9


class Lists(NamedTuple):
    """The directed pairs of S structures with A atoms, sorted by (centre, neighbour, shift) within each structure.

    Attributes:
        edges: how many each structure has [S].
        degree: how many each atom has as their centre [A].
        neighbor: the neighbour's place in its structure [E].
        shift: [E, 3] lattice vectors; None where no pair crosses a face.
    """

    edges: Int[Array, " structures"]
    degree: Int[Array, " atoms"]
    neighbor: Int[Array, " edges"]
    shift: Int[Array, "edges 3"] | None


def many_pairs(structures: Store, cutoff: float) -> Lists:
    """The pairs within ``cutoff`` (Angstrom) of every structure: exactly those of ``neighbor_pairs``."""
    sizes, first = structures.sizes, starts(structures.sizes)
    positions, cell, pbc = (structures.rows("positions"), structures.values("cell"), structures.values("pbc"))
    singly = np.asarray(np.any(pbc, axis=1) | (sizes > _SMALL))
    parts: list[tuple[Array, Lists]] = []
    for n in np.unique(sizes[~singly]).tolist():
        alike = np.flatnonzero(~singly & (sizes == n))
        step = max(_AT_A_TIME // n**2, 1)
        for some in np.split(alike, range(step, len(alike), step)):
            lists, border = _open_pairs(positions[first[some, None] + np.arange(n)], cutoff)
            if border.any():
                singly[some[border]] = True
                lists, _ = _open_pairs(positions[first[some[~border], None] + np.arange(n)], cutoff)
            parts.append((some[~border], lists))
    for k in np.flatnonzero(singly).tolist():
        pairs = neighbor_pairs(positions[first[k] : first[k + 1]], cell[k], pbc[k], cutoff)
        parts.append((np.array([k]), _compact(pairs, int(sizes[k]))))
    return _in_order(parts, sizes)


def _open_pairs(positions: Float[Array, "molecules n 3"], cutoff: float) -> tuple[Lists, Array]:
    """The pairs of equally large molecules, and which of them have a pair too near to the cut-off to be sure."""
    molecules, n, _ = positions.shape
    square = np.zeros((molecules, n, n))
    for x in np.moveaxis(positions, 2, 0):
        difference = x[:, :, None] - x[:, None, :]
        difference *= difference
        square += difference
    near = square < cutoff**2
    near[:, np.arange(n), np.arange(n)] = False
    unsure = np.abs(square - cutoff**2) < _BORDER * cutoff**2
    degree = near.sum(axis=2)
    neighbor = np.flatnonzero(near) % n
    return Lists(degree.sum(axis=1), degree.reshape(-1), neighbor, None), np.asarray(unsure.any(axis=(1, 2)))


def _compact(pairs: Pairs, atoms: int) -> Lists:
    degree = np.bincount(pairs.center, minlength=atoms)
    shift = pairs.shift if pairs.shift.any() else None
    return Lists(np.array([len(pairs.center)]), degree, pairs.neighbor, shift)


def _in_order(parts: list[tuple[Array, Lists]], sizes: Int[Array, " structures"]) -> Lists:
    """Lists of some structures each, put in the order of all."""
    edges = np.zeros(len(sizes), dtype=np.int64)
    for some, lists in parts:
        edges[some] = lists.edges
    first_edge, first_atom = starts(edges), starts(sizes)
    total = int(first_edge[-1])
    degree, neighbor = np.zeros(int(first_atom[-1]), np.int64), np.zeros(total, np.int64)
    shifted = any(lists.shift is not None for _, lists in parts)
    shift = np.zeros((total, 3), np.int64) if shifted else None
    for some, lists in parts:
        rows = ragged(first_edge[some], edges[some])
        degree[ragged(first_atom[some], sizes[some])] = lists.degree
        neighbor[rows] = lists.neighbor
        if shift is not None and lists.shift is not None:
            shift[rows] = lists.shift
    return Lists(edges, degree, neighbor, shift)
