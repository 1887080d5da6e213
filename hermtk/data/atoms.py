"""To and from ASE's ``Atoms``, labels included."""

from dataclasses import replace
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from hermtk.data.assemble import as_matrix, assemble, floats
from hermtk.data.structure import Structure
from hermtk.errors import DataError
from hermtk.units import Units

# names that data sets give their labels; the first that is there counts
ENERGY = ("energy", "Energy", "free_energy", "REF_energy", "dft_energy")
FORCES = ("forces", "force", "Forces", "REF_forces", "dft_forces", "dft_force")
STRESS = ("stress", "REF_stress", "dft_stress")
VIRIAL = ("virial", "virials", "REF_virial", "REF_virials", "dft_virial")


def from_atoms(atoms: Atoms, source: str = "", units: Units | None = None) -> Structure:
    """A structure with the labels of the calculator's stored results, or of well-known names in ``info`` and ``arrays``.

    A virial becomes a stress, -virial/volume. What is no label is kept in ``info``.

    Raises:
        DataError: a label that is not a number, has the wrong shape, or is a virial without a cell.
    """
    units = units or Units()
    known = {**atoms.info, **_extra_arrays(atoms), **getattr(atoms.calc, "results", {})}
    virial = _take(known, VIRIAL)
    structure = assemble(
        source,
        atoms.numbers,
        atoms.positions,
        cell=atoms.cell.array,
        pbc=atoms.pbc,
        energy=_take(known, ENERGY),
        forces=_take(known, FORCES),
        stress=_take(known, STRESS),
        info=known,
        units=units,
    )
    if virial is None or structure.stress is not None:
        return structure
    return replace(structure, stress=_stress(source, virial, structure.volume, units))


def to_atoms(structure: Structure) -> Atoms:
    """ASE atoms with the labels as stored results; values of ``info`` with one row per atom become arrays."""
    atoms = Atoms(structure.numbers, structure.positions, cell=structure.cell, pbc=structure.pbc)
    labels = {*ENERGY, *FORCES, *STRESS, *VIRIAL, *atoms.arrays}
    for name, value in structure.info.items():
        if name in labels:
            continue
        if np.ndim(value) > 0 and len(value) == len(atoms):
            rows = np.asarray(value)
            atoms.arrays[name] = rows.reshape(len(atoms), -1) if rows.ndim > 2 else rows
        else:
            atoms.info[name] = value
    results: dict[str, Any] = {}
    if structure.energy is not None:
        results["energy"] = structure.energy
    if structure.forces is not None:
        results["forces"] = structure.forces
    if structure.stress is not None:
        s = (structure.stress + structure.stress.T) / 2
        results["stress"] = np.array([s[0, 0], s[1, 1], s[2, 2], s[1, 2], s[0, 2], s[0, 1]])
    if results:
        atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms


def _extra_arrays(atoms: Atoms) -> dict[str, Any]:
    return {name: values for name, values in atoms.arrays.items() if name not in ("numbers", "positions")}


def _take(known: dict[str, Any], keys: tuple[str, ...]) -> Any:
    found = [known[key] for key in keys if known.get(key) is not None]
    for key in keys:
        known.pop(key, None)
    return found[0] if found else None


def _stress(source: str, virial: Any, volume: float, units: Units) -> np.ndarray | None:
    matrix = as_matrix(floats(source, "the virial", virial)) * units.energy_factor
    if matrix.shape != (3, 3):
        raise DataError(f"{source}: the virial should have 6 or 9 values, found shape {matrix.shape}")
    if volume > 0:
        return -matrix / volume
    # isolated atoms and molecules in mixed sets carry a virial of zeros
    if not matrix.any():
        return None
    raise DataError(
        f"{source}: a virial needs a cell, whose volume makes it a stress; this structure has none"
    )
