"""What a structure has to satisfy before anything is computed from it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from ase.geometry import complete_cell
from scipy.spatial import KDTree

from hermtk.data.elements import SYMBOLS
from hermtk.data.store import labelled
from hermtk.data.structure import Structure
from hermtk.errors import DataError

# Angstrom; nearer than this, two atoms are one atom written twice
SAME_PLACE = 1e-3
# Angstrom; farther out than this there are no atoms, and squares of lengths would overflow
FARTHEST = 1e9
# above so many atoms, those at one place are looked for before all pairs of near ones are listed
MANY = 1000
# volume of the cell's unit vectors; below this they are linearly dependent for all purposes
FLAT = 1e-6


def check_structure(s: Structure) -> None:
    """Refuse what cannot be a structure with labels.

    Raises:
        DataError: shapes that do not fit, no atoms, an impossible atomic number, a value that is not finite, a periodic
            direction without a cell vector, a cell without volume, or two atoms at one place (images included).
    """
    source = s.source or "structure"
    check_shapes(source, s.numbers, s.positions, s.cell, s.pbc, s.forces, s.stress)
    _check_numbers(source, s.numbers)
    _check_finite(source, s)
    _check_cell(source, s.cell, s.pbc)
    _check_apart(source, s)


def check_shapes(
    source: str, numbers: Any, positions: Any, cell: Any, pbc: Any, forces: Any = None, stress: Any = None
) -> None:
    """Refuse arrays whose shapes do not fit together.

    Raises:
        DataError: names the array, its shape and the right one.
    """
    if np.ndim(numbers) != 1:
        raise DataError(
            f"{source}: atomic numbers have shape {np.shape(numbers)}, they should be a list of one per atom"
        )
    n = len(numbers)
    wanted = {
        "positions": (positions, (n, 3)),
        "the cell": (cell, (3, 3)),
        "the periodic flags": (pbc, (3,)),
        "forces": (forces, (n, 3)),
        "the stress": (stress, (3, 3)),
    }
    for name, (values, shape) in wanted.items():
        if values is not None and np.shape(values) != shape:
            raise DataError(
                f"{source}: {name} of {n} atoms should have shape {shape}, found {np.shape(values)}"
            )


def require_labels(
    structures: Sequence[Structure], *, forces: bool, stress: bool, allow_missing: bool = False
) -> dict[str, int]:
    """Refuse structures without the labels that are trained on; the energy always is.

    Returns:
        How many structures lack a label, by label; empty unless ``allow_missing``.

    Raises:
        DataError: says how many structures lack which label and names the first ones; with ``allow_missing`` only where none
            has a label.
    """
    wanted = {"energy": True, "forces": forces, "stress": stress}
    missing = {}
    for label in (name for name, needed in wanted.items() if needed):
        without = np.flatnonzero(~labelled(structures, label)).tolist()
        count, first = len(without), [structures[k].source or "structure" for k in without[:3]]
        if count and not (allow_missing and count < len(structures)):
            dots = ", ..." if count > 3 else ""
            raise DataError(
                f"{count} of {len(structures)} structures have no {label}, which is trained on: "
                f"{', '.join(first)}{dots}. {_remedy(label, some=count < len(structures))}"
            )
        if count:
            missing[label] = count
    return missing


def _remedy(label: str, *, some: bool) -> str:
    others = f"add the {label}, or set the weight of {label} in the loss to 0"
    if label == "energy":
        others = "or add their energy"
    allow = (
        " To train on the labels that are there, say --allow-missing (data.allow_missing)." if some else ""
    )
    return f"Remove them from the data, {others}.{allow}"


def _check_numbers(source: str, numbers: np.ndarray) -> None:
    if len(numbers) == 0:
        raise DataError(f"{source}: there are no atoms")
    for atom in np.flatnonzero((numbers < 1) | (numbers > len(SYMBOLS))):
        raise DataError(
            f"{source}: atom {atom} has the atomic number {numbers[atom]}; they run from 1 to {len(SYMBOLS)}"
        )


def _check_finite(source: str, s: Structure) -> None:
    for name, rows in (("position", s.positions), ("force", s.forces)):
        if rows is not None and not np.isfinite(rows).all():
            atom = int(np.flatnonzero(~np.isfinite(rows).all(axis=1))[0])
            element = SYMBOLS[int(s.numbers[atom])]
            raise DataError(
                f"{source}: the {name} of atom {atom} ({element}) is not finite: {_row(rows[atom])}"
            )
    for name, value in (("energy", s.energy), ("stress", s.stress), ("cell", s.cell)):
        if value is not None and not np.isfinite(value).all():
            raise DataError(f"{source}: the {name} is not finite: {_row(np.ravel(value))}")
    for name, values in (("position", s.positions), ("cell vector", s.cell)):
        if (far := np.abs(values) > FARTHEST).any():
            raise DataError(
                f"{source}: a {name} reaches {np.abs(values[far]).max():g} Angstrom, beyond {FARTHEST:g}; are these its units?"
            )


def _check_cell(source: str, cell: np.ndarray, pbc: np.ndarray) -> None:
    lengths = np.linalg.norm(cell, axis=1)
    for direction in np.flatnonzero(pbc):
        if lengths[direction] < SAME_PLACE:
            name = "abc"[direction]
            raise DataError(
                f"{source}: periodic along {name}, but cell vector {name} is {_row(cell[direction])}; "
                "give the cell, or switch the periodic flag off"
            )
    unit = cell[pbc] / lengths[pbc, None]
    if pbc.any() and np.sqrt(abs(np.linalg.det(unit @ unit.T))) < FLAT:
        raise DataError(
            f"{source}: the cell has no volume, its periodic vectors are linearly dependent: "
            f"{', '.join(_row(row) for row in cell[pbc])}"
        )


def _check_apart(source: str, s: Structure) -> None:
    # fractional coordinates on a torus: a k-d tree finds pairs across the faces, too
    cell = complete_cell(np.where(s.pbc[:, None], s.cell, 0.0))
    inverse = np.linalg.inv(cell)
    fractional = s.positions @ inverse
    fractional = np.where(s.pbc, fractional - np.floor(fractional), fractional)
    fractional = np.where(s.pbc & (fractional >= 1.0), 0.0, fractional)
    if len(s) > MANY:
        _check_crowd(source, s, fractional @ cell)
    tree = KDTree(fractional, boxsize=np.where(s.pbc, 1.0, 0.0))
    reach = min(SAME_PLACE * np.linalg.norm(inverse, 2), 0.5)
    for i, j in tree.query_pairs(reach, output_type="ndarray"):
        step = fractional[j] - fractional[i]
        distance = float(np.linalg.norm((step - np.where(s.pbc, np.round(step), 0.0)) @ cell))
        if distance < SAME_PLACE:
            raise _at_one_place(source, s, (int(i), int(j)), distance)


def _check_crowd(source: str, s: Structure, positions: np.ndarray) -> None:
    """Find atoms in the same box of half of SAME_PLACE: of thousands at one place, the list of all pairs fills the memory."""
    boxes = np.floor(positions / (SAME_PLACE / 2))
    order = np.lexsort(boxes.T)
    shared = np.flatnonzero((np.diff(boxes[order], axis=0) == 0).all(axis=1))
    if len(shared):
        i, j = order[shared[0] : shared[0] + 2]
        raise _at_one_place(source, s, (int(i), int(j)), float(np.linalg.norm(positions[i] - positions[j])))


def _at_one_place(source: str, s: Structure, pair: tuple[int, int], distance: float) -> DataError:
    names = " and ".join(f"{k} ({SYMBOLS[int(s.numbers[k])]})" for k in pair)
    return DataError(
        f"{source}: atoms {names} are at one place, {distance:.1e} Angstrom apart, at {_row(s.positions[pair[0]])}"
    )


def _row(values: np.ndarray) -> str:
    return f"({', '.join(f'{value:g}' for value in values)})"
