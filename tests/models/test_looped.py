"""One module per relation; that it equals the grouped form is a law of the kit."""

import pytest
import torch
from torch import Tensor, nn

from hermtk.errors import HermtkError
from hermtk.graph.graph import edge_vectors
from hermtk.models.looped import Looped, looped, typed_weights
from hermtk.nn.segment import segment_sum
from hermtk.subnets.base import Edges, Features, Subnet
from hermtk.subnets.painn import PaiNN
from hermtk.testing import Subject, structures
from hermtk.testing.structures import ORGANIC


class Plain(Subnet):
    """Knows nothing of relations: an ordinary layer on an ordinary graph."""

    def __init__(self, channels: int, relations: int, n_radial: int) -> None:
        super().__init__(channels, relations, n_radial)
        self.filter = nn.Linear(n_radial, channels, bias=False)

    @property
    def l_max(self) -> int:
        return 0

    def forward(self, features: Features, edges: Edges) -> Features:
        sent = self.filter(edges.radial) * features[0].squeeze(1)[edges.union.neighbor_atom]
        return (segment_sum(sent, edges.union.center, edges.union.center_atom.shape[0]).unsqueeze(1),)


class SharesWeights(Plain):
    """Its weights are neither one per relation nor one for all."""

    def __init__(self, channels: int, relations: int, n_radial: int) -> None:
        super().__init__(channels, relations, n_radial)
        self.shared = nn.Parameter(torch.zeros((relations + 1) // 2, 2 if relations > 1 else 3))


@pytest.mark.parametrize("variant", ["homogeneous", "hvnet", "hpnet", "htnet"])
def test_a_subnet_that_knows_nothing_of_types_gets_weights_per_relation(variant):
    subject = Subject(Plain, variant, layers=1, looped=True)
    potential = subject.make(ORGANIC)
    graph = subject.graph(structures.molecule())
    union = potential.relate(graph.numbers, graph.center, graph.neighbor)
    edges = potential.network.edges(edge_vectors(graph), union)
    layer = potential.network.layers[0]
    s = torch.randn(graph.n_atoms, 1, 8, dtype=torch.float64)
    expected = torch.zeros(len(union.center_atom), 8, dtype=torch.float64)
    for k in range(len(union.edge)):
        weight: Tensor = layer.subnets[int(union.edges.relation[k])].filter.weight
        expected[union.center[k]] += (weight @ edges.radial[k]) * s[union.neighbor_atom[k], 0]
    torch.testing.assert_close(layer((s,), edges)[0].squeeze(1), expected)


def test_each_relation_takes_its_own_weights():
    grouped = PaiNN(4, 3, 5)
    for weight in grouped.parameters():
        nn.init.normal_(weight)
    alone = looped(grouped, lambda: PaiNN(4, 1, 5)).subnets
    assert len(alone) == 3
    for relation, subnet in enumerate(alone):
        for name, weight in subnet.named_parameters():
            assert torch.equal(weight[0], grouped.get_parameter(name)[relation])


def test_precision_and_mode_are_taken_too():
    grouped = PaiNN(4, 2, 5).double().eval()
    alone = looped(grouped, lambda: PaiNN(4, 1, 5))
    assert {weight.dtype for weight in alone.parameters()} == {torch.float64}
    assert not any(subnet.training for subnet in alone.subnets)


def test_every_weight_of_painn_is_typed():
    names = set(PaiNN(4, 3, 5).state_dict())
    assert typed_weights(PaiNN(4, 3, 5), PaiNN(4, 1, 5)) == names


def test_a_shared_weight_is_not():
    assert typed_weights(Plain(4, 3, 5), Plain(4, 1, 5)) == set()


def test_weights_that_cannot_be_told_apart_are_named():
    with pytest.raises(HermtkError, match="weights apart in shared"):
        typed_weights(SharesWeights(4, 3, 5), SharesWeights(4, 1, 5))


def test_sizes_are_those_of_its_parts():
    whole = Looped([PaiNN(4, 1, 5) for _ in range(3)])
    assert (whole.channels, whole.relations, whole.n_radial, whole.l_max) == (4, 3, 5, 1)
