"""PaiNN against its formulas written out atom by atom, relation by relation."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from hermtk.data.structure import Structure
from hermtk.graph.graph import edge_vectors
from hermtk.nn.safe import SOFT, norm_over_components
from hermtk.subnets.base import Edges
from hermtk.subnets.painn import PaiNN
from hermtk.testing import Subject, structures
from hermtk.testing.structures import ORGANIC

VARIANTS = ("homogeneous", "hvnet", "hpnet", "htnet")


def linear(layer, r: int, x: Tensor) -> Tensor:
    return x @ layer.weight[r] + (0 if layer.bias is None else layer.bias[r])


def mlp(network, r: int, x: Tensor) -> Tensor:
    return linear(network.second, r, F.silu(linear(network.first, r, x)))


def seen(layer: PaiNN, s: Tensor) -> Tensor:
    """The invariants as they enter a node network."""
    return (s - s.mean()) / (s.var(correction=0) + SOFT**2).sqrt() if layer.normalize else s


def slow(layer: PaiNN, s: Tensor, v: Tensor, edges: Edges) -> tuple[Tensor, Tensor]:
    """The changes of each centre slot (atom i, relation r), one edge after the other."""
    union, changes_s, changes_v = edges.union, [], []
    for slot, i in enumerate(union.center_atom.tolist()):
        r = int(union.centers.relation[slot])
        ds, sides, near = torch.zeros_like(s[0]), torch.zeros(2, *v[0].shape, dtype=v.dtype), torch.zeros(())
        for k in (union.center == slot).nonzero().flatten().tolist():
            j = int(union.neighbor_atom[k])
            sent = mlp(layer.source, r, seen(layer, s[j])) * linear(layer.filter, r, edges.radial[k])
            a, b, c, *d = sent.split(len(s[j]))
            ds = ds + b + sum(part * (edges.directions[k] @ v[j]) for part in d)
            side = 0 if union.side is None else int(union.side[k])
            sides[side] = sides[side] + v[j] * a + torch.outer(edges.directions[k], c)
            near = near + edges.weight[k]
        dv = sides.sum(0)
        mix_u, mix_v = layer.mix.weight[r].chunk(2, dim=1)
        own_s, own_v = s[i] + ds, v[i] + dv
        left, right = own_v @ mix_u, own_v @ mix_v
        if union.mixed is not None and union.mixed[slot]:
            angle = ((sides[0] @ mix_u) * (sides[1] @ mix_v)).sum(0)
        else:
            angle = (left * right).sum(0)
        length = norm_over_components(right.unsqueeze(0)).squeeze(0)
        gates = mlp(layer.update, r, seen(layer, torch.cat([own_s, length]))) * torch.tanh(near)
        alpha, beta, gamma = gates.chunk(3)
        changes_s.append(ds + alpha + beta * angle)
        changes_v.append(dv + gamma * left)
    return torch.stack(changes_s), torch.stack(changes_v)


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("projection", [True, False])
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_layer_does_what_its_formulas_say(variant, projection, normalize):
    potential = Subject("painn", variant, {"projection": projection, "normalize": normalize}).make(ORGANIC)
    graph = Subject("painn").graph(structures.molecule((6, 8, 1, 6)))
    union = potential.relate(graph.numbers, graph.center, graph.neighbor)
    edges = potential.network.edges(edge_vectors(graph), union)
    random = torch.Generator().manual_seed(1)
    s = torch.randn(4, 8, generator=random, dtype=torch.float64)
    v = torch.randn(4, 3, 8, generator=random, dtype=torch.float64)
    layer = potential.network.layers[0]
    with torch.no_grad():
        fast, expected = layer((s.unsqueeze(1), v), edges), slow(layer, s, v, edges)
    torch.testing.assert_close(fast[0].squeeze(1), expected[0], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(fast[1], expected[1], rtol=1e-12, atol=1e-12)


def bent(numbers: tuple[int, int, int], degrees: float) -> Structure:
    """A-B-C with both bonds 1.3 Angstrom, the ends beyond each other's reach in none of these angles."""
    angle = np.deg2rad(degrees)
    ends = 1.3 * np.array([[1.0, 0, 0], [np.cos(angle), np.sin(angle), 0]])
    return Structure(np.array([numbers[1], numbers[0], numbers[2]]), np.concatenate([np.zeros((1, 3)), ends]))


@pytest.mark.parametrize("numbers", [(1, 6, 8), (8, 6, 1), (1, 6, 1)])
def test_in_a_triad_one_layer_sees_the_angle_between_the_bonds(numbers):
    subject = Subject("painn", "htnet", layers=1)
    potential = subject.make(ORGANIC)
    center = [float(subject.result(potential, bent(numbers, d)).energies[0]) for d in (80.0, 110.0, 160.0)]
    assert len({round(energy, 4) for energy in center}) == 3


def test_the_angle_of_a_mixed_triad_needs_both_ends():
    potential = Subject("painn", "htnet").make(ORGANIC)
    graph = Subject("painn").graph(structures.line((6, 8), (1.3,)))
    union = potential.relate(graph.numbers, graph.center, graph.neighbor)
    edges = potential.network.edges(edge_vectors(graph), union)
    layer = potential.network.layers[0]
    with torch.no_grad():
        _, sides = layer._messages(torch.ones(2, 8).double(), torch.zeros(2, 3, 8).double(), edges)
    assert union.mixed is not None
    lonely = sides[:, union.mixed].abs().sum(dim=(2, 3))
    assert bool((lonely.min(dim=0).values == 0).all())
    assert bool((lonely.max(dim=0).values > 0).all())


def sizes_of_features(layers: int, normalize: bool) -> list[float]:
    """Root mean squares of the scalars after each layer of a fresh model."""
    subject = Subject("painn", "hvnet", {"normalize": normalize}, layers=layers)
    potential = subject.make(ORGANIC)
    graph = subject.graph(structures.molecule((6, 8, 1, 6, 1, 1, 8)))
    network = potential.network
    edges = network.edges(edge_vectors(graph), potential.relate(graph.numbers, graph.center, graph.neighbor))
    elements = torch.tensor([potential.elements.index(int(z)) for z in graph.numbers])
    features, found = network.start(elements), []
    with torch.no_grad():
        for layer in network.layers:
            features = network.step(layer, features, edges, len(elements))
            found.append(float(features[0].square().mean().sqrt()))
    return found


def test_features_of_many_layers_stay_of_order_one():
    assert max(sizes_of_features(10, normalize=True)) < 20
    assert not max(sizes_of_features(10, normalize=False)) < 1e3


def test_the_hidden_width_is_an_option():
    layer = PaiNN(8, 3, 5, hidden=6)
    assert layer.source.first.weight.shape == (3, 8, 6)
    assert PaiNN(8, 3, 5).source.first.weight.shape == (3, 8, 8)
