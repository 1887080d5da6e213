"""Reading numpy archives without running code from them, and without believing the sizes that they announce."""

import contextlib
import zipfile
from collections.abc import Iterable, Iterator
from io import BufferedIOBase
from math import prod
from pathlib import Path
from typing import cast

import numpy as np

from hermtk.data.formats import _guards
from hermtk.errors import DataError

# an array without bytes, of shape (10**12, 0, 3) for instance, may still be walked through
LONGEST_EMPTY = 10**6
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def names(path: Path) -> set[str]:
    """The names of the arrays in an archive.

    Raises:
        DataError: the file is no archive of arrays, or it is damaged.
    """
    with _opened(path) as archive:
        return {member.removesuffix(".npy") for member in archive.namelist()}


def holds(path: Path, *wanted: str) -> bool:
    """Whether a file is an archive that has all these arrays."""
    if path.suffix.lower() != ".npz":
        return False
    try:
        return set(wanted) <= names(path)
    except DataError:
        return False


def load(path: Path, wanted: Iterable[str] | None = None) -> dict[str, np.ndarray]:
    """The arrays of an archive, all or those of ``wanted`` that are there.

    Raises:
        DataError: an array is damaged, is not as large as it says, expands too far, or holds pickled objects, which could run
            code.
    """
    with _opened(path) as archive:
        members = {member.filename.removesuffix(".npy"): member for member in archive.infolist()}
        chosen = sorted(members if wanted is None else members.keys() & set(wanted))
        _guards.check_expansion(path, sum(members[name].file_size for name in chosen))
        return {name: _array(path, archive, members[name], name) for name in chosen}


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        archive = zipfile.ZipFile(path)
    except FileNotFoundError:
        raise
    # zipfile raises its own error for most damage, and others for offsets and names that cannot be
    except Exception:
        raise DataError(f"{path} is damaged or cut, or it is no archive of arrays (.npz)") from None
    with archive:
        yield archive


def _array(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> np.ndarray:
    try:
        with archive.open(member) as file:
            _check_header(path, cast(BufferedIOBase, file), member.file_size, name)
        with archive.open(member) as file:
            return np.lib.format.read_array(file, allow_pickle=False)
    except DataError:
        raise
    # numpy evaluates the header as a literal, whose faults are of many kinds, and so are those of packed members
    except Exception as cause:
        raise DataError(f"{path}: the array {name!r} is damaged: {_guards.short(cause)}") from None


def _check_header(path: Path, file: BufferedIOBase, size: int, name: str) -> None:
    """Refuse what is no array of plain values, and an array that announces more or less than its ``size`` bytes."""
    version = np.lib.format.read_magic(file)
    if version not in _HEADERS:
        raise DataError(
            f"{path}: the array {name!r} is not plain numbers or text (version {version} of .npy)"
        )
    shape, _, dtype = _HEADERS[version](file)
    if dtype.hasobject:
        raise DataError(
            f"{path}: the array {name!r} is not plain numbers or text but pickled objects, which can run code "
            "and are never loaded; save it as a plain array"
        )
    announced = prod(shape) * dtype.itemsize
    if announced != size - file.tell() or min(shape, default=0) < 0:
        raise DataError(
            f"{path}: the array {name!r} is damaged: it announces shape {shape} of {dtype}, {announced:,} bytes, "
            f"and has {size - file.tell():,}"
        )
    if announced == 0 and max(shape, default=0) > LONGEST_EMPTY:
        raise DataError(f"{path}: the array {name!r} of shape {shape} is empty but very long")
