"""What training needs to know of its data: elements, reference energies, scales."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from hermtk.data.elements import number_of, symbols
from hermtk.data.store import Store, blocks, labelled
from hermtk.data.structure import Structure
from hermtk.errors import DataError, UnknownElement, UnknownName

Array = np.ndarray

# shape letters: structures, elements
Counts = Float[Array, "structures elements"]
# atoms of the structures looked at together: sets of up to this size in one piece
_ATOMS = 2**20


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
    found: set[int] = set()
    for block in blocks(structures, _ATOMS):
        found.update(np.unique(_numbers(block)[1]).tolist())
    return tuple(sorted(found))


def reference_energies(structures: Sequence[Structure], elements: Sequence[int]) -> ReferenceEnergies:
    """Least squares of the total energies over the compositions.

    min over E0 of sum_s (E_s - sum_Z n_sZ E0_Z)^2. Where compositions leave E0 open, the solution nearest to the mean
    energy per atom is taken: one single composition gives every element that mean.

    Raises:
        DataError: no structure has an energy.
        UnknownElement: a structure holds an element that is not in ``elements``.
    """
    parts = [_energies(block) for block in blocks(structures, _ATOMS)]
    energies = np.concatenate([part[has] for part, has, _ in parts]) if parts else np.zeros(0)
    if not len(energies):
        raise DataError("reference energies need structures with energies, none has one")
    mean = energies.sum() / sum(int(sizes[has].sum()) for _, has, sizes in parts)
    shifts, rank = _least_squares(_equations(structures, elements, mean), len(elements))
    values = {int(z): float(mean + shift) for z, shift in zip(elements, shifts, strict=True)}
    return ReferenceEnergies(values, int(rank), f"least squares over {len(energies)} structures")


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


def isolated_references(structures: Iterable[Structure], elements: Sequence[int]) -> ReferenceEnergies:
    """The energies of the structures that are a single atom without neighbours: no periodic direction, an energy.

    Raises:
        DataError: an element has no such structure, or two that differ.
    """
    known: dict[int, float] = {}
    for s in structures:
        if len(s) != 1 or s.pbc.any() or s.energy is None:
            continue
        number = int(s.numbers[0])
        if abs(known.setdefault(number, s.energy) - s.energy) > 1e-6:
            raise DataError(
                f"{s.source or 'a structure'}: the isolated atom {symbols([number])[0]} has the energy {s.energy} eV, "
                f"another one {known[number]} eV"
            )
    missing = [number for number in elements if number not in known]
    if missing:
        raise DataError(
            f"there is no isolated atom of {', '.join(symbols(missing))} among the structures to take a reference energy from; "
            "add single atoms without periodic directions, or give data.references as a table"
        )
    return ReferenceEnergies({int(z): known[z] for z in elements}, len(elements), "isolated atoms")


def force_rms(structures: Sequence[Structure]) -> float | None:
    """The root mean square over all force components, eV/Angstrom; None where no structure has forces."""
    squares, count = [], 0
    for block in blocks(structures, _ATOMS):
        forces = _forces(block)
        squares.append(float(np.sum(forces**2)))
        count += forces.size
    return float(np.sqrt(math.fsum(squares) / count)) if count else None


def energy_sd_per_atom(structures: Sequence[Structure], references: ReferenceEnergies) -> float | None:
    """The standard deviation of (energy - reference energies) per atom, eV; None where no structure has an energy.

    Raises:
        UnknownElement: a structure holds an element without a reference energy.
    """
    values, left = np.array(list(references.values.values())), []
    for block in blocks(structures, _ATOMS):
        energies, has, sizes = _energies(block)
        if has.any():
            counts = _counts(block, list(references.values))[has]
            left.append((energies[has] - counts @ values) / sizes[has])
    return float(np.std(np.concatenate(left))) if left else None


def _equations(
    structures: Sequence[Structure], elements: Sequence[int], mean: float
) -> Iterator[tuple[Counts, Float[Array, " structures"]]]:
    """The counts of labelled structures, and what the mean energy per atom leaves of their energies."""
    for block in blocks(structures, _ATOMS):
        energies, has, sizes = _energies(block)
        if has.any():
            # the counts of a row add up to its atoms, so the mean per atom can be taken off first
            yield _counts(block, elements)[has], energies[has] - mean * sizes[has]


def _least_squares(
    equations: Iterable[tuple[Counts, Float[Array, " structures"]]], unknowns: int
) -> tuple[Float[Array, " unknowns"], int]:
    """The smallest solution and the rank.

    Of many equations only the triangle of a QR decomposition is kept, which says the same: unlike normal equations it does not
    square their condition.
    """
    kept, rows = np.zeros((0, unknowns + 1)), 0
    for counts, energies in equations:
        joined = np.concatenate([kept, np.column_stack([counts, energies])])
        kept = joined if not rows else np.asarray(np.linalg.qr(joined, mode="r"))
        rows += len(counts)
    cut = np.finfo(np.float64).eps * max(rows, unknowns)
    found, _, rank, _ = np.linalg.lstsq(kept[:, :-1], kept[:, -1], rcond=cut)
    return found, int(rank)


def _numbers(structures: Sequence[Structure]) -> tuple[Int[Array, " structures"], Int[Array, " atoms"]]:
    """Atoms of each structure, and all atomic numbers end to end."""
    if isinstance(structures, Store):
        return structures.sizes, structures.rows("numbers").astype(np.int64)
    return np.array([len(s) for s in structures]), np.concatenate([s.numbers for s in structures])


def _energies(
    structures: Sequence[Structure],
) -> tuple[Float[Array, " structures"], Bool[Array, " structures"], Int[Array, " structures"]]:
    """The energy of each structure, which have one, and the atoms of each."""
    if isinstance(structures, Store):
        return structures.values("energy"), structures.has("energy"), structures.sizes
    found = [np.nan if s.energy is None else s.energy for s in structures]
    sizes = np.array([len(s) for s in structures])
    return np.array(found, dtype=np.float64), labelled(structures, "energy"), sizes


def _forces(structures: Sequence[Structure]) -> Float[Array, "atoms 3"]:
    """The forces of the structures that have some."""
    if isinstance(structures, Store):
        return structures.pick(structures.has("forces")).rows("forces")
    found = [s.forces for s in structures if s.forces is not None]
    return np.concatenate(found).astype(np.float64) if found else np.zeros((0, 3))


def _counts(structures: Sequence[Structure], elements: Sequence[int]) -> Counts:
    sizes, numbers = _numbers(structures)
    place = np.full(max(int(numbers.max()), *elements) + 1, -1)
    place[list(elements)] = np.arange(len(elements))
    columns, rows = place[numbers], np.repeat(np.arange(len(sizes)), sizes)
    if (columns < 0).any():
        atom = int(np.flatnonzero(columns < 0)[0])
        here, known = symbols([int(numbers[atom])])[0], ", ".join(symbols(elements))
        source = structures[int(rows[atom])].source or "a structure"
        raise UnknownElement(f"{source} holds {here}; the elements are {known}")
    counts = np.bincount(rows * len(elements) + columns, minlength=len(sizes) * len(elements))
    return counts.reshape(len(sizes), len(elements)).astype(np.float64)


def _number(name: str | int) -> int:
    if isinstance(name, str) and not name.isdecimal():
        return number_of(name)
    try:
        symbols([int(name)])
    except DataError:
        raise UnknownName("element with the atomic number", str(name), ()) from None
    return int(name)
