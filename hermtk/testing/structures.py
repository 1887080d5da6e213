"""Small structures that the laws are tried on. Lengths in Angstrom; every one is the same in every run."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from ase import Atoms
from ase.build import bulk
from jaxtyping import Float, Int

from hermtk.data.structure import Structure

Array = np.ndarray

# out of order on purpose: a model's element list need not ascend
ORGANIC = (8, 1, 6)
ALLOY = (27, 24, 26, 25, 28)


def molecule(numbers: Sequence[int] = (6, 8, 1, 1, 6, 1), seed: int = 0) -> Structure:
    """Atoms at random places, none nearer than 0.9 to another, all within reach of some."""
    random = np.random.default_rng(seed)
    places = [np.zeros(3)]
    while len(places) < len(numbers):
        trial = places[random.integers(len(places))] + random.normal(size=3)
        if np.linalg.norm(np.array(places) - trial, axis=1).min() > 0.9:
            places.append(trial)
    return Structure(np.array(numbers), np.array(places))


def lone(number: int) -> Structure:
    """One atom in empty space."""
    return Structure(np.array([number]), np.array([[0.3, -0.2, 0.5]]))


def nothing() -> Structure:
    """No atom at all."""
    return Structure(np.zeros(0, dtype=np.int64), np.zeros((0, 3)))


def line(numbers: Sequence[int], distances: Sequence[float]) -> Structure:
    """Atoms on the x axis."""
    x = np.concatenate([[0.0], np.cumsum(distances)])
    return Structure(np.array(numbers), np.stack([x, 0 * x, 0 * x], axis=1))


def crystal(numbers: Sequence[int] = ORGANIC, rattle: float = 0.15, seed: int = 0) -> Structure:
    """A row of fcc cells, one atom each: skewed, and smaller than the cut-off in two directions."""
    atoms = bulk("Cu", "fcc", a=3.6).repeat((len(numbers), 1, 1))
    moved = atoms.positions + rattle * np.random.default_rng(seed).uniform(-1, 1, atoms.positions.shape)
    return Structure(np.array(numbers), moved, np.array(atoms.cell), np.ones(3, dtype=bool))


def slab(numbers: Sequence[int] = ORGANIC, seed: int = 0) -> Structure:
    """The same, periodic in two directions, with no third cell vector."""
    whole = crystal(numbers, seed=seed)
    return replace(whole, cell=whole.cell * [[1], [1], [0]], pbc=np.array([True, True, False]))


def left_handed(structure: Structure) -> Structure:
    """The same crystal, two of its cell vectors exchanged."""
    order = [1, 0, 2]
    return replace(structure, cell=structure.cell[order], pbc=structure.pbc[order])


def sheared(structure: Structure) -> Structure:
    """The same crystal in a more skewed cell of the same volume: a <- a + 2b, c <- c - a."""
    change = np.array([[1, 2, 0], [0, 1, 0], [-1, 0, 1]])
    return replace(structure, cell=change @ structure.cell)


def supercell(structure: Structure, repeats: tuple[int, int, int]) -> Structure:
    """The crystal in a larger cell, copy after copy."""
    offsets = np.stack(np.meshgrid(*map(np.arange, repeats), indexing="ij"), axis=-1).reshape(-1, 3)
    positions = np.concatenate([structure.positions + offset @ structure.cell for offset in offsets])
    return Structure(
        np.tile(structure.numbers, len(offsets)),
        positions,
        structure.cell * np.array(repeats)[:, None],
        structure.pbc,
    )


def joined(first: Structure, second: Structure, apart: float = 60.0) -> Structure:
    """Two structures in empty space, far from each other."""
    offset = np.array([apart, 0.3 * apart, 0.0])
    return Structure(
        np.concatenate([first.numbers, second.numbers]),
        np.concatenate([first.positions, second.positions + offset]),
    )


def moved(structure: Structure, by: Float[Array, "#atoms 3"]) -> Structure:
    """Positions shifted."""
    return replace(structure, positions=structure.positions + by)


def turned(structure: Structure, rotation: Float[Array, "3 3"]) -> Structure:
    """The whole structure rotated or mirrored about the origin."""
    return replace(structure, positions=structure.positions @ rotation.T, cell=structure.cell @ rotation.T)


def strained(structure: Structure, strain: Float[Array, "3 3"]) -> Structure:
    """Positions and cell deformed: x <- x (1 + strain)."""
    change = np.eye(3) + strain
    return replace(structure, positions=structure.positions @ change, cell=structure.cell @ change)


def reordered(structure: Structure, order: Int[Array, " atoms"]) -> Structure:
    """The same atoms in another order."""
    return replace(structure, numbers=structure.numbers[order], positions=structure.positions[order])


def described(structure: Structure) -> str:
    """Atoms, elements and cell in a few words: ``CHO (3 atoms, no cell)``."""
    atoms = f"{len(structure)} atom" + ("" if len(structure) == 1 else "s")
    formula = Atoms(structure.numbers).get_chemical_formula() or "nothing"
    if not structure.pbc.any():
        return f"{formula} ({atoms}, no cell)"
    lengths = " x ".join(f"{size:.2f}" for size in np.linalg.norm(structure.cell, axis=1))
    hand = ", left-handed" if np.linalg.det(structure.cell) < 0 else ""
    return f"{formula} ({atoms}, cell {lengths} Å, periodic in {structure.pbc.sum()} directions{hand})"


def rotations() -> list[tuple[str, Array]]:
    """A rotation, a mirror and the inversion, by name."""
    turn, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    turn = turn * np.linalg.det(turn)
    return [("a rotation", turn), ("a mirror", turn * [[1], [-1], [1]]), ("the inversion", -np.eye(3))]
