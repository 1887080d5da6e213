"""Some structures of a set: at random, or as different from each other as can be."""

import numpy as np
from jaxtyping import Float, Int

from hermtk.errors import DataError

Array = np.ndarray


def random_subset(n: int, count: int, seed: int) -> Int[Array, " count"]:
    """``count`` of ``n`` structures, drawn by ``seed``, in the order of the set; a larger subset holds the smaller one.

    Raises:
        DataError: fewer than one, or more than there are.
    """
    _check(n, count)
    return np.sort(np.random.default_rng(seed).permutation(n)[:count])


def farthest_subset(
    descriptors: Float[Array, "n width"], count: int, seed: int
) -> tuple[Int[Array, " count"], Float[Array, " count"]]:
    """``count`` structures, each the one farthest from all chosen before it, and how far it was; the first is drawn by ``seed``.

    Descriptors (``hermtk.audit.fingerprint.fingerprint``) are scaled to unit variance in every number; distances are
    Euclidean in that space, infinite for the first. What comes last adds least: the distances say when to stop. The cost is
    n times count.

    Raises:
        DataError: fewer than one, or more than there are.
    """
    _check(len(descriptors), count)
    spread = descriptors.std(0)
    points = (descriptors - descriptors.mean(0)) / np.where(spread > 0, spread, 1.0)
    chosen = np.empty(count, dtype=np.int64)
    far = np.empty(count)
    nearest = np.full(len(points), np.inf)
    place = int(np.random.default_rng(seed).integers(len(points)))
    for k in range(count):
        chosen[k], far[k] = place, nearest[place]
        step = points - points[place]
        nearest = np.minimum(nearest, np.sqrt(np.einsum("ij,ij->i", step, step)))
        # among copies of what was chosen, one that was not
        nearest[place] = -1.0
        place = int(np.argmax(nearest))
    return chosen, far


def _check(n: int, count: int) -> None:
    if count < 1:
        raise DataError(f"a subset of {count} structures cannot be: ask for at least 1")
    if count > n:
        raise DataError(f"a subset of {count} structures is larger than the set, which has {n}")
