"""The example whose messages are one convolution keeps the laws, and gets the harmonics that it asks for."""

import pytest
import torch
from moments import Moments

from hermtk.graph.build import build_graph
from hermtk.graph.graph import edge_vectors
from hermtk.testing import Law, Subject
from hermtk.testing.parametrize import parametrize_laws
from hermtk.testing.structures import ORGANIC, molecule
from hermtk.testing.subject import CUTOFF


@parametrize_laws([Subject(Moments, variant) for variant in ("hvnet", "htnet")])
def test_moments_keeps_the_law(law: Law, subject: Subject):
    law(subject)


@pytest.mark.parametrize("order", [0, 1, 3])
def test_the_edges_carry_the_harmonics_that_a_layer_wants(order: int):
    potential = Subject(Moments, "hpnet", options={"order": order}).make(ORGANIC)
    graph = build_graph(molecule(), CUTOFF, torch.float64)
    union = potential.relate(graph.numbers, graph.center, graph.neighbor)
    edges = potential.network.edges(edge_vectors(graph), union)
    assert edges.geometry.angular.shape == (graph.n_edges, (order + 1) ** 2)
    assert edges.radial.shape[0] == union.edge.shape[0]
    assert edges.presence.shape == union.center_atom.shape
