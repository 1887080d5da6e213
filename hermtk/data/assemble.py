"""Raw values of a file made into a ``Structure``: shapes checked, units converted."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from hermtk.data.checks import check_shapes
from hermtk.data.structure import Structure
from hermtk.errors import DataError
from hermtk.units import Units


def assemble(
    source: str,
    numbers: Any,
    positions: Any,
    *,
    cell: Any = None,
    pbc: Any = False,
    energy: Any = None,
    forces: Any = None,
    stress: Any = None,
    info: Mapping[str, Any] | None = None,
    units: Units | None = None,
) -> Structure:
    """A structure from what a file holds, converted from ``units`` to ours.

    ``stress`` may have 6 values (xx, yy, zz, yz, xz, xy), 9, or a matrix.

    Raises:
        DataError: a value is not a number, or shapes do not fit.
    """
    units = units or Units()
    numbers = _atomic_numbers(source, numbers)
    positions = floats(source, "positions", positions)
    cell = np.zeros((3, 3)) if cell is None else floats(source, "the cell", cell)
    pbc = np.array(np.broadcast_to(pbc, (3,)) if np.ndim(pbc) == 0 else pbc, dtype=bool)
    forces = None if forces is None else floats(source, "forces", forces)
    stress = None if stress is None else as_matrix(floats(source, "the stress", stress))
    check_shapes(source, numbers, positions, cell, pbc, forces, stress)
    return Structure(
        numbers=numbers,
        positions=positions * units.length_factor,
        cell=cell * units.length_factor,
        pbc=pbc,
        energy=None if energy is None else _one(source, "the energy", energy) * units.energy_factor,
        forces=None if forces is None else forces * units.force_factor,
        stress=None if stress is None else stress * units.stress_factor,
        source=source,
        info=dict(info or {}),
    )


def as_matrix(values: np.ndarray) -> np.ndarray:
    """A symmetric tensor given by 6 values (xx, yy, zz, yz, xz, xy) or 9 as a matrix; other shapes are left as they are."""
    if values.shape == (6,):
        xx, yy, zz, yz, xz, xy = values
        return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    return values.reshape(3, 3) if values.shape == (9,) else values


def _atomic_numbers(source: str, values: Any) -> np.ndarray:
    given = floats(source, "atomic numbers", values)
    whole = np.where(np.isfinite(given), np.round(given), 0.0)
    if (given != whole).any():
        raise DataError(f"{source}: {given[given != whole][0]} is not an atomic number")
    return whole.astype(np.int64)


def _one(source: str, name: str, value: Any) -> float:
    values = floats(source, name, value)
    if values.size != 1:
        raise DataError(f"{source}: {name} should be one number, found an array of shape {values.shape}")
    return float(values.reshape(()))


def floats(source: str, name: str, values: Any) -> np.ndarray:
    """Values as float64.

    Raises:
        DataError: they are not numbers.
    """
    try:
        array = np.asarray(values)
    except ValueError as cause:
        raise DataError(f"{source}: {name} cannot be read as numbers: {cause}") from None
    if array.dtype.kind not in "iuf":
        shown = repr(values)[:80] if array.ndim == 0 else f"an array of {array.dtype}"
        raise DataError(f"{source}: {name} should be numbers, found {shown}")
    return array.astype(np.float64)
