"""Reading numpy archives without running code from them."""

import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from hermtk.errors import DataError


def names(path: Path) -> set[str]:
    """The names of the arrays in an archive.

    Raises:
        DataError: the file is no archive of arrays, or it is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return {member.removesuffix(".npy") for member in archive.namelist()}
    except zipfile.BadZipFile:
        raise DataError(f"{path} is damaged or cut, or it is no archive of arrays (.npz)") from None


def load(path: Path, wanted: Iterable[str] | None = None) -> dict[str, np.ndarray]:
    """The arrays of an archive, all or those of ``wanted`` that are there.

    Raises:
        DataError: an array is damaged or holds pickled objects, which could run code.
    """
    chosen = names(path) if wanted is None else names(path) & set(wanted)
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: _array(path, archive, name) for name in sorted(chosen)}
    except ValueError:
        raise DataError(f"{path} is damaged: it does not begin as an archive of arrays does") from None


def _array(path: Path, archive: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    try:
        return np.asarray(archive[name])
    except (zipfile.BadZipFile, zlib.error, EOFError):
        raise DataError(f"{path}: the array {name!r} is damaged") from None
    except ValueError as cause:
        raise DataError(
            f"{path}: the array {name!r} is not plain numbers or text ({cause}); "
            "pickled objects can run code and are never loaded, save it as a plain array"
        ) from None
