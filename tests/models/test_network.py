"""The network: sums of increments, and what passes between layers."""

import pytest
import torch
from torch import Tensor

from hermtk.graph.graph import Graph, edge_vectors
from hermtk.models.potential import Potential
from hermtk.nn.segment import segment_sum
from hermtk.subnets.base import Edges
from hermtk.testing import Subject, structures
from hermtk.testing.structures import ORGANIC


def prepared(variant: str) -> tuple[Potential, Graph, Edges]:
    subject = Subject("painn", variant)
    potential, graph = subject.make(ORGANIC), subject.graph(structures.molecule())
    union = potential.relate(graph.numbers, graph.center, graph.neighbor)
    return potential, graph, potential.network.edges(edge_vectors(graph), union)


@pytest.mark.parametrize("variant", ["hvnet", "hpnet", "htnet"])
def test_an_atom_adds_the_scaled_increments_of_its_relations(variant):
    potential, graph, edges = prepared(variant)
    network = potential.network
    layer = network.layers[0]
    features = network.start(potential.element_index(graph.numbers))
    changes = layer(features, edges)
    after = network.step(layer, features, edges, graph.n_atoms)
    for order, change in enumerate(changes):
        expected = features[order].clone()
        for slot, atom in enumerate(edges.union.center_atom.tolist()):
            expected[atom] += network.scale[edges.union.centers.relation[slot]] * change[slot]
        torch.testing.assert_close(after[order], expected)


def test_features_start_as_the_elements_and_no_direction():
    potential, graph, _ = prepared("hvnet")
    scalars, vectors = potential.network.start(potential.element_index(graph.numbers))
    assert not vectors.any()
    assert torch.equal(scalars[2], scalars[3])
    assert not torch.equal(scalars[0], scalars[1])


def test_an_edge_carries_its_geometry_in_every_relation_that_holds_it():
    _, graph, edges = prepared("htnet")
    vectors = edge_vectors(graph)[edges.union.edge]
    torch.testing.assert_close(edges.vectors, vectors)
    torch.testing.assert_close(edges.distances, vectors.norm(dim=1))
    torch.testing.assert_close(edges.directions * edges.distances.unsqueeze(1), vectors)
    torch.testing.assert_close(edges.radial[:, 0], edges.weight)


def test_weights_of_edges_fall_with_the_mean_number_of_neighbors():
    potential, _, edges = prepared("homogeneous")
    envelope = edges.weight * potential.network.mean_neighbors**0.5
    assert 0 < float(envelope.min()) < float(envelope.max()) < 1


def test_features_are_exchanged_between_layers_and_nowhere_else():
    potential, graph, edges = prepared("hvnet")
    calls: list[int] = []

    def exchange(features: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        calls.append(features[0].shape[0])
        return features

    union, elements = edges.union, potential.element_index(graph.numbers)
    potential.network(elements, edge_vectors(graph), union, graph.n_atoms, exchange)
    assert calls == [graph.n_atoms]


def test_the_energy_of_the_kits_potential_is_a_sum_over_atoms():
    subject = Subject("painn", "htnet")
    result = subject.result(subject.make(ORGANIC), [structures.molecule(), structures.crystal()])
    where = torch.tensor([0] * 6 + [1] * 3)
    torch.testing.assert_close(result.energy, segment_sum(result.energies, where, 2))
