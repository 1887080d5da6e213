"""Every other file that ASE reads: its own .traj and .db, CP2K, CIF and so on."""

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

from ase.io import iread, write
from ase.io.formats import UnknownFileTypeError, filetype

from hermtk.data.atoms import from_atoms, to_atoms
from hermtk.data.formats import _guards
from hermtk.data.formats.base import Format
from hermtk.data.structure import Structure
from hermtk.errors import DataError
from hermtk.units import Units

# the files of ASE that hold energies, forces and stresses
KEEPS_LABELS = (".traj", ".db", ".json")
# ASE's formats whose reading does more than read one file: runs it, loads pickles, starts a program, asks a server
REFUSED = {
    "py": "it would be run",
    "bundletrajectory": "it is a folder that may hold pickles, which can run code",
    "castep-cell": "ASE starts the program castep to read it",
    "castep-castep": "ASE starts the program castep to read it",
    "castep-geom": "ASE starts the program castep to read it",
    "castep-md": "ASE starts the program castep to read it",
    "postgresql": "it is on a server",
    "mysql": "it is on a server",
}


class ASE(Format):
    """The fall-back where no other format recognises a file; ASE itself converts to eV and Angstrom."""

    def read(self, path: Path, units: Units | None = None) -> Iterator[Structure]:
        if units not in (None, Units()):
            raise DataError(f"{path}: ASE reads this file as eV and Angstrom already; leave its units out")
        kind = _kind(path)
        _check_kind(path, kind)
        # absolute and whole: a name such as postgres... or set@1.traj is a file's name here and nothing else
        images = iread(str(path.absolute()), index=":", format=kind, do_not_split_by_at_sign=True)
        frame = 0
        while True:
            try:
                with _guards.bounded_memory(path):
                    atoms = next(images, None)
            # ASE's parsers raise whatever a damaged file makes them stumble over
            except Exception as cause:
                raise DataError(
                    f"{path}:{frame}: ASE cannot read this file: {_guards.short(cause)}"
                ) from cause
            if atoms is None:
                return
            yield from_atoms(atoms, f"{path}:{frame}")
            frame += 1

    def write(self, path: Path, structures: Iterable[Structure]) -> None:
        if path.suffix.lower() not in KEEPS_LABELS:
            raise DataError(
                f"labels would be lost in a file that ends in {path.suffix or path.name!r}; write .extxyz, .npz or one of ASE's "
                f"own, {', '.join(KEEPS_LABELS)}"
            )
        try:
            write(path, [to_atoms(structure) for structure in structures])
        except sqlite3.OperationalError as cause:
            raise OSError(str(cause)) from cause


def _kind(path: Path) -> str:
    """What ASE takes the file for, by its name and its first bytes."""
    if path.is_dir():
        raise DataError(f"{path} is a folder; ASE's formats that are read here are files")
    # expands a compressed file once, so that a bomb or a damaged one is refused here
    _guards.opened(path).close()
    try:
        return filetype(str(path.absolute()))
    except UnknownFileTypeError:
        raise DataError(f"{path}: neither hermtk nor ASE knows this kind of file") from None
    except Exception as cause:
        raise DataError(f"{path}: ASE cannot tell what this file is: {_guards.short(cause)}") from cause


def _check_kind(path: Path, kind: str) -> None:
    if kind in REFUSED:
        raise DataError(
            f"{path} is not read as ASE's {kind!r}: {REFUSED[kind]}; convert it with ASE yourself"
        )
    if kind == "db":
        _check_database(path)
    if _guards.is_xml(path):
        with _guards.opened(path) as file:
            # Materials Studio writes an empty document type
            _guards.check_xml(path, file, doctype=True)


def _check_database(path: Path) -> None:
    """Refuse SQLite files that are no database of ASE, which ASE would make into one, and tables that compute their rows."""
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            kinds = dict(connection.execute("SELECT name, type FROM sqlite_master"))
        finally:
            connection.close()
    except sqlite3.Error as cause:
        raise DataError(f"{path} is no database of ASE or it is damaged: {cause}") from None
    if kinds.get("systems") != "table" or {"view", "trigger"} & set(kinds.values()):
        raise DataError(f"{path} is no database of ASE: it has no plain table 'systems'")
