"""Every other file that ASE reads: its own .traj and .db, VASP, CP2K, CIF and so on."""

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

from ase.io import iread, write
from ase.io.formats import UnknownFileTypeError

from hermtk.data.atoms import from_atoms, to_atoms
from hermtk.data.formats.base import Format
from hermtk.data.structure import Structure
from hermtk.errors import DataError
from hermtk.units import Units

# the files of ASE that hold energies, forces and stresses
KEEPS_LABELS = (".traj", ".db", ".json")


class ASE(Format):
    """The fall-back where no other format recognises a file; ASE itself converts to eV and Angstrom."""

    def read(self, path: Path, units: Units | None = None) -> Iterator[Structure]:
        if units not in (None, Units()):
            raise DataError(f"{path}: ASE reads this file as eV and Angstrom already; leave its units out")
        frame = 0
        try:
            for atoms in iread(path, index=":"):
                yield from_atoms(atoms, f"{path}:{frame}")
                frame += 1
        except (DataError, GeneratorExit):
            raise
        except UnknownFileTypeError:
            raise DataError(f"{path}: neither hermtk nor ASE knows this kind of file") from None
        # ASE's parsers raise whatever a damaged file makes them stumble over
        except Exception as cause:
            raise DataError(f"{path}:{frame}: ASE cannot read this file: {cause!r}") from cause

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
        except (ValueError, TypeError, NotImplementedError) as cause:
            raise DataError(f"ASE cannot write these structures as {path.suffix}: {cause!r}") from cause
