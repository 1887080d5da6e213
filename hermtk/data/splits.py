"""Who is trained on, who is watched, who is tested on.

Sizes are given for training, validation and test: an ``int`` is a number of structures, a ``float`` a share of all. Every
function gives disjoint indices; what no size asks for is in none of the three.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from hermtk.data.elements import symbols
from hermtk.data.structure import Structure
from hermtk.errors import DataError

Sizes = tuple[int | float, int | float, int | float]
Parts = tuple[Int[np.ndarray, " train"], Int[np.ndarray, " validation"], Int[np.ndarray, " test"]]
_PARTS = ("training", "validation", "test")


@dataclass(frozen=True)
class Split:
    """Three sets of structures; any may be empty."""

    train: Sequence[Structure]
    validation: Sequence[Structure]
    test: Sequence[Structure]


def split_random(
    n: int, sizes: tuple[int, int, int], seed: int
) -> tuple[Int[np.ndarray, " train"], Int[np.ndarray, " validation"], Int[np.ndarray, " test"]]:
    """Disjoint indices into ``n`` structures for training, validation and test, drawn by ``seed``.

    The order depends on ``n`` and ``seed`` alone, training takes from its beginning, the others from its end: training on more
    structures adds to the ones of a smaller split, and validates and tests on the same.

    Raises:
        DataError: a negative size, or sizes that ask for more than ``n``.
    """
    _check_sizes(n, sizes)
    order = np.random.default_rng(seed).permutation(n)
    train, validation, test = sizes
    return order[:train], order[n - test - validation : n - test], order[n - test :]


def whole_sizes(n: int, sizes: Sizes) -> tuple[int, int, int]:
    """How many of ``n`` structures are for training, validation and test; shares that add up to 1 use every one.

    Raises:
        DataError: a negative size, a share above 1, or more than there is.
    """
    for size in sizes:
        if isinstance(size, float) and not 0 <= size <= 1:
            raise DataError(
                f"{size:g} is no share of a set: give one from 0.0 to 1.0, or a whole number of structures"
            )
    asked = [size * n if isinstance(size, float) else size for size in sizes]
    # the ends are rounded, not the lengths, so that nothing is lost between two parts
    ends = np.rint(np.cumsum([0.0, *asked])).astype(int).tolist()
    given = zip(sizes, ends[:-1], ends[1:], strict=True)
    train, validation, test = (b - a if isinstance(size, float) else int(size) for size, a, b in given)
    _check_sizes(n, (train, validation, test))
    return train, validation, test


def split_groups(keys: Sequence[Hashable], sizes: Sizes, seed: int) -> Parts:
    """Structures with the same key (a molecule, a composition, a trajectory) stay together.

    The groups come in an order drawn by ``seed``, each into the part that lacks most for its size. The sizes are met as nearly
    as the groups allow, and every part that is asked for has a group.

    Raises:
        DataError: sizes that cannot be, or fewer groups than parts.
    """
    wanted = whole_sizes(len(keys), sizes)
    groups = _groups(keys)
    asked = [part for part in range(3) if wanted[part]]
    if len(groups) < len(asked):
        names = ", ".join(_PARTS[part] for part in asked)
        raise DataError(
            f"{names} need a group each, but all structures are in {len(groups)}: {_some(list(groups))}"
        )
    parts: list[list[int]] = [[], [], []]
    lacking = list(wanted)
    members = list(groups.values())
    order = np.random.default_rng(seed).permutation(len(members)).tolist()
    for left, group in zip(range(len(order), 0, -1), (members[k] for k in order), strict=True):
        empty = [part for part in asked if not parts[part]]
        open_to = empty if len(empty) == left else asked
        fitting = [part for part in open_to if lacking[part] >= len(group)]
        part = max(fitting or open_to, key=lambda p: lacking[p] / (wanted[p] if fitting else 1))
        # a set need not be used up
        if lacking[part] <= 0:
            continue
        parts[part] += group
        lacking[part] -= len(group)
    return _arrays(parts)


def split_blocks(keys: Sequence[Hashable], sizes: Sizes, gap: int = 0) -> Parts:
    """Each trajectory cut into three: its beginning, its middle and its end, with ``gap`` frames left out in between.

    Frames that follow each other are alike, so a random split of a trajectory tests what was trained on. ``keys`` say which
    trajectory each frame is of, all the same if there is only one. Of several, each gives its share.

    Raises:
        DataError: sizes that cannot be, a negative gap, or a trajectory too short for the gaps.
    """
    if gap < 0:
        raise DataError(f"a gap of {gap} frames between blocks cannot be: give 0 or more")
    whole_sizes(len(keys), sizes)
    groups = _groups(keys)
    if len(groups) > 1:
        train, validation, test = (size if isinstance(size, float) else size / len(keys) for size in sizes)
        sizes = (train, validation, test)
    gaps = gap * max(sum(size > 0 for size in sizes) - 1, 0)
    parts: list[list[int]] = [[], [], []]
    for key, frames in groups.items():
        if len(frames) < gaps:
            raise DataError(
                f"{gaps} frames of gaps leave nothing of trajectory {key}, which has {len(frames)}"
            )
        first = 0
        for part, size in enumerate(whole_sizes(len(frames) - gaps, sizes)):
            parts[part] += frames[first : first + size]
            first += size + gap * (sizes[part] > 0)
    return _arrays(parts)


def split_stratified(keys: Sequence[Hashable], sizes: Sizes, seed: int) -> Parts:
    """Structures of every key in all parts, in the proportions of the sizes, which are met exactly.

    Raises:
        DataError: sizes that cannot be.
    """
    random = np.random.default_rng(seed)
    place = np.empty(len(keys))
    for frames in _groups(keys).values():
        # spread evenly over the order that is then cut, each key with a start of its own
        place[random.permutation(frames)] = (np.arange(len(frames)) + random.random()) / len(frames)
    return _cut(np.argsort(place, kind="stable"), whole_sizes(len(keys), sizes))


def composition_of(structure: Structure) -> str:
    """Elements and their counts, ``C2H6O``."""
    kinds, counts = np.unique(structure.numbers, return_counts=True)
    named = sorted(zip(symbols(kinds.tolist()), counts.tolist(), strict=True))
    return "".join(f"{symbol}{count if count > 1 else ''}" for symbol, count in named)


def elements_key(structure: Structure) -> str:
    """The elements without their counts, ``C-H-O``."""
    return "-".join(sorted(symbols(np.unique(structure.numbers).tolist())))


def _cut(order: Int[np.ndarray, " n"], sizes: tuple[int, int, int]) -> Parts:
    train, validation, _ = sizes
    first, second, third = np.split(order[: sum(sizes)], [train, train + validation])
    return first, second, third


def _arrays(parts: list[list[int]]) -> Parts:
    first, second, third = (np.array(part, dtype=np.int64) for part in parts)
    return first, second, third


def _groups(keys: Sequence[Hashable]) -> dict[Hashable, list[int]]:
    """Places of each key, keys in the order in which they appear."""
    groups: dict[Hashable, list[int]] = {}
    for k, key in enumerate(keys):
        groups.setdefault(key, []).append(k)
    return groups


def _some(names: list[Hashable]) -> str:
    return ", ".join(map(str, names[:3])) + (", ..." if len(names) > 3 else "")


def _check_sizes(n: int, sizes: tuple[int, int, int]) -> None:
    train, validation, test = sizes
    if min(sizes) < 0:
        raise DataError(f"the sizes of a split cannot be negative: {train}, {validation}, {test}")
    if sum(sizes) > n:
        raise DataError(
            f"a split of {train} + {validation} + {test} = {sum(sizes)} structures is larger than the set, which has {n}"
        )
