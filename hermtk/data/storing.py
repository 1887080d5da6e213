"""Writing stores: structure after structure, in memory that does not grow."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from hermtk.data.checks import check_structure
from hermtk.data.columns import Writers, writing
from hermtk.data.store import ARRAY, COLUMNS, KIND, LABELS, VERSION
from hermtk.data.structure import Structure
from hermtk.errors import DataError
from hermtk.files import making

# written at a time
_STRUCTURES, _ATOMS = 1024, 2**17


class StoreWriter:
    """Adds structures to the columns of a new store. Every structure is checked, so that what reads a store need not."""

    def __init__(self, columns: Writers) -> None:
        self._columns = columns
        self._pending: list[Structure] = []
        self._waiting = self._structures = self._atoms = self._bytes = self._most = 0
        self._counts = dict.fromkeys(LABELS, 0)
        self._elements: set[int] = set()
        self._left_out: dict[str, int] = {}
        self._cells = False
        columns["first"].write([0])
        columns["first_byte"].write([0])

    def add(self, structure: Structure) -> None:
        """Add one structure.

        Raises:
            DataError: it cannot be one.
        """
        check_structure(structure)
        self._pending.append(structure)
        self._waiting += len(structure)
        if len(self._pending) >= _STRUCTURES or self._waiting >= _ATOMS:
            self._flush()

    def finish(self) -> None:
        """Write what is left, and what the store is.

        Raises:
            DataError: nothing was added.
        """
        self._flush()
        if not self._structures:
            raise DataError("a store needs at least one structure")
        facts = {
            "structures": self._structures,
            "atoms": self._atoms,
            "most_atoms": self._most,
            "elements": sorted(self._elements),
            "labels": self._counts,
            "left_out": self._left_out,
            "units": {"energy": "eV", "length": "Angstrom", "stress": "eV/Angstrom^3"},
        }
        empty = [name for name, count in self._counts.items() if not count]
        self._columns.finish(KIND, VERSION, facts, empty if self._cells else [*empty, "cell"])

    def _flush(self) -> None:
        block, self._pending, self._waiting = self._pending, [], 0
        if not block:
            return
        sizes = np.array([len(s) for s in block])
        records = [self._record(s) for s in block]
        numbers = np.concatenate([s.numbers for s in block])
        cells = np.stack([s.cell for s in block])
        columns = {
            "first": self._atoms + np.cumsum(sizes),
            "numbers": numbers,
            "positions": np.concatenate([s.positions for s in block]),
            "cell": cells,
            "pbc": np.stack([s.pbc for s in block]),
            "energy": [np.nan if s.energy is None else s.energy for s in block],
            "forces": np.concatenate([_or_nan(s.forces, (len(s), 3)) for s in block]),
            "stress": np.stack([_or_nan(s.stress, (3, 3)) for s in block]),
            "labels": self._labels(block),
            "records": np.frombuffer(b"".join(records), dtype=np.uint8),
            "first_byte": self._bytes + np.cumsum([len(record) for record in records]),
        }
        for name, rows in columns.items():
            self._columns[name].write(rows)
        self._structures += len(block)
        self._atoms, self._bytes = int(columns["first"][-1]), int(columns["first_byte"][-1])
        self._most = max(self._most, int(sizes.max()))
        self._elements.update(np.unique(numbers).tolist())
        self._cells |= bool(cells.any())

    def _labels(self, block: list[Structure]) -> np.ndarray:
        """Which labels each structure has, a bit each; counted."""
        bits = np.zeros(len(block), np.uint8)
        for name, bit in LABELS.items():
            has = np.array([getattr(s, name) is not None for s in block])
            bits[has] |= bit
            self._counts[name] += int(has.sum())
        return bits

    def _record(self, structure: Structure) -> bytes:
        info = {}
        for name, value in structure.info.items():
            try:
                info[str(name)] = _plain(value)
            except TypeError:
                self._left_out[str(name)] = self._left_out.get(str(name), 0) + 1
        return json.dumps([structure.source, info] if info else [structure.source]).encode()


@contextmanager
def new_store(path: Path | str) -> Iterator[StoreWriter]:
    """A writer with which the block adds structures; the store is there when the block ends well, else nothing is.

    Raises:
        RunError: ``path`` exists or cannot be written.
        DataError: nothing was added.
    """
    with making(Path(path)) as folder, filling(folder) as store:
        yield store


@contextmanager
def filling(folder: Path) -> Iterator[StoreWriter]:
    """The same in an empty folder that is there already."""
    with writing(folder, COLUMNS) as columns:
        store = StoreWriter(columns)
        yield store
        store.finish()


def write_store(path: Path | str, structures: Iterable[Structure]) -> None:
    """Write structures to a new store.

    Raises:
        RunError: ``path`` exists or cannot be written.
        DataError: no structures, or one that cannot be.
    """
    with new_store(path) as store:
        for structure in structures:
            store.add(structure)


def _or_nan(values: np.ndarray | None, shape: tuple[int, ...]) -> np.ndarray:
    return np.full(shape, np.nan) if values is None else values


def _plain(value: Any) -> Any:
    """A value that JSON gives back exactly: numbers, words, arrays of numbers or words, and lists and mappings of those.

    Raises:
        TypeError: it is something else.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic) and value.dtype.kind in "biuf" and value.dtype.itemsize <= 8:
        return value.item()
    if (
        isinstance(value, np.ndarray)
        and value.dtype.kind in "biufU"
        and (value.dtype.kind == "U" or value.dtype.itemsize <= 8)
    ):
        return {ARRAY: value.tolist(), "dtype": value.dtype.str, "shape": list(value.shape)}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, dict) and all(isinstance(name, str) for name in value) and ARRAY not in value:
        return {name: _plain(one) for name, one in value.items()}
    raise TypeError(type(value).__name__)
