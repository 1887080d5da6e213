"""A few numbers that two structures share when they are the same seen otherwise: turned, moved, renumbered, in another cell."""

import hashlib

import numpy as np
from jaxtyping import Float
from scipy.spatial import KDTree

from hermtk.audit.views import View
from hermtk.data.structure import Structure

Array = np.ndarray

# numbers of a fingerprint: distinct structures of large sets stay apart, a million take 32 MB as float32
WIDTH = 8
# nearest neighbours of an element that are compared atom by atom
_NEAREST = 32
# elements count with weights that say nothing but which is which
_WEIGHTS = np.random.default_rng(20).uniform(0.5, 1.5, (3, 119, WIDTH))
_DIGITS = 5


def fingerprint(view: View) -> Float[Array, " width"]:
    """Means over atoms, so that a supercell has those of its cell.

    F_k = 1/N sum_i v_k(Z_i) sqrt(1 + (sum_j u_k(Z_j) (1 - x_ij^2)^3 cos(pi k x_ij))^2), x = distance/cut-off, u and v fixed
    weights of the elements; without periodic images the extent about the centroid is added, sqrt(1/N sum_i w_k(Z_i) r_i^2),
    which sees parts beyond the cut-off of each other. Smooth: an atom moved by d Angstrom changes them by some d/N to d.
    """
    u, v, w = _WEIGHTS[:, view.structure.numbers]
    x = view.distance / view.cutoff
    rho = np.empty((len(u), WIDTH))
    fade = (1 - x * x) ** 3
    for k in range(WIDTH):
        sent = fade * np.cos(np.pi * k * x) * u[view.neighbor, k]
        rho[:, k] = np.bincount(view.center, sent, minlength=len(u))
    vector = (v * np.sqrt(1 + rho * rho)).mean(0)
    if not view.structure.pbc.any():
        positions = view.structure.positions
        reach = np.square(positions - positions.mean(0)).sum(1)
        vector += np.sqrt(reach @ w / len(w))
    return vector


def composition_key(structure: Structure) -> int:
    """A number that structures of the same proportions of elements share."""
    kinds, counts = np.unique(structure.numbers, return_counts=True)
    counts = counts // np.gcd.reduce(counts)
    return _hash(kinds.astype(np.int64).tobytes() + counts.astype(np.int64).tobytes())


def copy_key(structure: Structure) -> int:
    """A number that literal copies share: the same numbers, positions and cell in the same order, to 1e-5 Angstrom."""
    parts = [np.asarray(structure.numbers, dtype=np.int64).tobytes(), structure.pbc.tobytes()]
    for values in (structure.positions, structure.cell):
        # adding zero turns -0.0 into 0.0
        parts.append((np.round(values, _DIGITS) + 0.0).astype(np.float64).tobytes())
    return _hash(b"".join(parts))


def unlikeness(one: View, two: View) -> float:
    """How far two geometries are from each other, Angstrom: 0 when one is the other turned, moved, renumbered or repeated.

    Every atom has its distances to the nearest atoms of each element, sorted; for every atom of one structure the most
    similar of the other is looked for, and the largest difference of such distances counts.
    """
    kinds = np.unique(one.structure.numbers)
    if not np.array_equal(kinds, np.unique(two.structure.numbers)):
        return np.inf
    worst = 0.0
    sides = [_environments(side, kinds) for side in (one, two)]
    for z in kinds:
        a, b = (rows[side.structure.numbers == z] for rows, side in zip(sides, (one, two), strict=True))
        for given, searched in ((a, b), (b, a)):
            distance, _ = KDTree(searched).query(given, p=np.inf)
            worst = max(worst, float(np.max(distance)))
    return worst


def _environments(view: View, kinds: Array) -> Float[Array, "atoms rest"]:
    """Each atom's sorted distances to each element in turn; the cut-off stands for those there are not."""
    n, s = len(view.structure), view.structure
    if not s.pbc.any() and n <= 10 * _NEAREST:
        apart = np.linalg.norm(s.positions[:, None] - s.positions[None], axis=-1)
        center, neighbor = np.nonzero(~np.eye(n, dtype=bool))
        distance, last = apart[center, neighbor], np.inf
    else:
        center, neighbor, distance, last = view.center, view.neighbor, view.distance, view.cutoff
    kind = np.searchsorted(kinds, s.numbers)[neighbor]
    slot = center * len(kinds) + kind
    order = np.lexsort((distance, slot))
    slot, distance = slot[order], distance[order]
    rank = np.arange(len(slot)) - np.searchsorted(slot, slot)
    kept = rank < _NEAREST
    # a finite stand-in: differences to it must be large, not undefined
    rows = np.full((n * len(kinds), _NEAREST), 1e6 if np.isinf(last) else last)
    rows[slot[kept], rank[kept]] = distance[kept]
    return rows.reshape(n, len(kinds) * _NEAREST)


def _hash(data: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little", signed=True)
