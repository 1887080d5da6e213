"""Neighbours come and go without a jump: energy with two derivatives, for every relation."""

from collections.abc import Iterator
from itertools import product

import numpy as np
import torch
from torch import Tensor

from hermtk.data.structure import Structure
from hermtk.graph.graph import edge_vectors
from hermtk.testing import structures
from hermtk.testing.law import Case, law, law_of_doubles
from hermtk.testing.measure import apart
from hermtk.testing.structures import ORGANIC
from hermtk.testing.subject import CUTOFF, Subject

_STEP = 1e-5 * CUTOFF
# where the leaving atom stands: about the cut-off in steps, then two places that say how much it matters
_OFFSETS = (-2.0, -1.0, -0.5, 0.5, 1.0, 2.0)
_INSIDE, _OUTSIDE = 0.6 * CUTOFF, 1.2 * CUTOFF


@law_of_doubles
def a_neighbor_leaves_smoothly(subject: Subject) -> Iterator[Case]:
    """Energy, forces and second derivative are continuous as an atom crosses the cut-off.

    For every pair of elements, alone and with each third element near: the first and the last edge of every relation.
    """
    potential = subject.make(ORGANIC)
    cases = list(product((None, *ORGANIC), ORGANIC, ORGANIC))
    places = [CUTOFF + k * _STEP for k in _OFFSETS] + [_INSIDE, _OUTSIDE]
    result = subject.result(potential, [_leaving(*case, r) for case in cases for r in places])
    energy = result.energy.reshape(len(cases), len(places), 1)
    forces = torch.split(result.forces, [len(_leaving(*case, 1.0)) for case in cases for _ in places])
    for row, case in enumerate(cases):
        here = _leaving(*case, CUTOFF)
        slope = torch.stack(forces[row * len(places) : (row + 1) * len(places)]).flatten(1)
        size = max(float((slope[-2] - slope[-1]).abs().max()), 1e-6)
        name = f"atomic number {case[2]} leaving {case[1]}" + (f" with {case[0]} near" if case[0] else "")
        yield Case(f"{name}: energy", _jump(energy[row]) / (size * CUTOFF), 1e-7, here)
        yield Case(f"{name}: forces", _jump(slope) / size, 1e-6, here)
        yield Case(f"{name}: slope of the forces", _kink(slope) * CUTOFF / size, 1e-4, here)


@law
def edges_at_the_cutoff_and_beyond_do_nothing(subject: Subject) -> Iterator[Case]:
    """An edge as long as the cut-off or longer may be listed (a skin) and changes nothing at all."""
    potential = subject.make(ORGANIC)
    for length, name in ((CUTOFF, "at the cut-off"), (1.3 * CUTOFF, "beyond the cut-off")):
        for center, neighbor in product(ORGANIC, ORGANIC):
            graph = subject.graph(structures.molecule((center, 8, 1, neighbor)))
            start = edge_vectors(graph)
            far = torch.cat([start, start.new_tensor([[0.0, length, 0.0]])])
            listed = _energies(potential, graph.numbers, far, [*graph.center, 3], [*graph.neighbor, 0])
            plain = _energies(potential, graph.numbers, start, [*graph.center], [*graph.neighbor])
            case = f"an edge from {center} to {neighbor} {name}"
            yield Case(f"{case}: energies", apart(listed[0], plain[0]), 1e-13)
            padded = torch.cat([plain[1], torch.zeros_like(plain[1][:1])])
            yield Case(f"{case}: slopes", apart(listed[1], padded), 1e-12)


def _leaving(third: int | None, center: int, neighbor: int, distance: float) -> Structure:
    numbers, positions = [center, neighbor], [[0.0, 0.0, 0.0], [distance, 0.0, 0.0]]
    if third is not None:
        numbers, positions = [*numbers, third], [*positions, [0.7, 0.85, 0.1]]
    return Structure(np.array(numbers), np.array(positions))


def _jump(values: Tensor) -> float:
    """Right limit less left limit, extrapolated from one step and half a step."""
    whole, half = values[4] - values[1], values[3] - values[2]
    return float((2 * half - whole).abs().max())


def _kink(values: Tensor) -> float:
    """The same for the slope, from one-sided differences."""
    right = 2 * (values[4] - values[3]) / (0.5 * _STEP) - (values[5] - values[4]) / _STEP
    left = 2 * (values[2] - values[1]) / (0.5 * _STEP) - (values[1] - values[0]) / _STEP
    return float((right - left).abs().max())


def _energies(
    potential, numbers: Tensor, vectors: Tensor, center: list, neighbor: list
) -> tuple[Tensor, Tensor]:
    centers, neighbors = torch.tensor(center), torch.tensor(neighbor)
    vectors = vectors.clone().requires_grad_()
    union = potential.relate(numbers, centers, neighbors)
    energies = potential(numbers, vectors, centers, neighbors, union, len(numbers))
    return energies, torch.autograd.grad(energies.sum(), vectors)[0]
