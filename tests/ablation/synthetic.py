"""Clusters of three elements under a known pair potential, typed by element or not.

    python tests/ablation/synthetic.py typed.xyz --typed --structures 400
    python tests/ablation/synthetic.py untyped.xyz --structures 400

Typed: every pair of elements has a Morse potential of its own, drawn at random. Untyped: all pairs have the same one, so that the
elements are mere names and whoever learns them apart learns everything several times.
"""

import argparse
from itertools import combinations_with_replacement
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

ELEMENTS = (13, 28, 47)
ATOMS, CUTOFF = 7, 4.0
_NEAREST, _FARTHEST = 1.9, 3.8


def structures(number: int, *, typed: bool, seed: int) -> list[Atoms]:
    """Labelled clusters; the potential and the clusters are drawn by the seed."""
    random = np.random.default_rng((seed, typed))
    parameters = {}
    for pair in combinations_with_replacement(ELEMENTS, 2):
        if typed or not parameters:
            depth, width, place = random.uniform(0.2, 1.2), random.uniform(1.0, 2.0), random.uniform(2.0, 3.0)
        parameters[pair] = depth, width, place
    return [_labelled(_cluster(random), parameters) for _ in range(number)]


def _cluster(random: np.random.Generator) -> Atoms:
    """Atoms added one by one, none too near to another and each near enough to one."""
    positions = [np.zeros(3)]
    while len(positions) < ATOMS:
        trial = positions[random.integers(len(positions))] + random.normal(size=3) * 2.0
        distance = np.linalg.norm(np.array(positions) - trial, axis=1).min()
        if _NEAREST < distance < _FARTHEST:
            positions.append(trial)
    return Atoms(random.choice(ELEMENTS, ATOMS), np.array(positions))


def _labelled(atoms: Atoms, parameters: dict) -> Atoms:
    energy, forces = morse(atoms.numbers, atoms.positions, parameters)
    atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
    return atoms


def morse(numbers: np.ndarray, positions: np.ndarray, parameters: dict) -> tuple[float, np.ndarray]:
    """Energy in eV and forces in eV/Angstrom; faded to zero at the cut-off by cos^2."""
    energy, forces = 0.0, np.zeros_like(positions)
    for i in range(len(numbers)):
        for j in range(i):
            vector = positions[j] - positions[i]
            r = np.linalg.norm(vector)
            if r >= CUTOFF:
                continue
            depth, width, place = parameters[tuple(sorted((int(numbers[i]), int(numbers[j]))))]
            x = np.exp(-width * (r - place))
            value, slope = depth * (x * x - 2 * x), depth * width * (2 * x - 2 * x * x)
            fade = np.cos(np.pi * r / CUTOFF / 2) ** 2
            fading = -np.pi / CUTOFF / 2 * np.sin(np.pi * r / CUTOFF)
            energy += value * fade
            along = (slope * fade + value * fading) * vector / r
            forces[i] += along
            forces[j] -= along
    return energy, forces


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--typed", action="store_true")
    parser.add_argument("--structures", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    made = structures(arguments.structures, typed=arguments.typed, seed=arguments.seed)
    ase.io.write(arguments.file, made, format="extxyz")


if __name__ == "__main__":
    main()
