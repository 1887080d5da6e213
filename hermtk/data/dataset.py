"""Files of structures: found, read, checked, written."""

import contextlib
import hashlib
from collections.abc import Sequence
from pathlib import Path

from hermtk.data.checks import check_structure
from hermtk.data.formats import _npz
from hermtk.data.formats.base import Format
from hermtk.data.structure import Structure
from hermtk.errors import DataError, HermtkError
from hermtk.files import replacing
from hermtk.registry import entries, find
from hermtk.units import Units

# reads whatever the others do not recognise
FALLBACK = "ase"


def read_structures(
    path: Path | str, *, format: str | None = None, units: Units | None = None
) -> list[Structure]:
    """Every structure of a file, in our units and checked.

    Args:
        path: the file.
        format: the name of a format; without it the file's name and content decide.
        units: what the file's numbers are in, where the format does not say it.

    Raises:
        DataError: no such file, an empty or damaged one, or a structure that cannot be (names file and frame).
        UnknownName: no format of that name.
    """
    path = Path(path)
    try:
        _check_file(path)
        name = format or _recognised(path)
        structures = []
        for structure in find("format", name)().read(path, units):
            check_structure(structure)
            structures.append(structure)
    except OSError as cause:
        raise DataError(f"{path} cannot be read: {_reason(cause)}") from cause
    if not structures:
        raise DataError(f"{path} holds no structures (read as {name})")
    return structures


def write_structures(path: Path | str, structures: Sequence[Structure], *, format: str | None = None) -> None:
    """Write structures with their labels; the file is there whole or not at all.

    ``format`` is the name of a format; without it the suffix of ``path`` decides.

    Raises:
        RunError: the file cannot be written, a full disk for instance.
        DataError: nothing to write, or the format cannot hold these structures.
        UnknownName: no format of that name.
    """
    path = Path(path)
    if not structures:
        raise DataError(f"there are no structures to write to {path}")
    writer = find("format", format or _writable(path))()
    with replacing(path) as beside:
        writer.write(beside, structures)


def file_digest(path: Path | str) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def builtin_path() -> Path:
    """The embedded example set: ethanol, PBE/def2-SVP energies and forces along 500 K molecular dynamics."""
    return Path(__file__).parent / "builtin" / "ethanol.npz"


def _check_file(path: Path) -> None:
    if not path.exists():
        raise DataError(f"there is no file {path}")
    if not path.is_file():
        raise DataError(f"{path} is not a file")
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty")


def _recognised(path: Path) -> str:
    for name, format in _formats().items():
        if format.recognises(path):
            return name
    if path.suffix.lower() == ".npz":
        raise DataError(
            f"{path} holds {', '.join(sorted(_npz.names(path))) or 'nothing'}, which no format recognises; "
            "see the page on data for the archives that can be read"
        )
    return FALLBACK


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
