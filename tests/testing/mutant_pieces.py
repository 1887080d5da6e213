"""Wrong pieces around a sound subnet: networks, potentials, read-outs, graphs and predictions."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from hermtk.data.structure import Structure
from hermtk.graph.build import build_graph
from hermtk.graph.graph import Graph, edge_vectors
from hermtk.models.network import Network
from hermtk.models.potential import Potential
from hermtk.nn.segment import segment_sum
from hermtk.physics.derivatives import Prediction, predict
from hermtk.readouts.base import Readout
from hermtk.subnets.base import Edges, Features


class MeanOfPresentRelations(Network):
    """Increments divided by the number of relations that the batch happens to hold."""

    def step(self, layer: nn.Module, features: Features, edges: Edges, n_local: int) -> Features:
        present = max(len(edges.union.edges.relation.unique()), 1)
        after = super().step(layer, features, edges, n_local)
        return tuple(
            old[:n_local] + (new - old[:n_local]) / present for old, new in zip(features, after, strict=True)
        )


class EnvelopeBeyondCutoff(Network):
    """A polynomial that is zero at the cut-off, and not beyond."""

    def __init__(self, *arguments, **options) -> None:
        super().__init__(*arguments, **options)
        self.envelope = lambda d, cutoff: (1 - d / cutoff) ** 3


class WritesToNeighbors(Network):
    """Every atom also hands a part of its increment to its neighbours."""

    def step(self, layer: nn.Module, features: Features, edges: Edges, n_local: int) -> Features:
        after = super().step(layer, features, edges, n_local)
        sent = edges.weight.reshape(-1, 1, 1) * after[0][edges.union.center_atom[edges.union.center]]
        received = segment_sum(sent, edges.union.neighbor_atom, features[0].shape[0])
        return (after[0] + 0.1 * received[:n_local], *after[1:])


class KnowsAtomicNumbers(Potential):
    """The atomic number itself enters the energy."""

    def forward(self, numbers: Tensor, *arguments, **options) -> Tensor:
        energies = super().forward(numbers, *arguments, **options)
        return energies * (1 + 0.01 * numbers[: len(energies)])


class PooledThenSquared(Potential):
    """The energy is the square of a sum."""

    def forward(self, *arguments, **options) -> Tensor:
        energies = super().forward(*arguments, **options)
        return energies * (1 + 0.01 * energies.sum())


class BareSqueeze(Readout):
    """``.squeeze()`` without a dimension: eats the only atom."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.last = nn.Linear(channels, 1)

    def forward(self, features: Features) -> Tensor:
        return torch.tanh(self.last(features[0].squeeze(1))).squeeze()


def shift_reversed(structures: Structure | Sequence[Structure], cutoff: float) -> Graph:
    """Images on the wrong side."""
    graph = build_graph(structures, cutoff)
    return replace(graph, shift=-graph.shift)


def _without(graph: Graph, dropped: Tensor) -> Graph:
    kept = ~dropped
    return replace(graph, center=graph.center[kept], neighbor=graph.neighbor[kept], shift=graph.shift[kept])


def nearest_image_only(structures: Structure | Sequence[Structure], cutoff: float) -> Graph:
    """One edge per pair of atoms, none from an atom to itself."""
    graph = build_graph(structures, cutoff)
    near: dict[tuple[int, int], tuple[float, int]] = {}
    lengths = torch.linalg.vector_norm(edge_vectors(graph), dim=1).tolist()
    for edge, pair in enumerate(zip(graph.center.tolist(), graph.neighbor.tolist(), strict=True)):
        if pair[0] != pair[1]:
            near[pair] = min(near.get(pair, (float("inf"), 0)), (lengths[edge], edge))
    dropped = torch.ones(graph.n_edges, dtype=torch.bool)
    dropped[[edge for _, edge in near.values()]] = False
    return _without(graph, dropped)


def twenty_seven_images(structures: Structure | Sequence[Structure], cutoff: float) -> Graph:
    """Images of the next cells only."""
    graph = build_graph(structures, cutoff)
    return _without(graph, (graph.shift.abs() > 1).any(1))


def half_of_the_edges(structures: Structure | Sequence[Structure], cutoff: float) -> Graph:
    """Each pair once: only the later atom hears of the earlier."""
    graph = build_graph(structures, cutoff)
    return _without(graph, graph.neighbor > graph.center)


def signed_volume(potential: Potential, graph: Graph, *arguments, **options) -> Prediction:
    """Stress over det instead of |det|."""
    found = predict(potential, graph, *arguments, **options)
    sign = torch.linalg.det(graph.cell).sign().reshape(-1, 1, 1)
    return replace(found, stress=None if found.stress is None else found.stress * sign)


def pressure(potential: Potential, graph: Graph, *arguments, **options) -> Prediction:
    """Stress with the sign of a pressure."""
    found = predict(potential, graph, *arguments, **options)
    return replace(found, stress=None if found.stress is None else -found.stress)


def first_volume(potential: Potential, graph: Graph, *arguments, **options) -> Prediction:
    """Every structure's stress over the volume of the last."""
    found = predict(potential, graph, *arguments, **options)
    if found.stress is None:
        return found
    volume = torch.linalg.det(graph.cell).abs().reshape(-1, 1, 1)
    return replace(found, stress=found.stress * volume / volume.max().clamp(min=1e-9))


class IndexInTheBatch(Potential):
    """An element's number among those of the batch, not in the model's list."""

    def forward(self, numbers: Tensor, *arguments, **options) -> Tensor:
        energies = super().forward(numbers, *arguments, **options)
        _, place = torch.unique(numbers, return_inverse=True)
        return energies * (1 + 0.1 * place[: len(energies)])


def swirl(potential: Potential, graph: Graph, *arguments, **options) -> Prediction:
    """Forces that are no slope of any energy: a field that turns about the z axis."""
    found = predict(potential, graph, *arguments, **options)
    if found.forces is None:
        return found
    turned = torch.linalg.cross(found.forces, torch.tensor([[0.0, 0.0, 0.01]]).to(found.forces), dim=1)
    return replace(found, forces=found.forces + turned)


def sum_in_single(potential: Potential, graph: Graph, *arguments, **options) -> Prediction:
    """Energies summed in the network's precision."""
    found = predict(potential, graph, *arguments, **options)
    return replace(found, energy=found.energy.to(potential.dtype))
