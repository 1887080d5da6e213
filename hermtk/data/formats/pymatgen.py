"""JSON of pymatgen's structures with labels: mlearn, Materials Project, MatPES, MPtrj."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from hermtk.data.assemble import assemble, floats
from hermtk.data.elements import SYMBOLS, number_of
from hermtk.data.formats import _guards
from hermtk.data.formats.base import Format
from hermtk.data.structure import Structure
from hermtk.errors import DataError, UnknownName
from hermtk.units import STRESS as STRESS_UNITS
from hermtk.units import Units

# names that data sets give their labels; the first that is there counts
ENERGY = ("energy", "uncorrected_total_energy", "corrected_total_energy")
PER_ATOM = "energy_per_atom"
FORCES = ("forces", "force")
STRESS = ("virial_stress", "stress")
# bytes, expanded: Python's JSON takes some 6 to 10 times as much memory
LARGEST = 2**30
# dictionaries of dictionaries; MPtrj has materials of frames of entries
DEEPEST = 3
# Angstrom; fractional and Cartesian coordinates that differ by more are not the same
SAME = 1e-3
# VASP prints xx yy zz xy yz zx, ours is xx yy zz yz xz xy
VASP_ORDER = [0, 1, 2, 4, 5, 3]
# what an entry may hold besides other values
OURS = {"structure", "molecule", "sites", "outputs", PER_ATOM, *ENERGY, *FORCES, *STRESS}


class Pymatgen(Format):
    """Entries that hold a pymatgen ``structure`` (or ``molecule``) and labels beside it or under ``outputs``.

    The file is a list of entries, a dictionary of them by name, dictionaries of dictionaries (MPtrj), or one entry. Energies are
    eV, forces eV/Angstrom, coordinates Angstrom, by definition of pymatgen. **Stress** has no unit there, so it must be declared
    where there is one, and the declaration settles its sign and order too:

    - ``kbar`` is VASP's own unit and means VASP's stress, as mlearn's ``virial_stress`` and MPtrj's and MatPES's ``stress``:
      positive under compression, six values in the order xx yy zz xy yz zx;
    - any other unit means ASE's: positive under tension, six values in the order xx yy zz yz xz xy.

    The order is not the same in all published files (mlearn's Cu, Ni and Mo have xx yy zz xy xz yz): the audit finds it. The
    other values of an entry that are numbers or text are kept in ``info``, with its name in a dictionary as ``entry``. Structures
    are read here and not by ``Structure.from_dict``, which imports whatever module the properties of a site name.
    """

    suffixes: ClassVar[tuple[str, ...]] = (".pymatgen.json",)

    @classmethod
    def recognises(cls, path: Path) -> bool:
        if not path.name.lower().endswith((".json", ".json.gz")):
            return False
        start = _guards.beginning(path, 2**18)
        return bool(re.search(rb'"(structure|molecule)"\s*:\s*\{|"@module"\s*:\s*"pymatgen\.', start))

    def read(self, path: Path, units: Units | None = None) -> Iterator[Structure]:
        if units is not None and (units.energy, units.length) != ("eV", "Angstrom"):
            raise DataError(
                f"{path}: pymatgen's files are in eV and Angstrom by definition, not in {units.energy} and {units.length}; "
                "declare the unit of stress only"
            )
        document = _document(path)
        stress_unit = units.stress if units else None
        if isinstance(document, dict) and isinstance(written := document.get("units"), dict):
            stress_unit = _written_unit(path, written, units)
        for frame, (name, entry) in enumerate(_entries(document)):
            yield _structure(f"{path}:{frame}", name, entry, stress_unit)

    def write(self, path: Path, structures: Iterable[Structure]) -> None:
        """Write as mlearn's files are, with stress in kbar as VASP has it, which is said in ``units``; exact but for stress.

        Stress is exact to the last bits: kbar are no round number of eV/Angstrom^3.
        """
        with path.open("w", encoding="utf-8") as file:
            file.write('{"units": {"energy": "eV", "length": "Angstrom", "stress": "kbar"},\n"entries": [')
            for index, structure in enumerate(structures):
                file.write(",\n" if index else "\n")
                json.dump(_entry(structure), file)
            file.write("\n]}\n")


def _document(path: Path) -> Any:
    """The JSON of a file.

    Raises:
        DataError: it is damaged, too large or nested too deeply.
    """
    with _guards.opened(path) as file:
        text = file.read(LARGEST + 1)
    if len(text) > LARGEST:
        raise DataError(
            f"{path} has more than {LARGEST:,} bytes of JSON, which is read as a whole; split it into smaller files"
        )
    try:
        with _guards.bounded_memory(path):
            return json.loads(text)
    except (ValueError, RecursionError, MemoryError) as cause:
        raise DataError(f"{path} is damaged or cut, or it is no JSON: {_guards.short(cause)}") from None


def _written_unit(path: Path, written: Mapping[str, Any], given: Units | None) -> str:
    """The unit of stress that a file of ours says."""
    unit = written.get("stress")
    if not isinstance(unit, str) or unit not in STRESS_UNITS:
        raise DataError(f"{path} says that its stress is in {unit!r}, known are {', '.join(STRESS_UNITS)}")
    if given is not None and given.stress != unit:
        raise DataError(f"{path} says that its stress is in {unit}, but {given.stress} is declared")
    return unit


def _entries(document: Any, name: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """The entries of a document, each with the names of the dictionaries that lead to it."""
    if depth == 0 and isinstance(document, dict) and isinstance(document.get("entries"), list):
        document = document["entries"]
    if isinstance(document, list):
        yield from ((name, entry) for entry in document)
    elif isinstance(document, dict) and not _holds_sites(document) and depth < DEEPEST:
        for key, inside in document.items():
            yield from _entries(inside, f"{name}/{key}".lstrip("/"), depth + 1)
    else:
        yield name, document


def _holds_sites(entry: Mapping[str, Any]) -> bool:
    return bool({"structure", "molecule", "sites"} & entry.keys())


def _structure(source: str, name: str, entry: Any, stress_unit: str | None) -> Structure:
    if not isinstance(entry, dict) or not _holds_sites(entry):
        raise DataError(f"{source}: expected an entry with a 'structure', found {str(entry)[:60]!r}")
    body = next((entry[key] for key in ("structure", "molecule") if key in entry), entry)
    try:
        numbers, positions, cell, pbc = _atoms(source, body)
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as cause:
        raise DataError(f"{source}: this is no structure of pymatgen's: {_guards.short(cause)}") from None
    values = {**entry, **outputs} if isinstance(outputs := entry.get("outputs"), dict) else dict(entry)
    energy = _take(values, ENERGY)
    if energy is None and values.get(PER_ATOM) is not None:
        energy = floats(source, "the energy per atom", values[PER_ATOM]) * len(numbers)
    forces, stress = _take(values, FORCES), _take(values, STRESS)
    info = {key: value for key, value in values.items() if isinstance(value, str | int | float)}
    return assemble(
        source,
        numbers,
        positions,
        cell=cell,
        pbc=pbc,
        energy=energy,
        forces=forces,
        stress=None if stress is None else _stress(source, stress, stress_unit),
        info=info | ({"entry": name} if name else {}),
        units=Units(stress=stress_unit) if stress_unit else None,
    )


def _atoms(source: str, body: Mapping[str, Any]) -> tuple[list[int], Any, np.ndarray | None, Any]:
    """Numbers, positions, cell and periodic flags of what ``as_dict`` of a Structure or a Molecule gives."""
    sites = body["sites"]
    numbers = [_number(source, atom, site["species"]) for atom, site in enumerate(sites)]
    if "lattice" not in body:
        return numbers, floats(source, "positions", [site["xyz"] for site in sites]), None, False
    lattice = body["lattice"]
    cell = floats(source, "the cell", lattice["matrix"])
    pbc = lattice.get("pbc", (True, True, True))
    if cell.shape != (3, 3) or np.shape(pbc) != (3,):
        raise DataError(f"{source}: a lattice has a matrix of 3 x 3 and 3 periodic flags")
    places = {
        key: floats(source, "positions", [site[key] for site in sites])
        for key in ("abc", "xyz")
        if sites and all(key in site for site in sites)
    }
    with np.errstate(all="ignore"):
        if "abc" in places:
            places["abc"] = places["abc"] @ cell
        same = len(places) < 2 or bool((abs(places["abc"] - places["xyz"]) < SAME).all())
    if not same:
        raise DataError(
            f"{source}: the fractional coordinates 'abc' and the Cartesian 'xyz' are not the same places"
        )
    if not places:
        raise DataError(f"{source}: there are no atoms, or some have neither 'abc' nor 'xyz'")
    # the Cartesian ones where both are there: they need no product
    return numbers, places.get("xyz", places.get("abc")), cell, [bool(flag) for flag in pbc]


def _number(source: str, atom: int, species: Any) -> int:
    if len(species) != 1 or species[0].get("occu", 1) != 1:
        raise DataError(
            f"{source}: site {atom} is shared by several elements or partly empty: {str(species)[:80]}"
        )
    try:
        return number_of(species[0]["element"])
    except UnknownName as unknown:
        raise DataError(f"{source}: site {atom}: {unknown}") from None


def _take(values: dict[str, Any], keys: tuple[str, ...]) -> Any:
    """The first of these labels that is there, taken out; what stands behind it stays, as another value."""
    key = next((key for key in keys if values.get(key) is not None), None)
    return None if key is None else values.pop(key)


def _stress(source: str, values: Any, unit: str | None) -> np.ndarray:
    if unit is None:
        raise DataError(
            f"{source}: there is a stress, whose unit pymatgen's files do not say; declare it, kbar for VASP's numbers as in "
            "mlearn, MPtrj and MatPES (positive under compression), another unit for ASE's sign (data.stress_unit in a config)"
        )
    stress = floats(source, "the stress", values)
    if unit != "kbar":
        return stress
    return -(stress[VASP_ORDER] if stress.shape == (6,) else stress)


def _entry(structure: Structure) -> dict[str, Any]:
    """``{"structure": Structure.as_dict(), "outputs": {...}}`` and the values of ``info`` that are numbers or text."""
    outputs: dict[str, Any] = {}
    if structure.energy is not None:
        outputs["energy"] = structure.energy
    if structure.forces is not None:
        outputs["forces"] = structure.forces.tolist()
    if structure.stress is not None:
        outputs["stress"] = (-structure.stress / STRESS_UNITS["kbar"]).tolist()
    plain = {
        key: value.item() if isinstance(value, np.generic) else value for key, value in structure.info.items()
    }
    info = {
        key: value for key, value in plain.items() if isinstance(value, str | int | float) and key not in OURS
    }
    return {**info, "structure": _as_dict(structure), "outputs": outputs}


def _as_dict(structure: Structure) -> dict[str, Any]:
    """What pymatgen's ``Structure.as_dict`` gives, or ``Molecule.as_dict`` where there is no cell."""
    sites = [
        {
            "species": [{"element": SYMBOLS[number], "occu": 1}],
            "xyz": place,
            "properties": {},
            "label": SYMBOLS[number],
        }
        for number, place in zip(structure.numbers.tolist(), structure.positions.tolist(), strict=True)
    ]
    kind = {
        "@module": "pymatgen.core.structure",
        "@class": "Structure" if structure.cell.any() else "Molecule",
    }
    if not structure.cell.any():
        return {**kind, "sites": sites}
    if np.linalg.matrix_rank(structure.cell) < 3:
        raise DataError(
            f"{structure.source}: pymatgen's lattices have three independent vectors, this cell has fewer; write extended XYZ"
        )
    fractional = structure.positions @ np.linalg.inv(structure.cell)
    for site, place in zip(sites, fractional.tolist(), strict=True):
        site["abc"] = place
    lattice = {"matrix": structure.cell.tolist(), "pbc": structure.pbc.tolist()}
    return {**kind, "charge": 0, "lattice": lattice, "sites": sites}
