"""Batches: graphs with their labels, in an order that seed and epoch alone decide."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from hermtk.data.structure import Structure
from hermtk.graph.build import build_graph
from hermtk.graph.graph import Graph, batch
from hermtk.models.potential import Potential
from hermtk.relations.union import UnionGraph


@dataclass(frozen=True)
class Batch:
    """Structures to learn from. Labels in eV, eV/Angstrom, eV/Angstrom^3; NaN where a label is missing.

    Attributes:
        graph, union: the structures, their edges by relation.
        energy: [S] float64.
        forces: [A, 3].
        stress: [S, 3, 3].
    """

    graph: Graph
    union: UnionGraph
    energy: Float[Tensor, " structures"]
    forces: Float[Tensor, "atoms 3"]
    stress: Float[Tensor, "structures 3 3"]

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch on a device."""
        return replace(
            self,
            graph=self.graph.to(device),
            union=self.union.to(device),
            energy=self.energy.to(device),
            forces=self.forces.to(device),
            stress=self.stress.to(device),
        )


@dataclass(frozen=True)
class Labelled:
    """One structure as a graph with its labels."""

    graph: Graph
    energy: Tensor
    forces: Tensor
    stress: Tensor


def prepare(structures: Sequence[Structure], cutoff: float) -> list[Labelled]:
    """Graphs and labels of a fixed set, computed once."""
    return [_labelled(structure, cutoff) for structure in structures]


def join(potential: Potential, items: Sequence[Labelled]) -> Batch:
    """Several structures as one batch."""
    graph = batch([item.graph for item in items])
    return Batch(
        graph,
        potential.relate(graph.numbers, graph.center, graph.neighbor),
        torch.cat([item.energy for item in items]),
        torch.cat([item.forces for item in items]),
        torch.cat([item.stress for item in items]),
    )


class Batches:
    """Random batches of a fixed set: epoch ``k`` is the same whenever and however often it is asked for."""

    def __init__(self, potential: Potential, items: Sequence[Labelled], size: int, seed: int) -> None:
        self.potential, self.items, self.size, self.seed = potential, items, size, seed

    def __len__(self) -> int:
        return math.ceil(len(self.items) / self.size)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Batches ``start``, ``start + 1`` ... of an epoch."""
        order = np.random.default_rng((self.seed, epoch)).permutation(len(self.items))
        for first in range(start * self.size, len(order), self.size):
            yield join(self.potential, [self.items[i] for i in order[first : first + self.size]])

    def in_order(self) -> Iterator[Batch]:
        """Every structure once, in the order of the file."""
        for first in range(0, len(self.items), self.size):
            yield join(self.potential, self.items[first : first + self.size])


def mean_neighbors(items: Sequence[Labelled]) -> float:
    """Edges per atom over a set; 1 where there are none."""
    atoms = sum(item.graph.n_atoms for item in items)
    return max(sum(item.graph.n_edges for item in items) / max(atoms, 1), 1.0)


def _labelled(structure: Structure, cutoff: float) -> Labelled:
    def tensor(value: object, shape: tuple[int, ...]) -> Tensor:
        if value is None:
            return torch.full(shape, torch.nan, dtype=torch.float64)
        return torch.as_tensor(np.asarray(value, dtype=np.float64)).reshape(shape)

    return Labelled(
        build_graph(structure, cutoff),
        tensor(structure.energy, (1,)),
        tensor(structure.forces, (len(structure), 3)),
        tensor(structure.stress, (1, 3, 3)),
    )
