"""What a subnet costs, and how smooth it is, in numbers: no law says how much is too much."""

import random
import time
from dataclasses import dataclass, replace

import numpy as np
import torch
from ase.build import bulk
from torch import Tensor

from hermtk.data.structure import Structure
from hermtk.graph.graph import Graph
from hermtk.models.potential import Potential
from hermtk.testing.laws.derivatives import force_loss
from hermtk.testing.structures import ORGANIC
from hermtk.testing.subject import CUTOFF, Subject

ELEMENTS = (1, 2, 4, 8)
_METALS = (27, 24, 26, 25, 28, 29, 13, 22)
_CHANNELS = 32
_REPEATS = 5
# the path through the cut-off: steps of a ten-thousandth of an Angstrom
_STEP, _STEPS = 1e-4, 20


@dataclass(frozen=True)
class Costs:
    """Of one subnet under one variant.

    Attributes:
        step_ms: CPU time of a training step (loss on energy, forces and stress, and its gradients) on 32 atoms of one element.
        ratios: the same for 1, 2, 4 and 8 elements over that for one; same positions.
        bytes_per_edge: what the step keeps for its gradients, over the edges of the graph; two elements.
        energy_jump: largest departure of the energy from a straight line through two steps of 0.0001 Angstrom, about the
            cut-off, eV: what a jump would be.
        force_jump: the same of a force component, eV/Angstrom.
    """

    step_ms: float
    ratios: tuple[float, ...]
    bytes_per_edge: float
    energy_jump: float
    force_jump: float


def costs(subject: Subject) -> Costs:
    """Measure a subject, in single precision and with 32 channels where time and memory are concerned."""
    wide = replace(subject, channels=_CHANNELS, dtype=torch.float32)
    seconds = step_times(wide)
    energy, forces = jumps(replace(subject, dtype=torch.float64))
    return Costs(
        1e3 * seconds[0], tuple(s / seconds[0] for s in seconds), bytes_per_edge(wide), energy, forces
    )


def step_times(subject: Subject) -> list[float]:
    """CPU seconds of a training step for each number of elements: the least of five, taken by turns."""
    cases = [(subject.make(_METALS[:n]), subject.graph(alloy(n))) for n in ELEMENTS]
    found: list[list[float]] = [[] for _ in cases]
    for _ in range(_REPEATS + 1):
        for row, (potential, graph) in zip(found, cases, strict=True):
            start = time.process_time()
            _step(subject, potential, graph)
            row.append(time.process_time() - start)
    # the first is slower: memory is taken, kernels are loaded
    return [min(row[1:]) for row in found]


def bytes_per_edge(subject: Subject) -> float:
    """Bytes of all tensors that autograd keeps for the gradients of the loss, weights apart, over the edges of the graph."""
    potential, graph = subject.make(_METALS[:2]), subject.graph(alloy(2))
    kept: dict[int, int] = {}
    weights = {weight.untyped_storage().data_ptr() for weight in potential.parameters()}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        force_loss(subject, potential, graph)
    return sum(kept.values()) / graph.n_edges


def jumps(subject: Subject) -> tuple[float, float]:
    """The largest second difference of the energy and of a force component as an atom passes the cut-off, two others near."""
    potential = subject.make(ORGANIC)
    path = CUTOFF + _STEP * np.arange(-_STEPS, _STEPS + 1)
    worst_energy, worst_force = 0.0, 0.0
    for leaving in ORGANIC:
        numbers = np.array([ORGANIC[0], ORGANIC[2], leaving])
        found = subject.result(
            potential,
            [Structure(numbers, np.array([[0.0, 0, 0], [0.7, 0.85, 0.1], [x, 0, 0]])) for x in path],
        )
        forces = found.forces.reshape(len(path), -1)
        worst_energy = max(worst_energy, float(found.energy.diff(n=2).abs().max()))
        worst_force = max(worst_force, float(forces.diff(n=2, dim=0).abs().max()))
    return worst_energy, worst_force


def alloy(elements: int) -> Structure:
    """32 atoms on a disturbed fcc lattice, elements in equal numbers at random places; the same positions for all."""
    atoms = bulk("Cu", "fcc", a=3.6, cubic=True).repeat(2)
    positions = atoms.positions + np.random.default_rng(0).uniform(-0.1, 0.1, atoms.positions.shape)
    numbers = [_METALS[i % elements] for i in range(len(atoms))]
    random.Random(0).shuffle(numbers)
    return Structure(np.array(numbers), positions, np.array(atoms.cell), np.ones(3, dtype=bool))


def _step(subject: Subject, potential: Potential, graph: Graph) -> None:
    potential.zero_grad()
    force_loss(subject, potential, graph).backward()
