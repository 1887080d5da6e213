"""The archives of rMD17 and of MD17/sGDML: one molecule, many geometries."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np

from hermtk.data.assemble import assemble, floats
from hermtk.data.formats import _npz
from hermtk.data.formats.base import Format
from hermtk.data.structure import Structure
from hermtk.errors import DataError, UnknownName
from hermtk.units import Units

# the names that each of the two kinds of file gives to the same things
RMD17_NAMES = {"numbers": "nuclear_charges", "positions": "coords", "energy": "energies", "forces": "forces"}
SGDML_NAMES = {"numbers": "z", "positions": "R", "energy": "E", "forces": "F"}
# Christensen and von Lilienfeld, Mach. Learn.: Sci. Technol. 1, 045018 (2020): the published files are in these
RMD17_UNITS = Units(energy="kcal/mol", length="Angstrom")


class SGDML(Format):
    """rMD17 (kcal/mol and Angstrom by definition) and sGDML (units in ``e_unit`` and ``r_unit``, or declared)."""

    suffixes: ClassVar[tuple[str, ...]] = (".npz",)

    @classmethod
    def recognises(cls, path: Path) -> bool:
        return any(
            _npz.holds(path, kind["numbers"], kind["positions"]) for kind in (RMD17_NAMES, SGDML_NAMES)
        )

    def read(self, path: Path, units: Units | None = None) -> Iterator[Structure]:
        arrays = _npz.load(
            path, {*RMD17_NAMES.values(), *SGDML_NAMES.values(), "r_unit", "e_unit", "lattice"}
        )
        kind = _kind(arrays)
        if kind is None:
            raise DataError(
                f"{path} is neither rMD17 ({_needs(RMD17_NAMES)}) nor sGDML ({_needs(SGDML_NAMES)})"
            )
        units = _rmd17_units(path, units) if kind is RMD17_NAMES else _sgdml_units(path, arrays, units)
        named = {name: arrays[key] for name, key in kind.items() if key in arrays}
        frames = len(np.atleast_1d(named["positions"]))
        for name in ("energy", "forces"):
            if name in named and np.shape(named[name])[:1] != (frames,):
                raise DataError(
                    f"{path}: {frames} geometries, but {kind[name]!r} has shape {named[name].shape}"
                )
        cell = _cell(path, arrays.get("lattice"))
        for frame in range(frames):
            labels = {name: named[name][frame] for name in ("energy", "forces") if name in named}
            yield assemble(
                f"{path}:{frame}",
                named["numbers"],
                np.atleast_1d(named["positions"])[frame],
                cell=cell,
                pbc=cell is not None,
                units=units,
                **labels,
            )


def _kind(names: Iterable[str]) -> dict[str, str] | None:
    present = set(names)
    return next(
        (kind for kind in (RMD17_NAMES, SGDML_NAMES) if {kind["numbers"], kind["positions"]} <= present), None
    )


def _needs(kind: dict[str, str]) -> str:
    return ", ".join(kind.values())


def _rmd17_units(path: Path, given: Units | None) -> Units:
    if given is not None and (given.energy, given.length) != (RMD17_UNITS.energy, RMD17_UNITS.length):
        raise DataError(
            f"{path}: rMD17 files are in kcal/mol and Angstrom by definition, not in {given.energy} and {given.length}; "
            "leave the units out"
        )
    return RMD17_UNITS


def _sgdml_units(path: Path, arrays: dict[str, np.ndarray], given: Units | None) -> Units:
    present = [name for name in ("e_unit", "r_unit") if name in arrays and arrays[name].size == 1]
    words = {name: arrays[name].item() for name in present}
    text = {
        name: word.decode("utf-8", "replace") if isinstance(word, bytes) else str(word)
        for name, word in words.items()
    }
    if len(text) < 2:
        if given is None:
            raise DataError(
                f"{path} does not say its units (no 'e_unit' and 'r_unit' in it); declare them, "
                "for example energy: kcal/mol and length: Angstrom"
            )
        return given
    try:
        declared = Units(energy=text["e_unit"], length=text["r_unit"])
    except UnknownName as unknown:
        if given is None:
            raise DataError(
                f"{path} says its units in words not known here, declare them: {unknown}"
            ) from None
        return given
    if given is not None and (given.energy, given.length) != (declared.energy, declared.length):
        raise DataError(
            f"{path} says it is in {declared.energy} and {declared.length}, "
            f"but {given.energy} and {given.length} are declared"
        )
    return declared


def _cell(path: Path, values: np.ndarray | None) -> np.ndarray | None:
    if values is None or not (lattice := floats(str(path), "'lattice'", values)).any():
        return None
    if lattice.shape != (3, 3):
        raise DataError(f"{path}: 'lattice' should have shape (3, 3), found {lattice.shape}")
    if not np.allclose(lattice, lattice.T):
        raise DataError(
            f"{path}: a skewed 'lattice' is ambiguous, versions of sGDML disagree on rows or columns; "
            "convert the file to extended XYZ"
        )
    return lattice
