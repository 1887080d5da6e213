"""Which atoms are closer than the cut-off, periodic images included."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from vesin import NeighborList

from hermtk import backends

Array = np.ndarray


class Pairs(NamedTuple):
    """Directed pairs: atoms ``center`` and ``neighbor`` [E], ``shift`` [E, 3] in lattice vectors. Sorted by centre."""

    center: Int[Array, " edges"]
    neighbor: Int[Array, " edges"]
    shift: Int[Array, "edges 3"]


def neighbor_pairs(
    positions: Float[Array, "atoms 3"],
    cell: Float[Array, "3 3"],
    pbc: Bool[Array, "3"],
    cutoff: float,
) -> Pairs:
    """All directed pairs within ``cutoff`` (Angstrom), sorted by (centre, neighbour, shift).

    By vesin; in empty space by torch-cluster where it is installed. The order is a function of the structure alone, so that
    sums over edges are reproducible.
    """
    if len(positions) == 0:
        return Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 3), np.int64))
    open_pairs = None if pbc.any() else backends.open_pairs(positions, cutoff)
    if open_pairs is not None:
        i, j = open_pairs
        shift = np.zeros((len(i), 3), dtype=np.int64)
    else:
        i, j, shift = _vesin(positions, cell, pbc, cutoff)
    order = np.lexsort((shift[:, 2], shift[:, 1], shift[:, 0], j, i))
    return Pairs(i[order].astype(np.int64), j[order].astype(np.int64), shift[order].astype(np.int64))


def _vesin(positions: Array, cell: Array, pbc: Array, cutoff: float) -> tuple[Array, Array, Array]:
    box = cell if pbc.any() else np.zeros((3, 3))
    i, j, shift = NeighborList(cutoff=cutoff, full_list=True).compute(
        points=np.ascontiguousarray(positions, dtype=np.float64),
        box=np.ascontiguousarray(box, dtype=np.float64),
        periodic=pbc,
        quantities="ijS",
    )
    return i, j, shift


def brute_force_pairs(
    positions: Float[Array, "atoms 3"],
    cell: Float[Array, "3 3"],
    pbc: Bool[Array, "3"],
    cutoff: float,
) -> Pairs:
    """The obvious reference: try every image that could be near. Cost grows with atoms^2 x images; for tests."""
    reach = _reach(positions, cell, pbc, cutoff)
    ranges = [np.arange(-n, n + 1) for n in reach]
    images = np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1).reshape(-1, 3)
    found = []
    for i in range(len(positions)):
        for j in range(len(positions)):
            distance = np.linalg.norm(positions[j] + images @ cell - positions[i], axis=1)
            near = distance < cutoff
            if i == j:
                near &= images.any(axis=1)
            found += [(i, j, *image) for image in images[near]]
    rows = np.array(sorted(found), dtype=np.int64).reshape(-1, 5)
    return Pairs(rows[:, 0], rows[:, 1], rows[:, 2:])


def _reach(positions: Array, cell: Array, pbc: Array, cutoff: float) -> list[int]:
    """How many images each lattice direction needs: cut-off plus the atoms' own spread, over the plane spacing."""
    reach = np.zeros(3, dtype=int)
    # the columns of the pseudo-inverse are the normals of the lattice planes; only periodic vectors need be there
    spacing = 1 / np.linalg.norm(np.linalg.pinv(cell[pbc]), axis=0)
    spread = np.linalg.norm(positions[:, None] - positions[None], axis=-1).max(initial=0.0)
    reach[pbc] = np.ceil((cutoff + spread) / spacing)
    return reach.tolist()
