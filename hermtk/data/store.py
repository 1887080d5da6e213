"""The store: structures of a set that is larger than memory, as plain arrays on disk.

A folder ``NAME.store`` of columns (see ``columns``), for S structures of together A atoms: ``first`` [S + 1] the first atom of
each structure, ``numbers`` [A] bytes, ``positions`` [A, 3] and ``forces`` [A, 3] float64, ``cell`` [S, 3, 3], ``pbc`` [S, 3],
``energy`` [S], ``stress`` [S, 3, 3], ``labels`` [S] which labels a structure has, and ``records``, the source and info of each
as JSON, with ``first_byte`` [S + 1]. All in eV and Angstrom. Columns without any content are left out.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
from jaxtyping import Bool, Float, Int

from hermtk.data.columns import META, Columns, ragged, starts
from hermtk.data.structure import Structure
from hermtk.errors import DataError

KIND, VERSION, SUFFIX = "hermtk store", 1, ".store"
# the bit of each label in the column ``labels``
LABELS = {"energy": 1, "forces": 2, "stress": 4}
COLUMNS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "first": (np.int64, ()),
    "numbers": (np.uint8, ()),
    "positions": (np.float64, (3,)),
    "cell": (np.float64, (3, 3)),
    "pbc": (np.bool_, (3,)),
    "energy": (np.float64, ()),
    "forces": (np.float64, (3,)),
    "stress": (np.float64, (3, 3)),
    "labels": (np.uint8, ()),
    "records": (np.uint8, ()),
    "first_byte": (np.int64, ()),
}
# rows of these columns are atoms, of the others structures
PER_ATOM = frozenset({"numbers", "positions", "forces"})
# the key that tells an array from a mapping in a record
ARRAY = "__array__"
# read at a time
_ATOMS = 2**17


class Store(Sequence[Structure]):
    """The structures of a store, or some of them: read when they are asked for, never held.

    Slices and ``pick`` give views of the same files. A store can be sent to another process, which opens the files itself.
    """

    def __init__(self, path: Path | str, index: Int[np.ndarray, " structures"] | None = None) -> None:
        """Open a store; ``index``: which structures of it, all if None.

        Raises:
            DataError: it is none, or its files are not those that were written.
        """
        self.path = Path(path)
        self._columns = Columns(self.path, KIND, VERSION, str(path))
        self._first = _first_atoms(self._columns)
        self.index: Int[np.ndarray, " structures"] = np.arange(self.total) if index is None else index
        # by place in the files; None for those of the files
        self._energies: Float[np.ndarray, " all"] | None = None

    @property
    def total(self) -> int:
        """How many structures the files hold, whichever of them this view shows."""
        return len(self._first) - 1

    @property
    def most_atoms(self) -> int:
        """Atoms of the largest structure in the files."""
        return int(np.diff(self._first).max(initial=0))

    @property
    def digest(self) -> str:
        """The SHA-256 of the content of the files, as they were written; ``verify`` compares."""
        return self._columns.digest

    def verify(self) -> str:
        """Read everything once and compare it with what was written; the digest.

        Raises:
            DataError: a file has changed since.
        """
        return self._columns.verify()

    def pick(self, chosen: Any) -> "Store":
        """Some structures of this view by their places in it, in this order."""
        return self._view(self.index[chosen])

    def with_energies(self, energies: Float[np.ndarray, " structures"]) -> "Store":
        """The same structures with other values in the place of the energy, NaN for none, and without forces and stress."""
        view = self._view(self.index)
        view._energies = np.full(self.total, np.nan)
        view._energies[self.index] = energies
        return view

    def __len__(self) -> int:
        return len(self.index)

    @overload
    def __getitem__(self, place: int) -> Structure: ...
    @overload
    def __getitem__(self, place: slice) -> "Store": ...
    def __getitem__(self, place: int | slice) -> "Structure | Store":
        if isinstance(place, slice):
            return self.pick(place)
        one = self.pick(slice(place, place + 1 or None))
        if not len(one):
            raise IndexError(f"{self.path}: there is no structure {place} among {len(self)}")
        return next(one._structures())

    def __iter__(self) -> Iterator[Structure]:
        for block in self.blocks():
            yield from block._structures()

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self.path.absolute(), self.digest, self.index, self._energies)

    @property
    def sizes(self) -> Int[np.ndarray, " structures"]:
        """Atoms of each structure."""
        return self._first[self.index + 1] - self._first[self.index]

    @property
    def atoms(self) -> Int[np.ndarray, " atoms"]:
        """The rows of the structures' atoms in the columns of the files, end to end."""
        return ragged(self._first[self.index], self.sizes)

    @property
    def whole(self) -> "Store":
        """All structures in the files."""
        return self._view(np.arange(self.total))

    @property
    def periodic(self) -> Bool[np.ndarray, " structures"]:
        """Whether some direction of each structure repeats."""
        return np.any(self.values("pbc"), axis=1)

    def numbers_of(self, place: int) -> Int[np.ndarray, " atoms"]:
        """The atomic numbers of one structure, nothing else read."""
        return self.pick([place]).rows("numbers").astype(np.int64)

    def rows(self, name: str) -> np.ndarray:
        """A column of atoms, ``numbers``, ``positions`` or ``forces``, of all structures end to end."""
        if not self._has_column(name):
            return np.full((int(self.sizes.sum()), 3), np.nan)
        return self._pieces(name, self._first[self.index], self.sizes)

    def values(self, name: str) -> np.ndarray:
        """A column of structures, ``energy``, ``cell``, ``pbc`` or ``stress``; NaN where a label is missing."""
        if name == "energy" and self._energies is not None:
            return self._energies[self.index]
        if not self._has_column(name):
            return np.full((len(self), *COLUMNS[name][1]), 0.0 if name == "cell" else np.nan)
        return self._columns.take(name, self.index, len(self))

    def has(self, label: str) -> Bool[np.ndarray, " structures"]:
        """Which structures have a label: ``energy``, ``forces`` or ``stress``."""
        if label == "energy" and self._energies is not None:
            return ~np.isnan(self._energies[self.index])
        return (self.values("labels") & LABELS[label] > 0) & self._has_column(label)

    def origin(self, place: int) -> str:
        """The file and frame that a structure came from before it was in the store."""
        return next(self.pick([place])._records())[0]

    def blocks(self, atoms: int = _ATOMS) -> Iterator["Store"]:
        """The view in pieces of about so many atoms, to be worked on as arrays."""
        return blocks(self, atoms)  # type: ignore[return-value]

    def _has_column(self, name: str) -> bool:
        """Whether the files have a column, and the view shows it."""
        replaced = self._energies is not None and name in LABELS
        return name in self._columns and not replaced

    def _view(self, index: Int[np.ndarray, " some"]) -> "Store":
        view = object.__new__(Store)
        view.path, view._columns, view._first, view.index = self.path, self._columns, self._first, index
        view._energies = self._energies
        return view

    def _structures(self) -> Iterator[Structure]:
        ends = starts(self.sizes)
        numbers, positions, forces = (self.rows(name) for name in ("numbers", "positions", "forces"))
        cell, pbc, energy, stress = (self.values(name) for name in ("cell", "pbc", "energy", "stress"))
        has = {name: self.has(name) for name in LABELS}
        for k, (_, info) in enumerate(self._records()):
            atoms = slice(ends[k], ends[k + 1])
            yield Structure(
                numbers=numbers[atoms].astype(np.int64),
                positions=positions[atoms].copy(),
                cell=cell[k].copy(),
                pbc=pbc[k].copy(),
                energy=float(energy[k]) if has["energy"][k] else None,
                forces=forces[atoms].copy() if has["forces"][k] else None,
                stress=stress[k].copy() if has["stress"][k] else None,
                source=f"{self.path}:{self.index[k]}",
                info=info,
            )

    def _records(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Source and info of each structure."""
        first, last = (self._columns.take("first_byte", self.index + k, len(self)) for k in (0, 1))
        ends = starts(last - first)
        text = self._pieces("records", first, last - first).tobytes()
        for k, place in enumerate(self.index.tolist()):
            try:
                source, *info = json.loads(text[ends[k] : ends[k + 1]])
                yield str(source), _arrays(*info) if info else {}
            except (ValueError, TypeError, KeyError, RecursionError):
                raise DataError(f"{self.path}:{place}: the record of this structure cannot be read") from None

    def _pieces(self, name: str, first: np.ndarray, sizes: np.ndarray) -> np.ndarray:
        """Pieces of a column end to end; those that lie end to end already are read at once."""
        total = int(sizes.sum())
        if len(first) and np.array_equal(first[1:], first[:-1] + sizes[:-1]):
            return self._columns.part(name, int(first[0]), int(first[0]) + total)
        return self._columns.take(name, ragged(first, sizes), len(self))


def labelled(structures: Sequence[Structure], label: str) -> Bool[np.ndarray, " structures"]:
    """Which structures have a label: ``energy``, ``forces`` or ``stress``."""
    if isinstance(structures, Store):
        return structures.has(label)
    return np.array([getattr(s, label) is not None for s in structures], dtype=bool)


def picked(structures: Sequence[Structure], places: Int[np.ndarray, " some"]) -> Sequence[Structure]:
    """Some structures in this order: of a store a view, else a list."""
    if isinstance(structures, Store):
        return structures.pick(places)
    return [structures[place] for place in places]


def blocks(structures: Sequence[Structure], atoms: int = _ATOMS) -> Iterator[Sequence[Structure]]:
    """The structures in consecutive pieces of about so many atoms: of a store views."""
    sizes = structures.sizes if isinstance(structures, Store) else np.array([len(s) for s in structures])
    ends, first = np.cumsum(sizes), 0
    while first < len(ends):
        before = ends[first - 1] if first else 0
        last = max(int(np.searchsorted(ends, before + atoms, side="right")), first + 1)
        yield structures[first:last]
        first = last


def is_store(path: Path) -> bool:
    """Whether a folder is a store: by its name and what is in it."""
    return path.name.lower().endswith(SUFFIX) and (path / META).is_file()


def _reopen(
    path: Path,
    digest: str,
    index: Int[np.ndarray, " structures"],
    energies: Float[np.ndarray, " all"] | None,
) -> Store:
    store = Store(path, index)
    store._energies = energies
    if store.digest != digest:
        raise DataError(f"{path} is not the store any more that this work began with")
    return store


def _first_atoms(columns: Columns) -> Int[np.ndarray, " ends"]:
    """The first atom of each structure, and that every column has as many rows as it says.

    Raises:
        DataError: they do not fit together.
    """
    known = set(COLUMNS) - {"cell", *LABELS}
    if any(name not in columns for name in known):
        raise DataError(f"{columns.what} is damaged: a store has the arrays {', '.join(sorted(known))}")
    first = columns.part("first", 0, columns.length("first"))
    n = len(first) - 1
    facts = columns.meta["arrays"]
    for name, (dtype, shape) in COLUMNS.items():
        if name in columns:
            rows = {"first": n + 1, "first_byte": n + 1, "records": columns.length("records")}
            wanted = rows.get(name, int(first[-1]) if n >= 0 and name in PER_ATOM else n)
            if facts[name]["shape"] != [wanted, *shape] or np.dtype(facts[name]["dtype"]) != np.dtype(dtype):
                raise DataError(f"{columns.what} is damaged: {name}.npy does not fit to the other arrays")
    if n < 1 or first[0] != 0 or (np.diff(first) < 1).any():
        raise DataError(f"{columns.what} is damaged: first.npy should hold rising numbers from 0")
    return first


def _arrays(value: Any) -> Any:
    """The value that was written as this one."""
    if isinstance(value, list):
        return [_arrays(one) for one in value]
    if isinstance(value, dict):
        if ARRAY in value:
            dtype = np.dtype(value["dtype"])
            return np.array(value[ARRAY], dtype=str if dtype.kind == "U" else dtype).reshape(value["shape"])
        return {name: _arrays(one) for name, one in value.items()}
    return value
