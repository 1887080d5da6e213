"""A domain of a larger system knows its neighbours only as ghosts: copies whose features come from elsewhere."""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from hermtk.graph.graph import Graph, edge_vectors
from hermtk.nn.segment import segment_sum
from hermtk.subnets.base import Features
from hermtk.testing import structures
from hermtk.testing.law import Case, law
from hermtk.testing.measure import apart
from hermtk.testing.subject import Subject

_EXACT = 1e-10


class Halves(NamedTuple):
    """Two domains side by side: all local atoms first, then the ghosts of both. ``owner``: the atom each ghost copies."""

    center: Tensor
    neighbor: Tensor
    owner: Tensor


@law
def halves_with_ghosts_equal_the_whole(subject: Subject) -> Iterator[Case]:
    """A crystal cut in two, every outside or periodic neighbour a ghost, features exchanged between layers: nothing changes."""
    yield from _one_edge(subject)
    for numbers, name in (((6, 6), "two carbon atoms"), ((6, 8, 1, 6, 1, 8), "six atoms of three elements")):
        potential = subject.make(structures.ORGANIC)
        crystal = structures.crystal(numbers)
        graph = subject.graph(crystal)
        whole = subject.result(potential, graph)
        halves = cut(graph, np.arange(len(crystal)) * 2 // len(crystal))
        atoms = graph.n_atoms

        def exchange(features: Features, owner: Tensor = halves.owner) -> Features:
            return tuple(torch.cat([f, f[owner]]) for f in features)

        numbers_of_all = torch.cat([graph.numbers, graph.numbers[halves.owner]])
        vectors = edge_vectors(graph).requires_grad_()
        union = potential.relate(numbers_of_all, halves.center, halves.neighbor)
        energies = potential(numbers_of_all, vectors, halves.center, halves.neighbor, union, atoms, exchange)
        (slopes,) = torch.autograd.grad(energies.sum(), vectors)
        owner_of_all = torch.cat([torch.arange(atoms), halves.owner])
        forces = segment_sum(slopes, halves.center, atoms) - segment_sum(
            slopes, owner_of_all[halves.neighbor], atoms
        )
        yield Case(f"{name}: energies", apart(whole.energies, energies), _EXACT)
        yield Case(f"{name}: forces", apart(whole.forces, forces), _EXACT)


def _one_edge(subject: Subject) -> Iterator[Case]:
    """A domain of one atom whose only neighbour is a ghost: a single edge. One layer, so that nothing is exchanged."""
    alone = replace(subject, layers=1)
    potential, pair = alone.make(structures.ORGANIC), structures.line((6, 8), (1.2,))
    graph = alone.graph(pair)
    whole = alone.result(potential, graph)
    center, neighbor = torch.tensor([0]), torch.tensor([1])
    union = potential.relate(graph.numbers, center, neighbor)
    vectors = edge_vectors(graph)[graph.center == 0]
    energies = potential(graph.numbers, vectors, center, neighbor, union, 1)
    yield Case("one atom and its ghost neighbour: energy", apart(whole.energies[:1], energies), _EXACT)


def cut(graph: Graph, domain: np.ndarray) -> Halves:
    """The same edges, neighbours of another domain or image replaced by ghosts of the centre's domain."""
    ghosts: dict[tuple[int, ...], int] = {}
    neighbors, owners = [], []
    for center, neighbor, shift in zip(
        graph.center.tolist(), graph.neighbor.tolist(), graph.shift.long().tolist(), strict=True
    ):
        if domain[center] == domain[neighbor] and not any(shift):
            neighbors.append(neighbor)
            continue
        copy = (int(domain[center]), neighbor, *shift)
        if copy not in ghosts:
            ghosts[copy] = graph.n_atoms + len(owners)
            owners.append(neighbor)
        neighbors.append(ghosts[copy])
    return Halves(
        graph.center, torch.tensor(neighbors, dtype=torch.long), torch.tensor(owners, dtype=torch.long)
    )
