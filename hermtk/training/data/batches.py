"""Batches: graphs with their labels, in an order that seed and epoch alone decide."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from hermtk.data.structure import Structure
from hermtk.graph.build import build_graph
from hermtk.graph.graph import Graph, batch
from hermtk.models.model import Model
from hermtk.relations.base import RelationTable
from hermtk.relations.union import UnionGraph, divide, unite
from hermtk.training.data.ahead import Ahead
from hermtk.training.data.order import Budget, Order
from hermtk.training.processes import ALONE, Processes


@dataclass(frozen=True)
class Batch:
    """Structures to learn from. Labels in eV, eV/Angstrom, eV/Angstrom^3; NaN where a label is missing.

    Attributes:
        graph, union: the structures, their edges by relation.
        energy: [S] float64; the values of another target in its unit where one is learned.
        forces: [A, 3].
        stress: [S, 3, 3].
        group: [S] which of several sets each structure is of; None where there is one.
    """

    graph: Graph
    union: UnionGraph
    energy: Float[Tensor, " structures"]
    forces: Float[Tensor, "atoms 3"]
    stress: Float[Tensor, "structures 3 3"]
    group: Int[Tensor, " structures"] | None = None

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch on a device."""
        return replace(
            self,
            graph=self.graph.to(device),
            union=self.union.to(device),
            energy=self.energy.to(device),
            forces=self.forces.to(device),
            stress=self.stress.to(device),
            group=None if self.group is None else self.group.to(device),
        )


@dataclass(frozen=True)
class Labelled:
    """One structure, or several as a batch, as a graph with its labels."""

    graph: Graph
    energy: Tensor
    forces: Tensor
    stress: Tensor
    group: Tensor | None = None


class Items(Sequence[Labelled]):
    """Structures that are not held one by one but joined when a batch is asked for."""

    @property
    @abstractmethod
    def atoms(self) -> Int[np.ndarray, " structures"]:
        """Of each structure."""

    @property
    @abstractmethod
    def edges(self) -> Int[np.ndarray, " structures"]:
        """Of each structure."""

    @abstractmethod
    def together(self, places: Int[np.ndarray, " some"]) -> Labelled:
        """Several structures as one batch."""


def prepare(structures: Sequence[Structure], cutoff: float) -> list[Labelled]:
    """Graphs and labels of a fixed set, computed once."""
    return [_labelled(structure, cutoff) for structure in structures]


def together(items: Sequence[Labelled], places: Int[np.ndarray, " some"]) -> Labelled:
    """Some of the items as one batch."""
    if isinstance(items, Items):
        return items.together(places)
    chosen = [items[place] for place in places]
    return Labelled(
        batch([item.graph for item in chosen]),
        torch.cat([item.energy for item in chosen]),
        torch.cat([item.forces for item in chosen]),
        torch.cat([item.stress for item in chosen]),
        None
        if chosen[0].group is None
        else torch.cat([item.group for item in chosen if item.group is not None]),
    )


def join(potential: Model, items: Sequence[Labelled]) -> Batch:
    """Several structures as one batch."""
    return _related(potential, together(items, np.arange(len(items))))


def sizes_of(items: Sequence[Labelled]) -> tuple[Int[np.ndarray, " items"], Int[np.ndarray, " items"]]:
    """Atoms and edges of each item."""
    if isinstance(items, Items):
        return items.atoms, items.edges
    counts = [(item.graph.n_atoms, item.graph.n_edges) for item in items]
    atoms, edges = np.array(counts, dtype=np.int64).reshape(-1, 2).T
    return atoms, edges


class Batches:
    """Random batches of a fixed set: epoch ``k`` is the same whenever and however often it is asked for.

    Of several processes each makes its share of every batch; one without structures stands for a batch too small to be shared.
    """

    def __init__(
        self,
        potential: Model,
        items: Sequence[Labelled],
        budget: Budget | int,
        seed: int,
        workers: int = 0,
        processes: Processes = ALONE,
    ) -> None:
        """``budget``: what a batch may hold, or how many structures; ``workers``: processes that make those of a store ahead."""
        self.potential, self.items, self.processes = potential, items, processes
        self.order = Order(*sizes_of(items), Budget(budget) if isinstance(budget, int) else budget, seed)
        self._ahead: Ahead[Batch] | None = None
        if workers and isinstance(items, Items):
            network = potential.network
            maker = _Maker(items, network.table, potential.index.cpu(), network.groups)
            self._ahead = Ahead(maker, workers)

    def __len__(self) -> int:
        return len(self.order)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Batches ``start``, ``start + 1`` ... of an epoch."""
        return self._made(self.order.epoch(epoch)[start:])

    def in_order(self) -> Iterator[Batch]:
        """Every structure once, in the order of the file."""
        return self._made(self.order.in_order)

    def _made(self, batches: Sequence[Int[np.ndarray, " _"]]) -> Iterator[Batch]:
        us = self.processes
        shares = [self.order.share(places, us.rank, us.count) for places in batches]
        full = [share for share in shares if len(share)]
        made = iter(self._ahead(full)) if self._ahead else map(self._make, full)
        for share in shares:
            yield next(made) if len(share) else self._nothing

    def _make(self, places: Int[np.ndarray, " _"]) -> Batch:
        return _related(self.potential, together(self.items, places))

    @cached_property
    def _nothing(self) -> Batch:
        return _related(self.potential, _empty())


def mean_neighbors(items: Sequence[Labelled]) -> float:
    """Edges per atom over a set; 1 where there are none."""
    atoms, edges = sizes_of(items)
    return max(int(edges.sum()) / max(int(atoms.sum()), 1), 1.0)


def _empty() -> Labelled:
    """No structure at all."""
    none, rows = torch.zeros(0, dtype=torch.long), torch.zeros(0, 3, dtype=torch.float64)
    cells = torch.zeros(0, 3, 3, dtype=torch.float64)
    graph = Graph(none, rows, none, cells, none, none, rows)
    return Labelled(graph, torch.zeros(0, dtype=torch.float64), rows, cells)


def _related(potential: Model, joined: Labelled) -> Batch:
    graph = joined.graph
    union = potential.relate(graph.numbers, graph.center, graph.neighbor)
    return Batch(graph, union, joined.energy, joined.forces, joined.stress, joined.group)


@dataclass(frozen=True)
class _Maker:
    """Makes batches in another process, which needs the model's relations but none of its weights."""

    items: Items
    table: RelationTable
    index: Int[Tensor, " numbers"]
    groups: Sequence[Sequence[int]] | None

    def __call__(self, places: Int[np.ndarray, " _"]) -> Batch:
        joined = self.items.together(places)
        graph = joined.graph
        union = unite(self.table, self.index[graph.numbers], graph.center, graph.neighbor)
        if self.groups is not None:
            union = replace(union, shares=divide(union, self.groups))
        return Batch(graph, union, joined.energy, joined.forces, joined.stress, joined.group)


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
