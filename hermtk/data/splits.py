"""Who is trained on, who is watched, who is tested on."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from hermtk.data.structure import Structure
from hermtk.errors import DataError


@dataclass(frozen=True)
class Split:
    """Three sets of structures; any may be empty."""

    train: list[Structure]
    validation: list[Structure]
    test: list[Structure]


def split_random(
    n: int, sizes: tuple[int, int, int], seed: int
) -> tuple[Int[np.ndarray, " train"], Int[np.ndarray, " validation"], Int[np.ndarray, " test"]]:
    """Disjoint indices into ``n`` structures for training, validation and test, drawn by ``seed``.

    The order depends on ``n`` and ``seed`` alone: training on more structures adds to the ones of a smaller split.

    Raises:
        DataError: a negative size, or sizes that ask for more than ``n``.
    """
    train, validation, test = sizes
    if min(sizes) < 0:
        raise DataError(f"the sizes of a split cannot be negative: {train}, {validation}, {test}")
    if sum(sizes) > n:
        raise DataError(
            f"a split of {train} + {validation} + {test} = {sum(sizes)} structures is larger than the set, which has {n}"
        )
    order = np.random.default_rng(seed).permutation(n)
    first, second, third = np.split(order[: sum(sizes)], [train, train + validation])
    return first, second, third
