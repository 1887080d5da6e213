"""Columns of numbers on disk: written row by row, read through memory maps, checked against what was written.

A folder of columns holds ``NAME.npy`` for each and ``meta.json`` with their types, row counts and SHA-256. Any numpy reads them.
"""

import hashlib
import io
import json
import math
import mmap
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from hermtk.errors import DataError

META = "meta.json"
# bytes of memory maps that may have been touched before their pages are given back
_KEPT = 128 * 2**20
# Linux maps this much around a page that is touched (fault_around_bytes)
_AROUND = 64 * 2**10
_CHUNK = 2**22


class ColumnWriter:
    """One growing array in a ``.npy`` file: rows of ``shape`` and ``dtype``, any number of them."""

    def __init__(self, path: Path, dtype: Any, shape: tuple[int, ...] = ()) -> None:
        self.dtype, self.shape, self.rows = np.dtype(dtype), shape, 0
        self._file: BinaryIO = path.open("wb")
        self._hash = hashlib.sha256()
        self._header()
        self._start = self._file.tell()

    def write(self, rows: Any) -> None:
        """Add rows; the values are cast without a check, so they have to fit."""
        array = np.ascontiguousarray(rows, dtype=self.dtype).reshape(-1, *self.shape)
        self._file.write(array.data if array.size else b"")
        self._hash.update(array.data if array.size else b"")
        self.rows += len(array)

    def close(self) -> dict[str, Any]:
        """Finish the file; what ``meta.json`` says of it."""
        self._file.seek(0)
        self._header()
        if self._file.tell() != self._start:
            raise AssertionError("numpy leaves room in the header for any number of rows")
        self._file.close()
        return {"dtype": self.dtype.str, "shape": [self.rows, *self.shape], "sha256": self._hash.hexdigest()}

    def abandon(self) -> None:
        """Let go of a file that will not be finished."""
        self._file.close()

    def _header(self) -> None:
        self._file.write(_header(self.dtype, (self.rows, *self.shape)))


class Writers:
    """The columns of a folder while they are written, by name."""

    def __init__(self, folder: Path, columns: Mapping[str, ColumnWriter]) -> None:
        self.folder, self.columns = folder, columns

    def __getitem__(self, name: str) -> ColumnWriter:
        return self.columns[name]

    def finish(self, kind: str, version: int, facts: Mapping[str, Any], empty: Iterable[str] = ()) -> None:
        """Close the columns, drop those in ``empty``, write ``meta.json``."""
        closed = {name: column.close() for name, column in self.columns.items()}
        for name in empty:
            (self.folder / f"{name}.npy").unlink()
            del closed[name]
        meta = {"kind": kind, "version": version, **facts, "arrays": closed}
        meta["sha256"] = _digest(meta)
        (self.folder / META).write_text(json.dumps(meta, indent=1), encoding="utf-8")


@contextmanager
def writing(folder: Path, columns: Mapping[str, tuple[Any, tuple[int, ...]]]) -> Iterator[Writers]:
    """Open columns in an empty folder, each of a type and a shape of its rows; they are closed whatever happens."""
    opened: dict[str, ColumnWriter] = {}
    try:
        for name, (dtype, shape) in columns.items():
            opened[name] = ColumnWriter(folder / f"{name}.npy", dtype, shape)
        yield Writers(folder, opened)
    finally:
        for column in opened.values():
            column.abandon()


class Columns:
    """The columns of a folder, read through memory maps.

    Pages of a map that were touched count as memory of the process, so they are given back now and then; the system keeps what it
    has room for and reads the rest again.
    """

    def __init__(self, folder: Path, kind: str, version: int, what: str) -> None:
        """Open a folder; ``what`` is how errors call it.

        Raises:
            DataError: it is none of this kind, newer than this version of hermtk, or its files are not those that were written.
        """
        self.folder, self.what = folder, what
        self.meta = _read_meta(folder, kind, version, what)
        self._maps: dict[str, np.memmap] = {}
        self._arrays: dict[str, np.ndarray] = {}
        self._touched = 0
        for name, facts in self._facts().items():
            self._open(name, facts)

    @property
    def digest(self) -> str:
        """The SHA-256 of the content, as it was written."""
        return str(self.meta["sha256"])

    def __contains__(self, name: str) -> bool:
        return name in self._arrays

    def length(self, name: str) -> int:
        """How many rows a column has."""
        return len(self._arrays[name])

    def part(self, name: str, first: int, last: int) -> np.ndarray:
        """A copy of consecutive rows."""
        rows = self._arrays[name][first:last].copy()
        self._touch(_AROUND + rows.nbytes)
        return rows

    def take(self, name: str, rows: np.ndarray, places: int) -> np.ndarray:
        """A copy of any rows; ``places`` is about how many separate runs of rows they are."""
        taken = self._arrays[name][rows]
        self._touch(min(places * _AROUND, self._arrays[name].nbytes) + taken.nbytes)
        return taken

    def verify(self) -> str:
        """Read everything and compare it with what was written; the digest.

        Raises:
            DataError: a file has changed since.
        """
        for name, facts in self._facts().items():
            if _file_digest(self.folder / f"{name}.npy", self._arrays[name].nbytes) != facts["sha256"]:
                raise DataError(f"{self.what} is damaged: {name}.npy is not what was written")
        if self.digest != _digest(self.meta):
            raise DataError(f"{self.what} is damaged: {META} is not what was written")
        return self.digest

    def _facts(self) -> dict[str, Any]:
        return self.meta["arrays"]

    def _open(self, name: str, facts: Any) -> None:
        path = self.folder / f"{name}.npy"
        try:
            dtype, shape = np.dtype(facts["dtype"]), tuple(facts["shape"])
            if dtype.hasobject or not all(type(n) is int and n >= 0 for n in shape):
                raise ValueError(f"{META} says that it holds {dtype} {shape}")
            header = _header(dtype, shape)
            start = len(header)
            size = start + math.prod(shape) * dtype.itemsize
            with path.open("rb") as file:
                if file.read(start) != header or path.stat().st_size != size:
                    raise ValueError(f"it should have {size} bytes of {dtype} {shape}")
            if size == start:
                self._arrays[name] = np.zeros(shape, dtype)
                return
            mapped = np.memmap(path, dtype=dtype, mode="r", offset=start, shape=shape)
        except (OSError, ValueError, TypeError, KeyError, OverflowError) as cause:
            said = str(cause).splitlines()[0] if str(cause) else type(cause).__name__
            raise DataError(f"{self.what} is damaged: {name}.npy: {said}") from None
        self._maps[name] = mapped
        # slices of a plain array cost a fifth of those of a memmap
        self._arrays[name] = mapped.view(np.ndarray)

    def _touch(self, size: int) -> None:
        self._touched += size
        if self._touched > _KEPT:
            self.release()

    def release(self) -> None:
        """Give the pages of the maps back to the system; nothing that was taken is lost."""
        self._touched = 0
        if hasattr(mmap, "MADV_DONTNEED"):
            for mapped in self._maps.values():
                mapped._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]


def ragged(first: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The rows ``first[k]``, ``first[k] + 1`` ... of pieces of ``lengths[k]``, one piece after the other."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total) + np.repeat(first - (ends - lengths), lengths)


def starts(lengths: np.ndarray) -> np.ndarray:
    """Where pieces of these lengths begin when they lie end to end, and where the last one ends [n + 1]."""
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])


def _header(dtype: np.dtype, shape: tuple[int, ...]) -> bytes:
    """What an array's file begins with; numpy leaves room in it for any number of rows."""
    buffer = io.BytesIO()
    described = {"descr": dtype.str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, described)
    return buffer.getvalue()


def _read_meta(folder: Path, kind: str, version: int, what: str) -> dict[str, Any]:
    try:
        meta = json.loads((folder / META).read_text(encoding="utf-8"))
        known = meta["kind"] == kind and isinstance(meta["arrays"], dict) and isinstance(meta["sha256"], str)
        written = int(meta["version"])
    except OSError as cause:
        raise DataError(f"{what} cannot be opened: {META}: {cause.strerror or cause}") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise DataError(f"{what} is damaged: {META} cannot be read") from None
    if not known:
        raise DataError(f"{what} is damaged: {META} does not describe a {kind}")
    if written != version:
        raise DataError(
            f"{what} has version {written} of its layout, this hermtk reads {version}: "
            "make it anew, or use the version of hermtk that made it"
        )
    return meta


def _digest(meta: Mapping[str, Any]) -> str:
    plain = {name: value for name, value in meta.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def _file_digest(path: Path, size: int) -> str:
    """Of the last ``size`` bytes of a file, read through a small buffer."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        file.seek(path.stat().st_size - size)
        while piece := file.read(_CHUNK):
            digest.update(piece)
    return digest.hexdigest()
