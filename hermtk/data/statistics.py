"""What training needs to know of its data: elements, reference energies, scales."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from hermtk.data.elements import number_of, symbols
from hermtk.data.structure import Structure
from hermtk.errors import DataError, UnknownElement, UnknownName

# shape letters: structures, elements
Counts = Float[np.ndarray, "structures elements"]


@dataclass(frozen=True)
class ReferenceEnergies:
    """An energy (eV) for each element, taken off totals before learning.

    ``rank`` is how many independent compositions determined them: fewer than elements means that only sums for the
    compositions seen are meaningful, not the single values. ``how`` says where they come from.
    """

    values: dict[int, float]
    rank: int
    how: str


def elements_of(structures: Sequence[Structure]) -> tuple[int, ...]:
    """The atomic numbers that occur, in rising order."""
    return tuple(sorted({int(number) for s in structures for number in np.unique(s.numbers)}))


def reference_energies(structures: Sequence[Structure], elements: Sequence[int]) -> ReferenceEnergies:
    """Least squares of the total energies over the compositions.

    min over E0 of sum_s (E_s - sum_Z n_sZ E0_Z)^2. Where compositions leave E0 open, the solution nearest to the mean
    energy per atom is taken: one single composition gives every element that mean.

    Raises:
        DataError: no structure has an energy.
        UnknownElement: a structure holds an element that is not in ``elements``.
    """
    labelled = [s for s in structures if s.energy is not None]
    if not labelled:
        raise DataError("reference energies need structures with energies, none has one")
    counts = _counts(labelled, elements)
    energies = np.array([s.energy for s in labelled], dtype=np.float64)
    mean = energies.sum() / counts.sum()
    # the counts of a row add up to its atoms, so the mean per atom can be taken off first
    shifts, _, rank, _ = np.linalg.lstsq(counts, energies - mean * counts.sum(axis=1), rcond=None)
    values = {int(z): float(mean + shift) for z, shift in zip(elements, shifts, strict=True)}
    return ReferenceEnergies(values, int(rank), f"least squares over {len(labelled)} structures")


def given_references(values: Mapping[Any, float], elements: Sequence[int]) -> ReferenceEnergies:
    """Reference energies (eV) given by symbol or atomic number; those of elements not in ``elements`` are left out.

    Raises:
        UnknownName: a symbol that no element has.
        DataError: an element without a value, one given twice, or a value that is not finite.
    """
    known: dict[int, float] = {}
    for name, value in values.items():
        number = _number(name)
        if number in known:
            raise DataError(f"the reference energy of {symbols([number])[0]} is given twice")
        if not np.isfinite(value):
            raise DataError(
                f"the reference energy of {symbols([number])[0]} is {value}, it should be a finite number"
            )
        known[number] = float(value)
    missing = [number for number in elements if number not in known]
    if missing:
        raise DataError(
            f"no reference energy is given for {', '.join(symbols(missing))}; given are {', '.join(symbols(known))}"
        )
    return ReferenceEnergies({int(z): known[z] for z in elements}, len(elements), "given")


def force_rms(structures: Sequence[Structure]) -> float | None:
    """The root mean square over all force components, eV/Angstrom; None where no structure has forces."""
    forces = [s.forces for s in structures if s.forces is not None]
    if not forces:
        return None
    return float(np.sqrt(np.mean(np.concatenate(forces).astype(np.float64) ** 2)))


def energy_sd_per_atom(structures: Sequence[Structure], references: ReferenceEnergies) -> float | None:
    """The standard deviation of (energy - reference energies) per atom, eV; None where no structure has an energy.

    Raises:
        UnknownElement: a structure holds an element without a reference energy.
    """
    labelled = [s for s in structures if s.energy is not None]
    if not labelled:
        return None
    counts = _counts(labelled, list(references.values))
    energies = np.array([s.energy for s in labelled], dtype=np.float64)
    return float(
        np.std((energies - counts @ np.array(list(references.values.values()))) / counts.sum(axis=1))
    )


def _counts(structures: Sequence[Structure], elements: Sequence[int]) -> Counts:
    column = {int(z): k for k, z in enumerate(elements)}
    counts = np.zeros((len(structures), len(elements)))
    for row, s in zip(counts, structures, strict=True):
        for number, count in zip(*np.unique(s.numbers, return_counts=True), strict=True):
            if int(number) not in column:
                here, known = symbols([int(number)])[0], ", ".join(symbols(elements))
                raise UnknownElement(f"{s.source or 'a structure'} holds {here}; the elements are {known}")
            row[column[int(number)]] = count
    return counts


def _number(name: str | int) -> int:
    if isinstance(name, str) and not name.isdecimal():
        return number_of(name)
    try:
        symbols([int(name)])
    except DataError:
        raise UnknownName("element with the atomic number", str(name), ()) from None
    return int(name)
