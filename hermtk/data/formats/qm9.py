"""QM9 as the package qm9pack brings it: a folder of CSV files, one molecule per line."""

import csv
import importlib.util
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from hermtk.data.elements import SYMBOLS
from hermtk.data.formats.base import Format
from hermtk.data.structure import Structure
from hermtk.errors import DataError
from hermtk.units import ENERGY, Units

_FIRST = "qm9_part1.csv"
_PARTS = "qm9_part*.csv"
_PLACE = ("Index", "N_atoms", "Elements", "XYZ_Ang")
_HARTREE = ENERGY["Ha"]
# column -> target and what one of the column's unit is in ours
_COLUMNS: dict[str, tuple[str, float]] = {
    "Dipole_debye": ("mu", 1.0),
    "Polarizability_bohr3": ("alpha", 1.0),
    "HOMO_au": ("homo", _HARTREE),
    "LUMO_au": ("lumo", _HARTREE),
    "HOMO_LUMO_gap_au": ("gap", _HARTREE),
    "R2_bohr2": ("r2", 1.0),
    "ZPVE_au": ("zpve", _HARTREE),
    "InternalEnergy_0K_au": ("U0", _HARTREE),
    "InternalEnergy_298K_au": ("U", _HARTREE),
    "Enthalphy_298K_au": ("H", _HARTREE),
    "GibbsFreeEnergy_298K_au": ("G", _HARTREE),
    "Heatcapacity_Cv_cal_mol_K": ("cv", 1.0),
}
_NUMBERS = {symbol: number for number, symbol in SYMBOLS.items()}
_BARE = str.maketrans("", "", "[]'\" ")


class QM9(Format):
    """130,831 molecules of H, C, N, O, F at B3LYP/6-31G(2df,p); the 3,054 uncharacterised ones are not among them.

    ``info`` holds the targets (``mu`` ... ``cv``) in our units and ``index``, the number of the molecule in QM9 from 1. There
    is no energy, for there are several: U0, U, H, G. Ramakrishnan et al., Sci. Data 1, 140022 (2014).
    """

    folder: ClassVar[bool] = True

    @classmethod
    def recognises(cls, path: Path) -> bool:
        return (path / _FIRST).is_file()

    def read(self, path: Path, units: Units | None = None) -> Iterator[Structure]:
        if units not in (None, Units()):
            raise DataError(f"{path}: the units of QM9 are known; leave them out")
        parts = sorted(path.glob(_PARTS))
        if not parts:
            raise DataError(f"{path} holds no {_FIRST}, as the folder `data` of qm9pack does")
        frame = 0
        for part in parts:
            for molecule in _molecules(part):
                yield replace(molecule, source=f"{path}:{frame}")
                frame += 1


def qm9_path() -> Path:
    """The folder of qm9pack's files.

    Raises:
        DataError: qm9pack is not installed.
    """
    # the package itself is not imported: it needs pandas, and older ones pkg_resources
    spec = importlib.util.find_spec("qm9pack")
    places = list(spec.submodule_search_locations or ()) if spec else []
    for place in places:
        if QM9.recognises(Path(place) / "data"):
            return Path(place) / "data"
    raise DataError('QM9 comes with the package qm9pack: pip install "hermtk[qm9]" (a download of 104 MB)')


def _molecules(path: Path) -> Iterator[Structure]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = csv.reader(file, strict=True)
            place = _columns(path, next(rows, []))
            for number, row in enumerate(rows, 2):
                yield _molecule(f"{path.name}:{number}", row, place)
    except (csv.Error, UnicodeDecodeError) as problem:
        raise DataError(f"{path} is damaged: {problem}") from None


def _columns(path: Path, header: list[str]) -> dict[str, int]:
    missing = [name for name in (*_PLACE, *_COLUMNS) if name not in header]
    if missing:
        raise DataError(f"{path} is no table of QM9: its first line does not name {', '.join(missing[:3])}")
    return {name: header.index(name) for name in (*_PLACE, *_COLUMNS)}


def _molecule(source: str, row: list[str], place: dict[str, int]) -> Structure:
    try:
        n = int(row[place["N_atoms"]])
        index = int(row[place["Index"]])
        numbers = np.array([_NUMBERS[s] for s in row[place["Elements"]].translate(_BARE).split(",")])
        positions = np.array(row[place["XYZ_Ang"]].translate(_BARE).split(","), dtype=np.float64)
        info = {name: factor * float(row[place[column]]) for column, (name, factor) in _COLUMNS.items()}
    except (ValueError, KeyError, IndexError) as problem:
        raise DataError(f"{source}: this line cannot be read: {problem}") from None
    if numbers.shape != (n,) or positions.shape != (3 * n,):
        raise DataError(f"{source}: {n} atoms with {len(numbers)} elements and {len(positions)} coordinates")
    if not np.isfinite(list(info.values())).all():
        raise DataError(f"{source}: a property is not finite: {info}")
    return Structure(numbers, positions.reshape(n, 3), info={**info, "index": index})
