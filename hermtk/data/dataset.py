"""Files of structures: found, read, checked, written."""

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path

from hermtk.data.checks import check_structure
from hermtk.data.formats import _npz
from hermtk.data.formats.base import Format
from hermtk.data.store import Store, is_store
from hermtk.data.structure import Structure
from hermtk.errors import DataError, HermtkError
from hermtk.files import making, replacing
from hermtk.registry import checked_options, entries, find
from hermtk.units import Units

# reads whatever the others do not recognise
FALLBACK = "ase"


def read_structures(
    path: Path | str, *, format: str | None = None, units: Units | None = None
) -> list[Structure]:
    """Every structure of a file, in our units and checked: the list of ``iterate_structures``."""
    return list(iterate_structures(path, format=format, units=units))


def open_structures(
    path: Path | str, *, format: str | None = None, units: Units | None = None
) -> Sequence[Structure]:
    """The structures of a file: those of a store stay on disk, compared with what was written; others are read.

    Raises:
        DataError, UnknownName: as ``iterate_structures``.
    """
    if is_store(Path(path)) and format in (None, "store") and units in (None, Units()):
        store = Store(path)
        store.verify()
        return store
    return read_structures(path, format=format, units=units)


def iterate_structures(
    path: Path | str,
    *,
    format: str | None = None,
    units: Units | None = None,
    faulty: Callable[[Structure, DataError], None] | None = None,
) -> Iterator[Structure]:
    """The structures of a file one after the other, in our units and checked.

    Args:
        path: the file, or the folder of a format whose data sets are folders.
        format: the name of a format; without it the file's name and content decide.
        units: what the file's numbers are in, where the format does not say it.
        faulty: told of structures that cannot be (a force that is not finite, two atoms at one place), which are then left
            out; without it the first one is raised. A file that cannot be read on is raised in any case.

    Raises:
        DataError: no such file, an empty or damaged one, or a structure that cannot be (names file and frame).
        UnknownName: no format of that name.
        ConfigError: a format with an option that has no default.
    """
    path = Path(path)
    found = False
    try:
        _check_file(path)
        name = format or recognised(path)
        for structure in _made(name).read(path, units):
            found = True
            try:
                check_structure(structure)
            except DataError as problem:
                if faulty is None:
                    raise
                faulty(structure, problem)
                continue
            yield structure
    except OSError as cause:
        raise DataError(f"{path} cannot be read: {_reason(cause)}") from cause
    if not found:
        raise DataError(f"{path} holds no structures (read as {name})")


def write_structures(path: Path | str, structures: Iterable[Structure], *, format: str | None = None) -> None:
    """Write structures with their labels; the file is there whole or not at all.

    ``format`` is the name of a format; without it the suffix of ``path`` decides. Formats that can write one structure
    after the other take them from an iterator without holding them all.

    Raises:
        RunError: the file cannot be written, a full disk for instance.
        DataError: nothing to write, or the format cannot hold these structures.
        UnknownName: no format of that name.
    """
    path = Path(path)
    writer = _made(format or _writable(path))
    coming = iter(structures)
    first = next(coming, None)
    if first is None:
        raise DataError(f"there are no structures to write to {path}")
    place = making if writer.folder else replacing
    with place(path) as beside:
        writer.write(beside, chain([first], coming))


def file_digest(path: Path | str) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal; of a folder, that of its files' names and digests in order.

    Of a store, that of what was written to it: neighbour lists kept in its folder do not change it.
    """
    path = Path(path)
    if is_store(path):
        return Store(path).digest
    if path.is_dir():
        names = sorted(file for file in path.rglob("*") if file.is_file())
        lines = (f"{file.relative_to(path).as_posix()} {file_digest(file)}\n" for file in names)
        return hashlib.sha256("".join(lines).encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def builtin_path() -> Path:
    """The embedded example set: ethanol, PBE/def2-SVP energies and forces along 500 K molecular dynamics."""
    return Path(__file__).parent / "builtin" / "ethanol.npz"


def _check_file(path: Path) -> None:
    if not path.exists():
        raise DataError(f"there is no file {path}")
    if not (path.is_file() or path.is_dir()):
        raise DataError(f"{path} is neither a file nor a folder")
    if path.is_file() and path.stat().st_size == 0:
        raise DataError(f"{path} is empty")


def recognised(path: Path) -> str:
    """The name of the format that reads a file or folder.

    Raises:
        DataError: none does.
    """
    for name, format in _formats().items():
        # a plugin whose look at the file fails does not stop the others
        with contextlib.suppress(Exception):
            if format.folder == path.is_dir() and format.recognises(path):
                return name
    if path.is_dir():
        folders = ", ".join(name for name, format in _formats().items() if format.folder)
        raise DataError(
            f"{path} is a folder that no format recognises (data sets in folders: {folders or 'none'})"
        )
    if path.suffix.lower() == ".npz":
        raise DataError(
            f"{path} holds {', '.join(sorted(_npz.names(path))) or 'nothing'}, which no format recognises; "
            "see the page on data for the archives that can be read"
        )
    return FALLBACK


def _made(name: str) -> Format:
    """A format with its options at their defaults."""
    return find("format", name)(**checked_options("format", name, {}))


def _writable(path: Path) -> str:
    for name, format in _formats().items():
        if path.name.lower().endswith(format.suffixes) and format.write is not Format.write:
            return name
    return FALLBACK


def _formats() -> dict[str, type[Format]]:
    loaded = {}
    for name, entry in entries("format").items():
        # a plugin that cannot be loaded disables only itself
        with contextlib.suppress(HermtkError):
            loaded[name] = entry.load()
    return loaded


def _reason(cause: OSError) -> str:
    return cause.strerror or str(cause)
