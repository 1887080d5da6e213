"""Forces and stress are slopes of the energy, and can be trained on."""

import math
import re
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from hermtk.data.structure import Structure
from hermtk.graph.graph import Graph, edge_vectors
from hermtk.models.potential import Potential
from hermtk.testing import structures
from hermtk.testing.law import Case, law, law_of_doubles
from hermtk.testing.measure import apart
from hermtk.testing.structures import ORGANIC
from hermtk.testing.subject import Subject

# five-point differences in double precision: the step's fourth power against rounding over the step
_STEP = 1e-3
_STENCIL = ((-2, 1 / 12), (-1, -8 / 12), (1, 8 / 12), (2, -1 / 12))
_SLOPE = 1e-6
_GROUPS = 8
# a weight whose gradient is a smaller share of the largest has no effect
_LEAST = 1e-12


@law_of_doubles
def forces_are_the_slope_of_the_energy(subject: Subject) -> Iterator[Case]:
    """-dE/dx by differences, every component of every atom."""
    potential = subject.make(ORGANIC)
    for structure, name in (
        (structures.line((6, 8), (1.2,)), "two atoms"),
        (structures.molecule((6, 8, 1)), "three atoms"),
        (structures.crystal(), "a crystal"),
        (structures.left_handed(structures.crystal()), "a left-handed crystal"),
        (structures.slab(), "a slab without a third cell vector"),
    ):
        steps = np.eye(3 * len(structure)).reshape(-1, len(structure), 3)
        slope = slopes(subject, potential, [(structures.moved, structure, step) for step in steps])
        forces = subject.result(potential, structure).forces
        yield Case(name, apart(forces, -slope.reshape(-1, 3)), _SLOPE)


@law_of_doubles
def stress_is_the_slope_along_strain(subject: Subject) -> Iterator[Case]:
    """dE/d(strain)/V by differences, all nine components; positive under tension."""
    potential = subject.make(ORGANIC)
    crystal = structures.crystal()
    for structure, name in (
        (crystal, "a skewed cell smaller than the cut-off"),
        (structures.left_handed(crystal), "a left-handed cell"),
    ):
        strains = np.eye(9).reshape(9, 3, 3)
        slope = slopes(subject, potential, [(structures.strained, structure, strain) for strain in strains])
        stress = subject.result(potential, structure).stress[0]
        expected = slope.reshape(3, 3) / structure.volume
        yield Case(name, apart(stress, 0.5 * (expected + expected.T)), _SLOPE)


@law_of_doubles
def slopes_can_be_differentiated_again(subject: Subject) -> Iterator[Case]:
    """d2E/d(edge vector)2 by autograd, against differences of dE/d(edge vector), along random directions."""
    potential = subject.make(ORGANIC)
    graph = subject.graph(structures.molecule((6, 8, 1)))
    union = potential.relate(graph.numbers, graph.center, graph.neighbor)
    start = edge_vectors(graph)
    random = torch.Generator().manual_seed(0)

    def slope(vectors: Tensor) -> Tensor:
        vectors = vectors.clone().requires_grad_()
        energies = potential(graph.numbers, vectors, graph.center, graph.neighbor, union, graph.n_atoms)
        return torch.autograd.grad(energies.sum(), vectors, create_graph=True)[0]

    for trial in range(3):
        along = torch.randn(start.shape, generator=random, dtype=start.dtype)
        vectors = start.clone().requires_grad_()
        energies = potential(graph.numbers, vectors, graph.center, graph.neighbor, union, graph.n_atoms)
        (first,) = torch.autograd.grad(energies.sum(), vectors, create_graph=True)
        (second,) = torch.autograd.grad((first * along).sum(), vectors)
        step = 0.3 * _STEP
        measured = sum(c * slope(start + k * step * along).detach() for k, c in _STENCIL) / step
        yield Case(f"three atoms, direction {trial + 1}", apart(second, torch.as_tensor(measured)), _SLOPE)


@law_of_doubles
def the_force_loss_moves_every_weight_rightly(subject: Subject) -> Iterator[Case]:
    """d(sum |F - F0|^2 + ...)/d(weight) by autograd, against differences along random directions of some weights at a time."""
    potential = subject.make(ORGANIC)
    graph = subject.graph([structures.molecule((6, 8, 1, 1, 6)), structures.crystal()])
    weights = dict(potential.named_parameters())
    value = force_loss(subject, potential, graph)
    gradients = torch.autograd.grad(value, list(weights.values()), allow_unused=True, materialize_grads=True)
    random = torch.Generator().manual_seed(0)
    size = max(float(g.abs().max()) for g in gradients)
    for group in range(min(_GROUPS, len(weights))):
        chosen = list(weights)[group::_GROUPS]
        along = {
            name: torch.randn(weights[name].shape, generator=random, dtype=value.dtype) for name in chosen
        }
        expected = sum(
            float((g * along[n]).sum()) for n, g in zip(weights, gradients, strict=True) if n in along
        )
        measured = _slope_along(subject, potential, graph, along)
        yield Case(f"the weights {', '.join(chosen)}", abs(measured - expected) / size, 10 * _SLOPE)


@law
def every_weight_has_an_effect(subject: Subject) -> Iterator[Case]:
    """A loss on energy and forces has a gradient for every weight, in one layer at least (the last reads out scalars only)."""
    potential = subject.make(ORGANIC)
    graph = subject.graph([structures.molecule((6, 8, 1, 1, 6, 8, 6)), structures.crystal()])
    weights = dict(potential.named_parameters())
    loss = force_loss(subject, potential, graph)
    gradients = torch.autograd.grad(loss, list(weights.values()), allow_unused=True, materialize_grads=True)
    effects: dict[str, float] = {}
    for name, gradient in zip(weights, gradients, strict=True):
        kind = re.sub(r"\blayers\.\d+\.", "layers.*.", name)
        effects[kind] = max(effects.get(kind, 0.0), float(gradient.abs().max()))
    largest = max(effects.values())
    for kind, effect in effects.items():
        share = effect / largest if largest else 0.0
        yield Case(f"the weight {kind}", _LEAST / share if share else math.inf, 1.0)


def _slope_along(subject: Subject, potential: Potential, graph: Graph, along: dict[str, Tensor]) -> float:
    """The loss's slope as some weights move, by differences; the weights are put back."""
    weights = dict(potential.named_parameters())
    start = {name: weights[name].detach().clone() for name in along}
    step, measured = 0.1 * _STEP, 0.0
    for k, c in _STENCIL:
        for name, direction in along.items():
            weights[name].data = start[name] + k * step * direction
        measured += c * float(force_loss(subject, potential, graph).detach()) / step
    for name, value in start.items():
        weights[name].data = value
    return measured


def force_loss(subject: Subject, potential: Potential, graph: Graph) -> Tensor:
    """A loss on energies, forces and stress, as in training; differentiable in the weights."""
    found = subject.predict(potential, graph, stress=True, training=True)
    terms = [(found.energy - 0.3).square().sum()]
    terms += [(part - 0.1).square().sum() for part in (found.forces, found.stress) if part is not None]
    return torch.stack([term.to(torch.float64) for term in terms]).sum()


def slopes(subject: Subject, potential: Potential, changes: list[tuple]) -> Tensor:
    """dE/ds of structures ``change(structure, s * direction)`` at s = 0, all in one batch."""
    batch: list[Structure] = [
        change(structure, k * _STEP * direction)
        for change, structure, direction in changes
        for k, _ in _STENCIL
    ]
    energy = subject.result(potential, batch).energy.reshape(-1, len(_STENCIL))
    weights = torch.tensor([c for _, c in _STENCIL], dtype=energy.dtype)
    return (energy @ weights / _STEP).detach()
