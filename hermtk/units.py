"""Units that a data file may declare, and what they are in ours: eV, Angstrom, eV/Angstrom^3.

Factors from CODATA 2018 through ``ase.units``, whose own default is older (1 Ha = 27.211386 eV,
1 Bohr = 0.529177 Angstrom, 1 kcal/mol = 0.0433641 eV).
"""

from dataclasses import dataclass

from ase.units import create_units

from hermtk.errors import UnknownName

_CODATA = create_units("2018")

ENERGY: dict[str, float] = {
    "eV": 1.0,
    "meV": 1e-3,
    "Ha": _CODATA["Hartree"],
    "Ry": _CODATA["Rydberg"],
    "kcal/mol": _CODATA["kcal"] / _CODATA["mol"],
    "kJ/mol": _CODATA["kJ"] / _CODATA["mol"],
}
LENGTH: dict[str, float] = {"Angstrom": 1.0, "Bohr": _CODATA["Bohr"], "nm": _CODATA["nm"]}
STRESS: dict[str, float] = {
    "eV/Angstrom^3": 1.0,
    "GPa": _CODATA["GPa"],
    "kbar": 0.1 * _CODATA["GPa"],
    "Ha/Bohr^3": _CODATA["Hartree"] / _CODATA["Bohr"] ** 3,
}
ALIASES: dict[str, str] = {
    "hartree": "Ha",
    "Hartree": "Ha",
    "Rydberg": "Ry",
    "ev": "eV",
    "A": "Angstrom",
    "Å": "Angstrom",
    "Ang": "Angstrom",
    "angstrom": "Angstrom",
    "bohr": "Bohr",
    "a0": "Bohr",
    "kbar": "kbar",
    "kBar": "kbar",
    "eV/A^3": "eV/Angstrom^3",
    "eV/Å^3": "eV/Angstrom^3",
}


@dataclass(frozen=True)
class Units:
    """The units a file's numbers are in. Forces are always ``energy``/``length``."""

    energy: str = "eV"
    length: str = "Angstrom"
    stress: str = "eV/Angstrom^3"

    def __post_init__(self) -> None:
        for kind, table in (("energy", ENERGY), ("length", LENGTH), ("stress", STRESS)):
            name = getattr(self, kind)
            object.__setattr__(self, kind, _known(f"{kind} unit", name, table))

    @property
    def energy_factor(self) -> float:
        """Multiply an energy by this to have eV."""
        return ENERGY[self.energy]

    @property
    def length_factor(self) -> float:
        """Multiply a length by this to have Angstrom."""
        return LENGTH[self.length]

    @property
    def force_factor(self) -> float:
        """Multiply a force by this to have eV/Angstrom."""
        return self.energy_factor / self.length_factor

    @property
    def stress_factor(self) -> float:
        """Multiply a stress by this to have eV/Angstrom^3."""
        return STRESS[self.stress]


def _known(kind: str, name: str, table: dict[str, float]) -> str:
    name = ALIASES.get(name, name)
    if name not in table:
        raise UnknownName(kind, name, table)
    return name
