"""What can be learned of a structure besides its energy: names, units, how it grows, where it is in a file.

A target's value stands in a structure's ``info``, under its name (then in our unit) or under a name that says its unit, as
``homo_Ha`` and ``mu_D``.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from hermtk.data.elements import number_of
from hermtk.data.structure import Structure
from hermtk.errors import DataError, UnknownName
from hermtk.units import ENERGY as ENERGY_UNITS
from hermtk.units import LENGTH

# how a value follows from the atoms: a sum, a mean, the length of a dipole, a second moment; "" where nobody has said
Kind = Literal["", "extensive", "intensive", "dipole", "extent"]

_BOHR = LENGTH["Bohr"]
_HARTREE = ENERGY_UNITS["Ha"]
# what one of the unit is in ours
_ENERGY = {
    "eV": 1.0,
    "meV": 1e-3,
    "Ha": _HARTREE,
    "Hartree": _HARTREE,
    "au": _HARTREE,
    "kcalmol": ENERGY_UNITS["kcal/mol"],
    "kJmol": ENERGY_UNITS["kJ/mol"],
}
# 1 e Angstrom = 4.80320 Debye (CODATA 2018)
_DIPOLE = {"D": 1.0, "Debye": 1.0, "eA": 4.803204712570263, "au": 4.803204712570263 * _BOHR}
_VOLUME = {"bohr3": 1.0, "a03": 1.0, "au": 1.0, "A3": _BOHR**-3}
_AREA = {"bohr2": 1.0, "a02": 1.0, "au": 1.0, "A2": _BOHR**-2}
_HEAT = {"cal_molK": 1.0, "calmolK": 1.0, "J_molK": 1 / 4.184, "JmolK": 1 / 4.184}

# Energies of free atoms in QM9, Hartree: B3LYP/6-31G(2df,p), Ramakrishnan et al., Sci. Data 1, 140022 (2014), atomref.txt
_FREE_ATOMS = {
    "U0": {"H": -0.500273, "C": -37.846772, "N": -54.583861, "O": -75.064579, "F": -99.718730},
    "U": {"H": -0.498857, "C": -37.845355, "N": -54.582445, "O": -75.063163, "F": -99.717314},
    "H": {"H": -0.497912, "C": -37.844411, "N": -54.581501, "O": -75.062219, "F": -99.716370},
    "G": {"H": -0.510927, "C": -37.861317, "N": -54.598897, "O": -75.079532, "F": -99.733544},
}
# of one atom of an ideal gas: 3/2 R, as in the same table
_FREE_CV = dict.fromkeys("HCNOF", 2.981)


@dataclass(frozen=True)
class Target:
    """A number per structure that a model can learn.

    Attributes:
        name: as in ``--target``.
        unit: of values, errors and references; empty where nobody has said.
        kind: how it follows from the atoms; decides the readout.
        title: what it is, in words.
        names: under which a file may have it; the first is ours.
        units: suffixes of these names, and what one of the unit is in ours.
        atoms: values of free atoms, by atomic number, in ``unit``; taken off before references are fitted.
    """

    name: str
    unit: str = ""
    kind: Kind = ""
    title: str = ""
    names: tuple[str, ...] = ()
    units: Mapping[str, float] = field(default_factory=dict)
    atoms: Mapping[int, float] = field(default_factory=dict)

    @property
    def shown(self) -> tuple[float, str]:
        """What to multiply errors by for tables, and the unit then: thousandths of eV, others as they are."""
        return (1e3, "meV") if self.unit == "eV" else (1.0, self.unit)

    @property
    def written(self) -> str:
        """Name and unit, for tables and pictures."""
        return f"{self.name} ({self.unit})" if self.unit else self.name


# the target of every potential
ENERGY = Target("energy", "eV", "extensive", "total energy, with forces and stress")


def _energy(name: str, kind: Kind, title: str) -> Target:
    free = {number_of(symbol): e * _HARTREE for symbol, e in _FREE_ATOMS.get(name, {}).items()}
    return Target(name, "eV", kind, title, (name,), _ENERGY, free)


TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        Target("mu", "D", "dipole", "length of the dipole moment", ("mu", "dipole"), _DIPOLE),
        Target("alpha", "a0^3", "extensive", "isotropic polarizability", ("alpha",), _VOLUME),
        _energy("homo", "intensive", "energy of the highest occupied orbital"),
        _energy("lumo", "intensive", "energy of the lowest empty orbital"),
        _energy("gap", "intensive", "lumo - homo"),
        Target("r2", "a0^2", "extent", "electronic spatial extent <R^2>", ("r2",), _AREA),
        _energy("zpve", "extensive", "zero-point vibrational energy"),
        _energy("U0", "extensive", "internal energy at 0 K"),
        _energy("U", "extensive", "internal energy at 298.15 K"),
        _energy("H", "extensive", "enthalpy at 298.15 K"),
        _energy("G", "extensive", "free energy at 298.15 K"),
        Target(
            "cv",
            "cal/(mol K)",
            "extensive",
            "heat capacity at 298.15 K, constant volume",
            ("cv", "Cv"),
            _HEAT,
            {number_of(symbol): value for symbol, value in _FREE_CV.items()},
        ),
    )
}


def find_target(name: str) -> Target:
    """The target of a name: ``energy``, one of the table (also as ``homo_Ha``), or any other number of a file.

    Of the last kind neither unit nor growth is known.
    """
    if name == ENERGY.name:
        return ENERGY
    if name in TARGETS:
        return TARGETS[name]
    for target in TARGETS.values():
        if name in _written_names(target):
            return target
    return Target(name, names=(name,))


def target_value(structure: Structure, target: Target, factor: float = 1.0) -> float | None:
    """The value of a structure's target in our unit; None where it has none or it is not a number (NaN).

    Args:
        structure: with the value in ``info``.
        target: what to look for.
        factor: what a value under a bare name is multiplied by: one of the declared unit in ours.

    Raises:
        UnknownName: only a name with a unit that is not known.
        DataError: a value that is not one number.
    """
    names = {**_written_names(target), **dict.fromkeys(target.names or (target.name,), factor)}
    for name, times in names.items():
        if name in structure.info:
            value = _number(structure, name)
            return None if np.isnan(value) else value * times
    _refuse_unknown_unit(structure, target)
    return None


def with_target(structure: Structure, target: Target, factor: float = 1.0) -> Structure:
    """The structure with its target's value in the place of the energy, where training looks for what is learned.

    Forces and stress are those of the energy and are left out. For the target ``energy`` the structure as it is.

    Raises:
        UnknownName, DataError: as ``target_value``; a periodic structure for a dipole or an extent.
    """
    if target == ENERGY:
        return structure
    if target.kind in ("dipole", "extent") and structure.pbc.any():
        raise DataError(
            f"{structure.source or 'a structure'} is periodic: {target.title or target.name} is defined for molecules only"
        )
    return replace(structure, energy=target_value(structure, target, factor), forces=None, stress=None)


def targeted(structures: Sequence[Structure], target: Target, factor: float = 1.0) -> Sequence[Structure]:
    """Every structure ``with_target``; one by one when it is asked for, so that a set on disk stays there."""
    return structures if target == ENERGY else _Targeted(structures, target, factor)


@dataclass(frozen=True)
class _Targeted(Sequence[Structure]):
    structures: Sequence[Structure]
    target: Target
    factor: float

    def __len__(self) -> int:
        return len(self.structures)

    def __getitem__(self, place: Any) -> Any:
        found = self.structures[place]
        if isinstance(found, Structure):
            return with_target(found, self.target, self.factor)
        return _Targeted(found, self.target, self.factor)


def having_predicted(structure: Structure, target: Target, value: float) -> Structure:
    """The structure with a model's value under the target's name in ``info``, in the place of what it had."""
    known = {*_written_names(target), *target.names, target.name}
    kept = {name: value for name, value in structure.info.items() if name not in known}
    return replace(structure, info={**kept, target.name: value})


def require_targets(
    structures: Iterable[Structure], target: Target, *, allow_missing: bool = False
) -> dict[str, int]:
    """Refuse structures whose target (in the place of the energy) is missing.

    Returns:
        How many lack it, under its name; empty unless ``allow_missing``.

    Raises:
        DataError: says how many lack it and names the first ones, and the numbers that they have; with ``allow_missing`` only
            where all of them lack it.
        UnknownName: none has a number of that name, and it is no target that hermtk knows.
    """
    total = count = 0
    first: list[str] = []
    numbers: set[str] = set()
    for structure in structures:
        total += 1
        if structure.energy is None:
            count += 1
            first += [structure.source or "structure"] if len(first) < 3 else []
            numbers |= set(numbers_of(structure))
    if not count:
        return {}
    if count < total and allow_missing:
        return {target.name: count}
    if count == total and target.name not in TARGETS:
        raise UnknownName("target", target.name, numbers | {ENERGY.name})
    dots = ", ..." if count > 3 else ""
    found = f" They have {', '.join(sorted(numbers))}." if numbers else ""
    allow = " To train on the others, say --allow-missing (data.allow_missing)." if count < total else ""
    raise DataError(
        f"{count} of {total} structures have no {target.name}, which is trained on: {', '.join(first)}{dots}.{found} "
        f"Remove them from the data, or add it to their info as {target.written}.{allow}"
    )


def numbers_of(structure: Structure) -> list[str]:
    """The names in ``info`` that stand for one number, which could be targets."""
    return [name for name, value in structure.info.items() if _is_number(value)]


def _written_names(target: Target) -> dict[str, float]:
    """Every name that says its unit, and what one of that unit is in ours."""
    return {f"{name}_{suffix}": factor for name in target.names for suffix, factor in target.units.items()}


def _refuse_unknown_unit(structure: Structure, target: Target) -> None:
    if not target.units:
        return
    for name in numbers_of(structure):
        if re.match(rf"({'|'.join(map(re.escape, target.names))})_", name):
            raise UnknownName(f"{target.name} with a known unit", name, _written_names(target))


def _is_number(value: Any) -> bool:
    array = np.asarray(value)
    return array.size == 1 and array.dtype.kind in "iuf"


def _number(structure: Structure, name: str) -> float:
    value = structure.info[name]
    if not _is_number(value):
        shown = repr(value) if np.ndim(value) == 0 else f"an array of shape {np.shape(value)}"
        raise DataError(
            f"{structure.source or 'a structure'}: {name} should be one number per structure, found {shown}"
        )
    return float(np.asarray(value).reshape(()))
