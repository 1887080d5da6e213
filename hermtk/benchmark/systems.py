"""Systems to measure on: periodic alloys and batches of molecules, the same in every run, with labels made of noise."""

from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np
from ase.build import bulk, molecule
from jaxtyping import Int

from hermtk.data.structure import Structure
from hermtk.errors import DataError

Array = np.ndarray

# the transition metals: what an alloy takes its elements from, in this order
METALS = (*range(21, 31), *range(39, 49), *range(72, 81))
ETHANOL = (1, 6, 8)
# Angstrom
LATTICE = 3.6
RATTLE = 0.1


@dataclass(frozen=True)
class System:
    """An fcc alloy of ``size`` atoms, or ``size`` ethanols side by side in one batch.

    Attributes:
        kind: alloy or ethanol.
        size: atoms of the alloy, in conventional cells of four; or molecules.
        n_elements: how many elements the alloy holds; of ethanol 3.
    """

    kind: Literal["alloy", "ethanol"]
    size: int
    n_elements: int = 3

    @property
    def name(self) -> str:
        """What it is, without its elements."""
        if self.kind == "alloy":
            return f"alloy of {self.size} atoms"
        return f"{self.size} ethanol{'s' if self.size > 1 else ''}"

    @property
    def elements(self) -> tuple[int, ...]:
        """Its atomic numbers."""
        return METALS[: self.n_elements] if self.kind == "alloy" else ETHANOL


def alloy(atoms: int, n_elements: int) -> System:
    """A periodic fcc crystal of so many atoms and elements.

    Raises:
        DataError: no such crystal can be made.
    """
    if atoms < 4 or atoms % 4:
        near = max(4 * (atoms // 4), 4)
        raise DataError(f"{atoms} atoms do not fill fcc cells of four: {near} or {near + 4} do")
    if not 1 <= n_elements <= len(METALS):
        raise DataError(f"an alloy is made of 1 to {len(METALS)} elements, not of {n_elements}")
    if n_elements > atoms:
        raise DataError(f"{atoms} atoms cannot be of {n_elements} elements: {atoms} at most")
    return System("alloy", atoms, n_elements)


def ethanols(molecules: int) -> System:
    """A batch of so many molecules.

    Raises:
        DataError: less than one.
    """
    if molecules < 1:
        raise DataError(f"a batch holds one molecule at least, not {molecules}")
    return System("ethanol", molecules)


def structures(system: System, seed: int = 0) -> list[Structure]:
    """The structures of a system, every atom moved from its place. Alloys of one size have the same positions.

    Energies and forces are noise of unit size, in eV and eV/Angstrom.
    """
    if system.kind == "alloy":
        cell = bulk("Cu", "fcc", a=LATTICE, cubic=True).repeat(_box(system.size // 4))
        numbers = np.resize(np.array(system.elements), system.size)
        np.random.default_rng((seed, system.n_elements)).shuffle(numbers)
        return [_structure(numbers, cell.positions, cell.cell.array, seed)]
    ethanol = molecule("CH3CH2OH")
    return [
        _structure(ethanol.numbers, ethanol.positions, None, (seed, index)) for index in range(system.size)
    ]


def _structure(
    numbers: Int[Array, " atoms"], places: Array, cell: Array | None, seed: int | tuple[int, int]
) -> Structure:
    random = np.random.default_rng(seed)
    return Structure(
        np.asarray(numbers, dtype=np.int64),
        places + RATTLE * random.uniform(-1, 1, places.shape),
        np.zeros((3, 3)) if cell is None else cell,
        np.full(3, cell is not None),
        energy=float(random.normal()),
        forces=random.normal(size=places.shape),
    )


def _box(cells: int) -> tuple[int, int, int]:
    """So many cells as near to a cube as they can be laid."""
    divisors = [n for n in range(1, cells + 1) if cells % n == 0]
    boxes = [(a, b, cells // (a * b)) for a, b in product(divisors, repeat=2) if cells % (a * b) == 0]
    return min(boxes, key=lambda box: (max(box), box))
