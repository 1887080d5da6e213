"""Neighbour lists of a store, computed once and kept in its folder.

They stand in ``NAME.store/neighbors/CUTOFF-KEY``, where the key is a hash of the store's content, the cut-off and the code that
finds neighbours: lists of other structures, another cut-off or another version are never taken for these.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from hermtk.data.columns import Columns, ragged, writing
from hermtk.data.store import Store
from hermtk.errors import DataError, RunError
from hermtk.files import making
from hermtk.graph import many, neighbors
from hermtk.graph.many import Lists, many_pairs
from hermtk.graph.neighbors import Pairs

KIND, VERSION, FOLDER = "hermtk neighbour lists", 1, "neighbors"
# a piece of work between two reports of progress
_ATOMS = 2**15


class NeighborLists:
    """The neighbour lists of all structures of a store within a cut-off, on disk; can be sent to another process."""

    def __init__(self, store: Store, folder: Path) -> None:
        """Open the lists in ``folder``.

        Raises:
            DataError: they are damaged.
        """
        self.store, self.folder = store.whole, folder
        self._columns = Columns(folder, KIND, VERSION, str(folder))
        wanted = {"first", "degree", "neighbor"}
        if any(name not in self._columns for name in wanted):
            raise DataError(
                f"{folder} is damaged: neighbour lists have the arrays {', '.join(sorted(wanted))}"
            )
        self._first = self._columns.part("first", 0, self._columns.length("first"))
        if len(self._first) != store.total + 1 or self._first[-1] != self._columns.length("neighbor"):
            raise DataError(f"{folder} is damaged: these are lists of other structures")

    def __reduce__(self) -> tuple[Any, ...]:
        return NeighborLists, (self.store, self.folder.absolute())

    def edges(self, index: Int[np.ndarray, " structures"]) -> Int[np.ndarray, " structures"]:
        """How many directed edges structures of the store have."""
        return self._first[index + 1] - self._first[index]

    def of(self, index: Int[np.ndarray, " structures"]) -> Lists:
        """The lists of structures of the store."""
        first, edges = self._first[index], self.edges(index)
        rows = ragged(first, edges)
        some = self.store.pick(index)
        degree = self._columns.take("degree", some.atoms, len(index)).astype(np.int64)
        neighbor = self._columns.take("neighbor", rows, len(index)).astype(np.int64)
        shift = None
        if "shift" in self._columns:
            shift = self._columns.take("shift", rows, len(index)).astype(np.int64)
        return Lists(edges, degree, neighbor, shift)

    def pairs(self, place: int) -> Pairs:
        """The list of one structure of the store."""
        lists = self.of(np.array([place]))
        center = np.repeat(np.arange(len(lists.degree)), lists.degree)
        shift = np.zeros((len(center), 3), np.int64) if lists.shift is None else lists.shift
        return Pairs(center, lists.neighbor, shift)

    def verify(self) -> str:
        """Read everything and compare it with what was written.

        Raises:
            DataError: a file has changed since.
        """
        return self._columns.verify()


def neighbor_lists(
    store: Store, cutoff: float, advance: Callable[[int], None] | None = None
) -> NeighborLists:
    """The neighbour lists of all structures in a store's files within ``cutoff`` (Angstrom).

    Computed where they are not there yet, or damaged; another process that asks for the same at the same time waits for them.
    An interrupted computation leaves nothing that would be used.

    Args:
        store: the store, or a view of it.
        cutoff: Angstrom.
        advance: told how many structures were done since the last time, while they are computed.

    Raises:
        RunError: they cannot be written: the disk is full or the store's folder cannot be written to.
    """
    place = store.path / FOLDER / f"{cutoff:g}-{_key(store, cutoff)}"
    found = _opened(store, place / "lists")
    if found is not None:
        return found
    with _alone(place):
        # another process may have been at it
        found = _opened(store, place / "lists")
        if found is None:
            _compute_into(place / "lists", store.whole, cutoff, advance)
            found = NeighborLists(store, place / "lists")
    return found


def _key(store: Store, cutoff: float) -> str:
    """Of all that the lists depend on."""
    code = [Path(str(module.__file__)).read_text(encoding="utf-8") for module in (neighbors, many)]
    parts = [store.digest, repr(float(cutoff)), *code, version("vesin")]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _opened(store: Store, folder: Path) -> NeighborLists | None:
    """The lists in a folder; None where there are none that can be used."""
    if not folder.is_dir():
        return None
    try:
        found = NeighborLists(store, folder)
        found.verify()
    except DataError:
        return None
    return found


@contextmanager
def _alone(place: Path) -> Iterator[None]:
    """Work in a folder while no other process does."""
    # not on Windows, where everything else works
    import fcntl

    try:
        place.mkdir(parents=True, exist_ok=True)
        lock = (place / "lock").open("w")
    except OSError as problem:
        raise RunError(
            f"neighbour lists are kept in the folder of their store, but {place} cannot be written to: {problem.strerror}"
        ) from None
    with lock:
        # released when the process ends, whatever ends it
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _compute_into(folder: Path, store: Store, cutoff: float, advance: Callable[[int], None] | None) -> None:
    for left in folder.parent.iterdir():
        if left.is_dir():
            shutil.rmtree(left)
    # almost always numbers of a byte or two are enough
    for wide in (False, True):
        try:
            with making(folder) as beside:
                _compute(beside, store, cutoff, wide, advance)
        except OverflowError:
            continue
        return


def _compute(
    folder: Path, store: Store, cutoff: float, wide: bool, advance: Callable[[int], None] | None
) -> None:
    columns: dict[str, tuple[Any, tuple[int, ...]]] = {
        "first": (np.int64, ()),
        "degree": (np.uint32 if wide else np.uint16, ()),
        "neighbor": (np.min_scalar_type(store.most_atoms - 1), ()),
    }
    if store.periodic.any():
        columns["shift"] = (np.int32 if wide else np.int8, (3,))
    total = 0
    with writing(folder, columns) as writers:
        writers["first"].write([0])
        for block in store.blocks(_ATOMS):
            lists = many_pairs(block, cutoff)
            writers["first"].write(total + np.cumsum(lists.edges))
            writers["degree"].write(_fitting(lists.degree, columns["degree"][0]))
            writers["neighbor"].write(lists.neighbor)
            if "shift" in columns:
                shift = np.zeros((len(lists.neighbor), 3)) if lists.shift is None else lists.shift
                writers["shift"].write(_fitting(shift, columns["shift"][0]))
            total += int(lists.edges.sum())
            if advance is not None:
                advance(len(block))
        facts = {"store": store.digest, "cutoff": cutoff, "structures": store.total, "edges": total}
        writers.finish(KIND, VERSION, facts)


def _fitting(values: np.ndarray, dtype: Any) -> np.ndarray:
    """The values, that have to fit into a type; OverflowError where they do not."""
    limits = np.iinfo(dtype)
    if len(values) and (values.max() > limits.max or values.min() < limits.min):
        raise OverflowError
    return values
