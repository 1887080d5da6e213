"""Structures for the tests of the audit: molecules and crystals whose faults are known."""

from dataclasses import replace

import numpy as np
from ase.build import bulk, molecule
from scipy.spatial.transform import Rotation

from hermtk.data.structure import Structure

Array = np.ndarray


def from_ase(atoms, **labels) -> Structure:
    return Structure(
        atoms.numbers.astype(np.int64),
        atoms.positions.copy(),
        atoms.cell.array.copy(),
        atoms.pbc.copy(),
        **labels,
    )


def molecules(n: int, seed: int = 0, name: str = "CH3CH2OH", scale: float = 0.05) -> list[Structure]:
    """Rattled copies of a molecule, with energies that are a function of the geometry."""
    rng = np.random.default_rng(seed)
    atoms = molecule(name)
    found = []
    for k in range(n):
        moved = rng.normal(scale=scale, size=atoms.positions.shape)
        # no net force
        moved -= moved.mean(0)
        found.append(
            from_ase(
                atoms,
                energy=-100.0 + float(np.square(moved).sum()),
                forces=-2 * moved,
                source=f"{name}{seed}:{k}",
            )
        )
        found[-1] = replace(found[-1], positions=atoms.positions + moved)
    return found


def crystals(n: int, seed: int = 0, symbol: str = "Cu", scale: float = 0.05) -> list[Structure]:
    """Rattled four-atom cells of a metal."""
    rng = np.random.default_rng(seed)
    cell = bulk(symbol, cubic=True)
    return [
        replace(
            from_ase(
                cell, energy=-4.0 * len(cell) + float(rng.normal(scale=0.02)), source=f"{symbol}{seed}:{k}"
            ),
            positions=cell.positions + rng.normal(scale=scale, size=cell.positions.shape),
        )
        for k in range(n)
    ]


def turned(s: Structure, seed: int = 0, mirror: bool = False) -> Structure:
    """The same structure turned, moved and renumbered, its forces with it."""
    rng = np.random.default_rng(seed)
    matrix = Rotation.random(random_state=seed).as_matrix() * (-1 if mirror else 1)
    order = rng.permutation(len(s))
    shift = rng.normal(scale=3.0, size=3)
    return replace(
        s,
        numbers=s.numbers[order],
        positions=(s.positions @ matrix + shift)[order],
        cell=s.cell @ matrix,
        forces=None if s.forces is None else (s.forces @ matrix)[order],
        source=f"{s.source} turned",
    )


def repeated(s: Structure, times: tuple[int, int, int]) -> Structure:
    """A supercell, with its energy."""
    steps = np.stack(np.meshgrid(*map(np.arange, times), indexing="ij"), -1).reshape(-1, 3)
    return replace(
        s,
        numbers=np.tile(s.numbers, len(steps)),
        positions=np.concatenate([s.positions + step @ s.cell for step in steps]),
        cell=s.cell * np.array(times)[:, None],
        energy=None if s.energy is None else s.energy * len(steps),
        forces=None if s.forces is None else np.tile(s.forces, (len(steps), 1)),
        source=f"{s.source} repeated",
    )


def scaled(s: Structure, factor: float) -> Structure:
    """Every length times ``factor``, labels as they are."""
    return replace(s, positions=s.positions * factor, cell=s.cell * factor)
