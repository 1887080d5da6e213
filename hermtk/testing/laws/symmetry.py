"""Space has no preferred origin or direction, and atoms have no names."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from hermtk.graph.graph import edge_vectors
from hermtk.models.potential import Potential
from hermtk.subnets.base import Features
from hermtk.testing import structures
from hermtk.testing.law import Case, law
from hermtk.testing.measure import apart
from hermtk.testing.structures import ORGANIC, Array
from hermtk.testing.subject import Result, Subject

_EXACT = 1e-9


@law
def follows_rotations_and_mirrors(subject: Subject) -> Iterator[Case]:
    """Energy stays, forces and stress turn with the structure: rotation, mirror, inversion."""
    potential = subject.make(ORGANIC)
    for structure, name in ((structures.molecule(), "a molecule"), (structures.crystal(), "a crystal")):
        here = subject.result(potential, structure)
        for motion, matrix in structures.rotations():
            there = subject.result(potential, structures.turned(structure, matrix))
            turn = torch.as_tensor(matrix).to(here.forces)
            case = f"{motion} of {name}"
            yield Case(f"{case}: energy", apart(here.energy, there.energy), _EXACT)
            yield Case(f"{case}: forces", apart(here.forces @ turn.T, there.forces), _EXACT)
            yield Case(f"{case}: stress", apart(turn @ here.stress @ turn.T, there.stress), _EXACT)


@law
def features_turn_with_the_structure(subject: Subject) -> Iterator[Case]:
    """After every layer, order l turns by the Wigner matrix of l with parity (-1)^l."""
    potential = subject.make(ORGANIC)
    structure = structures.molecule()
    here = features_by_layer(subject, potential, structure)
    for motion, matrix in structures.rotations():
        there = features_by_layer(subject, potential, structures.turned(structure, matrix))
        for depth, (before, after) in enumerate(zip(here, there, strict=True), start=1):
            for order, (f, g) in enumerate(zip(before, after, strict=True)):
                expected = torch.einsum("mn,anc->amc", wigner(order, matrix).to(f), f)
                yield Case(f"{motion}, layer {depth}, order {order}", apart(expected, g), _EXACT)


@law
def does_not_know_where_the_origin_is(subject: Subject) -> Iterator[Case]:
    """Moving everything, or one atom by a lattice vector, changes nothing."""
    potential = subject.make(ORGANIC)
    for structure, name in ((structures.molecule(), "a molecule"), (structures.crystal(), "a crystal")):
        here = subject.result(potential, structure)
        there = subject.result(potential, structures.moved(structure, np.array([[7.1, -3.3, 0.4]])))
        yield from _same(here, there, f"{name} moved", 10 * _EXACT)
        wrapped = structures.moved(structure, np.eye(len(structure), 3) @ structure.cell)
        there = subject.result(potential, wrapped)
        yield from _same(here, there, f"{name} with its atoms in other cells", _EXACT)


@law
def does_not_mind_the_order_of_atoms(subject: Subject) -> Iterator[Case]:
    """Atoms in another order: the same energy, the forces in that order."""
    potential = subject.make(ORGANIC)
    for structure, name in (
        (structures.line((6, 8), (1.2,)), "two atoms"),
        (structures.molecule(), "a molecule"),
        (structures.crystal(), "a crystal"),
    ):
        order = np.random.default_rng(3).permutation(len(structure))[::-1].copy()
        here = subject.result(potential, structure)
        there = subject.result(potential, structures.reordered(structure, order))
        yield Case(f"{name} reordered: energy", apart(here.energy, there.energy), _EXACT)
        yield Case(f"{name} reordered: forces", apart(here.forces[order], there.forces), _EXACT)


@law
def does_not_mind_the_order_of_edges(subject: Subject) -> Iterator[Case]:
    """Each atom's edges in another order, as another neighbour list gives them: the same energies and forces."""
    potential = subject.make(ORGANIC)
    for structure, name in ((structures.molecule(), "a molecule"), (structures.crystal(), "a crystal")):
        graph = subject.graph(structure)
        order = torch.arange(graph.n_edges).flip(0)
        order = order[torch.argsort(graph.center[order], stable=True)]
        other = replace(graph, neighbor=graph.neighbor[order], shift=graph.shift[order])
        here, there = subject.result(potential, graph), subject.result(potential, other)
        yield Case(f"{name}: energies", apart(here.energies, there.energies), _EXACT)
        yield Case(f"{name}: forces", apart(here.forces, there.forces), _EXACT)


@law
def a_cell_may_be_skewed_or_left_handed(subject: Subject) -> Iterator[Case]:
    """Other lattice vectors for the same crystal: the same energy, forces and stress."""
    potential = subject.make(ORGANIC)
    crystal = structures.crystal()
    here = subject.result(potential, crystal)
    for name, other in (
        ("a left-handed cell", structures.left_handed(crystal)),
        ("a more skewed cell", structures.sheared(crystal)),
        ("a skewed left-handed cell", structures.left_handed(structures.sheared(crystal))),
    ):
        yield from _same(here, subject.result(potential, other), name, _EXACT)


def features_by_layer(subject: Subject, potential: Potential, structure) -> list[Features]:
    """Every layer's features of all atoms."""
    graph, network = subject.graph(structure), potential.network
    union = potential.relate(graph.numbers, graph.center, graph.neighbor)
    edges = network.edges(edge_vectors(graph).to(potential.dtype), union)
    features, found = network.start(potential.element_index(graph.numbers)), []
    with torch.no_grad():
        for layer in network.layers:
            features = network.step(layer, features, edges, graph.n_atoms)
            found.append(features)
    return found


def wigner(order: int, matrix: Array) -> Tensor:
    """How spherical tensors of an order turn, mirrors included: x, y, z for l = 1, e3nn's basis beyond.

    Solved from Y(Q x) = D Y(x) on many points, which keeps double precision.
    """
    if order < 2:
        return torch.as_tensor(matrix) if order else torch.eye(1, dtype=torch.float64)
    from e3nn import o3

    points = torch.as_tensor(np.random.default_rng(0).normal(size=(40, 3)))
    before = o3.spherical_harmonics(order, points, normalize=True)
    after = o3.spherical_harmonics(order, points @ torch.as_tensor(matrix).T, normalize=True)
    return torch.linalg.lstsq(before, after).solution.T


def _same(here: Result, there: Result, name: str, tolerance: float) -> Iterator[Case]:
    yield Case(f"{name}: energy", apart(here.energy, there.energy), tolerance)
    yield Case(f"{name}: forces", apart(here.forces, there.forces), tolerance)
    yield Case(f"{name}: stress", apart(here.stress, there.stress), tolerance)
