"""HDF5 files opened with care: only what is stored in the file itself, and no more of it than it announces."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import RawIOBase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hermtk.data.formats import _hdf5_child
from hermtk.errors import DataError

if TYPE_CHECKING:
    import h5py

# deflate makes at most 1032 bytes of one; what announces more than it can hold is a bomb, or damaged
_DEFLATE, _SLACK = 1032, 1 << 16
# bytes of one chunk, which is unpacked as a whole
_CHUNK = 1 << 26
_LINKS = 8
# what numbers may be packed with; the others of HDF5 are rare, and unpack damaged data without looking
_FILTERS = {"gzip": 1, "shuffle": 2, "fletcher32": 3, "lzf": 32000}


def library() -> Any:
    """The package h5py.

    Raises:
        DataError: it is not installed; says how to.
    """
    try:
        import h5py
    except ImportError:
        raise DataError('HDF5 files need the package h5py: pip install "hermtk[hdf5]"') from None
    return h5py


@contextmanager
def reading(path: Path) -> "Iterator[h5py.File]":
    """The file opened; whatever HDF5 stumbles over in it is an error that names it.

    Raises:
        DataError: no HDF5 file, or a damaged one.
    """
    h5py = library()
    # -P: nothing is imported from the folder of the script or the current one
    command = [sys.executable, "-P", _hdf5_child.__file__, str(path.absolute())]
    # numpy's threads would reserve more memory than it may have
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    quiet = subprocess.DEVNULL
    if subprocess.run(command, stdout=quiet, stderr=quiet, env=environment, check=False).returncode < 0:
        raise DataError(
            f"{path} is damaged: following its table of contents ends the process or does not end"
        )
    try:
        with h5py.File(path, "r", locking=False) as file:
            yield file
    except (DataError, GeneratorExit):
        raise
    # the library reports damage by whatever error is nearest
    except Exception as cause:
        reason = (str(cause).splitlines() or [""])[0]
        raise DataError(f"{path} is damaged or cut, or no HDF5 file: {reason}") from None


@contextmanager
def writing(path: Path) -> "Iterator[tuple[h5py.File, Callable[[], None]]]":
    """A new file, and a function to call now and then, which raises what went wrong with the disk.

    Raises:
        OSError: the disk is full.
    """
    h5py = library()
    with path.open("w+b", buffering=0) as raw:
        disk = _Disk(raw)
        # from 1.10 on HDF5 keeps checksums of its own tables; those of the numbers come with gzip
        with h5py.File(disk, "w", libver=("v110", "v110")) as file:
            yield file, disk.check
        disk.check()


class _Disk(RawIOBase):
    """A file that never fails: HDF5 ends the process when a file that it closes cannot be written. ``check`` tells."""

    def __init__(self, raw: RawIOBase) -> None:
        super().__init__()
        self.raw = raw
        self.problem: OSError | None = None

    def check(self) -> None:
        """Raise the first error that there was."""
        if self.problem is not None:
            raise self.problem

    def write(self, data: Any) -> int:
        done = 0
        while done < len(data) and self.problem is None:
            with self._remembering():
                done += self.raw.write(data[done:]) or 0
        return len(data)

    def readinto(self, buffer: Any) -> int:
        done = 0
        with self._remembering():
            while done < len(buffer) and (got := self.raw.readinto(buffer[done:])):
                done += got
        buffer[done:] = bytes(len(buffer) - done)
        return len(buffer)

    def seek(self, place: int, whence: int = 0) -> int:
        return self.raw.seek(place, whence)

    def tell(self) -> int:
        return self.raw.tell()

    def truncate(self, size: int | None = None) -> int:
        with self._remembering():
            self.raw.truncate(size)
        return size or 0

    def flush(self) -> None:
        """Nothing waits here."""

    @contextmanager
    def _remembering(self) -> Iterator[None]:
        try:
            yield
        except OSError as problem:
            self.problem = self.problem or problem


def group(file: "h5py.File", place: str) -> "h5py.Group | None":
    """The group at a place, if there is one.

    Raises:
        DataError: the way there leads out of the file.
    """
    there = _followed(file, place)
    return there if isinstance(there, library().Group) else None


def dataset(file: "h5py.File", place: str) -> "h5py.Dataset | None":
    """The dataset at a place, if there is one: an array of numbers that is stored in this file.

    Raises:
        DataError: the way there leads out of the file, or the dataset cannot be trusted.
    """
    there = _followed(file, place)
    if not isinstance(there, library().Dataset):
        return None
    _check(file, place, there)
    return there


def _followed(file: "h5py.File", place: str) -> Any:
    """What is at a place, none if nothing; only links that stay within the file are followed."""
    h5py = library()
    here: Any = file
    names, links = place.strip("/").split("/"), 0
    while names:
        name = names.pop(0)
        link = here.get(name, getlink=True) if isinstance(here, h5py.Group) else None
        if link is None:
            return None
        if isinstance(link, h5py.ExternalLink):
            raise DataError(f"{file.filename}: {place!r} is a link to another file, which is not followed")
        if isinstance(link, h5py.SoftLink):
            links += 1
            if links > _LINKS:
                raise DataError(f"{file.filename}: the links at {place!r} lead in a circle")
            here = file if link.path.startswith("/") else here
            names = [*link.path.strip("/").split("/"), *names]
        else:
            here = here[name]
    return here


def _check(file: "h5py.File", place: str, data: "h5py.Dataset") -> None:
    name = f"{file.filename}: the dataset {place!r}"
    if data.is_virtual or data.external:
        raise DataError(f"{name} lies in other files, which are not opened")
    if data.shape is None or data.dtype.kind not in "iufb":
        raise DataError(f"{name} should be an array of numbers, found {data.dtype}")
    others = _filters(data) - {*_FILTERS.values()}
    if others:
        raise DataError(
            f"{name} is packed with the filters {sorted(others)} of HDF5; only {', '.join(_FILTERS)} are read, pack it anew"
        )
    announced = int(np.prod(data.shape, dtype=object)) * data.dtype.itemsize
    if announced > _DEFLATE * data.id.get_storage_size() + _SLACK:
        raise DataError(
            f"{name} announces {announced:,} bytes and {data.id.get_storage_size():,} are stored: it is damaged"
        )
    if data.chunks and int(np.prod(data.chunks, dtype=object)) * data.dtype.itemsize > _CHUNK:
        raise DataError(
            f"{name} has chunks of shape {data.chunks}, which are too large to be read one by one"
        )


def _filters(data: "h5py.Dataset") -> set[int]:
    properties = data.id.get_create_plist()
    return {properties.get_filter(number)[0] for number in range(properties.get_nfilters())}
