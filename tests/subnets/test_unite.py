"""UNiTE against its formulas written out edge by edge with e3nn's coefficients; equivariance order by order; its laws."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from e3nn import o3
from torch import Tensor

from hermtk.data.structure import Structure
from hermtk.errors import ConfigError
from hermtk.graph.build import build_graph
from hermtk.graph.graph import edge_vectors
from hermtk.kernels.library import compiler_missing
from hermtk.models.build import build_model
from hermtk.models.config import ModelConfig
from hermtk.models.files import load_model, save_model
from hermtk.models.looped import looped
from hermtk.nn.evnorm import over_channels
from hermtk.nn.safe import norm_over_components
from hermtk.nn.tensor_product import allowed_paths, paths_to
from hermtk.physics.compiled import CompiledPotential
from hermtk.physics.derivatives import predict
from hermtk.subnets.base import Edges, Features
from hermtk.subnets.unite import Unite
from hermtk.testing import Law, Subject, structures
from hermtk.testing.laws.symmetry import wigner
from hermtk.testing.parametrize import parametrize_laws
from hermtk.testing.structures import ORGANIC

VARIANTS = ("homogeneous", "hvnet", "hpnet", "htnet")
L_MAX = (0, 1, 2, 3)
CHANNELS = 8


def linear(layer, r: int, x: Tensor) -> Tensor:
    return x @ layer.weight[r] + (0 if layer.bias is None else layer.bias[r])


def mlp(network, r: int, x: Tensor) -> Tensor:
    return linear(network.second, r, F.silu(linear(network.first, r, x)))


def coupled(path: tuple[int, int, int], a: Tensor, b: Tensor) -> Tensor:
    """[2l1+1, C] and [2l2+1, C] to [2l3+1, C], component normalisation."""
    symbol = o3.wigner_3j(*path, dtype=torch.float64) * (2 * path[2] + 1) ** 0.5
    return torch.einsum("abc,an,bn->cn", symbol, a, b.expand(-1, a.shape[1]))


def message(layer: Unite, r: int, h: list[Tensor], edges: Edges, k: int) -> list[Tensor]:
    """What the neighbour of edge k sends, [2l+1, paths to l x C] for each order."""
    paths = allowed_paths(layer.l_max)
    filters = mlp(layer.source, r, over_channels(h[0][0])) * linear(layer.filter, r, edges.radial[k])
    up = [linear(mix, r, f) for mix, f in zip(layer.up.orders, h, strict=True)]
    sent: list[list[Tensor]] = [[] for _ in h]
    for path, w in zip(paths, filters.chunk(len(paths)), strict=True):
        l1, l2, l3 = path
        direction = edges.angular[k, l2**2 : (l2 + 1) ** 2, None] * (2 * l2 + 1) ** 0.5
        sent[l3].append(w * coupled(path, up[l1], direction))
    parts = [torch.cat(of_order, dim=1) for of_order in sent]
    if layer.attention is None:
        return parts
    lengths = torch.cat([norm_over_components(part.unsqueeze(0))[0] for part in parts])
    weight = 2 * torch.sigmoid(mlp(layer.attention, r, lengths))
    each = weight.repeat_interleave(layer.channels // layer.heads)
    return [part * each.repeat(count) for part, count in zip(parts, paths_to(layer.l_max), strict=True)]


def slow(layer: Unite, features: Features, edges: Edges) -> list[Tensor]:
    """The changes of each centre slot (atom i, relation r), one edge after the other."""
    union, paths, changes = edges.union, allowed_paths(layer.l_max), []
    for slot, i in enumerate(union.center_atom.tolist()):
        r = int(union.centers.relation[slot])
        sides = [[torch.zeros_like(f[0]) for f in features] for _ in range(2)]
        for k in (union.center == slot).nonzero().flatten().tolist():
            neighbor = [f[int(union.neighbor_atom[k])] for f in features]
            parts = message(layer, r, neighbor, edges, k)
            side = sides[0 if union.side is None else int(union.side[k])]
            for order, (mix, part) in enumerate(zip(layer.mix.orders, parts, strict=True)):
                side[order] = side[order] + linear(mix, r, part)
        g = [a + b for a, b in zip(*sides, strict=True)]
        mixed = union.mixed is not None and bool(union.mixed[slot])
        invariants, own = layer.state_norm(tuple(f[i : i + 1] for f in features))
        _, first = layer.state_norm(tuple(f.unsqueeze(0) for f in sides[0]))
        gates = mlp(layer.state_gate, r, invariants[0]).chunk(len(features))
        left, right = (first, sides[1]) if mixed else (own, g)
        f = [
            gate * linear(mix, r, d[0]) for gate, mix, d in zip(gates, layer.inward.orders, left, strict=True)
        ]
        q = [part.clone() for part in g]
        for l1, l2, l3 in paths:
            q[l3] += coupled((l1, l2, l3), f[l1], right[l2]) * paths_to(layer.l_max)[l3] ** -0.5
        invariants, directions = layer.message_norm(tuple(part.unsqueeze(0) for part in q))
        gates = mlp(layer.message_gate, r, invariants[0]).chunk(len(features))
        changes.append(
            [
                a + gate * linear(mix, r, d[0])
                for a, gate, mix, d in zip(g, gates, layer.outward.orders, directions, strict=True)
            ]
        )
    return [torch.stack(of_order) for of_order in zip(*changes, strict=True)]


def world(variant: str, l_max: int, heads: int = 0) -> tuple[Unite, Features, Edges]:
    """A layer with features and edges to run it on."""
    subject = Subject("unite", variant, {"l_max": l_max, "heads": heads})
    potential, graph = subject.make(ORGANIC), subject.graph(structures.molecule((6, 8, 1, 6)))
    union = potential.relate(graph.numbers, graph.center, graph.neighbor)
    edges = potential.network.edges(edge_vectors(graph), union)
    layer = potential.network.layers[0].requires_grad_(False)
    assert isinstance(layer, Unite)
    return layer, drawn(l_max), edges


def drawn(l_max: int) -> Features:
    random = torch.Generator().manual_seed(1)
    sizes = [2 * order + 1 for order in range(l_max + 1)]
    return tuple(torch.randn(4, n, CHANNELS, generator=random, dtype=torch.float64) for n in sizes)


@pytest.mark.parametrize(("l_max", "heads"), [(0, 0), (1, 0), (2, 4), (3, 0)])
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_layer_does_what_its_formulas_say(variant, l_max, heads):
    layer, features, edges = world(variant, l_max, heads)
    for found, expected in zip(layer(features, edges), slow(layer, features, edges), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("l_max", L_MAX)
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_layer_that_is_shown_scalars_alone_takes_the_rest_for_zero(variant, l_max):
    layer, features, edges = world(variant, l_max)
    zeros = (features[0], *(torch.zeros_like(f) for f in features[1:]))
    found, learnt = changes_and_slopes(layer, features[:1], edges)
    expected, wanted = changes_and_slopes(layer, zeros, edges)
    for here, there in zip(found, expected, strict=True):
        assert float(there.abs().max()) > 1e-3
        torch.testing.assert_close(here, there, rtol=1e-10, atol=1e-11)
    for name, there in wanted.items():
        torch.testing.assert_close(learnt[name], there, rtol=1e-9, atol=1e-10, msg=name)


def changes_and_slopes(layer: Unite, features: Features, edges: Edges) -> tuple[Features, dict[str, Tensor]]:
    """The changes, and the derivatives of the sum of their squares by the layer's parameters."""
    layer.requires_grad_(True).zero_grad()
    changes = layer(features, edges)
    torch.cat([change.flatten() for change in changes]).square().sum().backward()
    slopes = {name: torch.zeros_like(p) if p.grad is None else p.grad for name, p in layer.named_parameters()}
    return tuple(change.detach() for change in changes), slopes


@pytest.mark.parametrize(("heads", "orders"), [(0, [1, 4, 4]), (2, [4, 4, 4])])
def test_a_model_opens_with_scalars_alone_where_its_subnet_can(heads, orders):
    subject, shown = Subject("unite", "hpnet", {"l_max": 3, "heads": heads}, layers=3), []
    potential = subject.make(ORGANIC)
    for layer in potential.network.layers:
        layer.register_forward_pre_hook(lambda _, given: shown.append(len(given[0])))
    subject.result(potential, structures.molecule((6, 8, 1, 6)))
    assert shown == orders


@pytest.mark.parametrize("heads", [0, 2])
@pytest.mark.parametrize("variant", VARIANTS)
def test_one_module_per_relation_does_the_same(variant, heads):
    layer, features, edges = world(variant, 2, heads)
    alone = looped(layer, lambda: Unite(CHANNELS, 1, layer.n_radial, heads=heads)).double()
    for found, expected in zip(alone(features, edges), layer(features, edges), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(("name", "rotation"), structures.rotations())
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_order_turns_by_its_wigner_matrix(variant, name, rotation):
    subject = Subject("unite", variant, {"l_max": 3, "heads": 2}, layers=1)
    potential, molecule = subject.make(ORGANIC).requires_grad_(False), structures.molecule((6, 8, 1, 6))
    turns, h = [wigner(order, rotation) for order in range(4)], drawn(3)
    found = []
    for structure, features in (
        (molecule, h),
        (structures.turned(molecule, rotation), tuple(d @ f for d, f in zip(turns, h, strict=True))),
    ):
        graph = subject.graph(structure)
        union = potential.relate(graph.numbers, graph.center, graph.neighbor)
        found.append(
            potential.network.layers[0](features, potential.network.edges(edge_vectors(graph), union))
        )
    for d, here, there in zip(turns, *found, strict=True):
        assert float(here.abs().max()) > 1e-3
        torch.testing.assert_close(there, d @ here, rtol=0, atol=1e-10)


def e3nns(order: int) -> Any:
    """Natural parity; e3nn has no types here."""
    return o3.Irrep(order, (-1) ** order)


def test_the_matrices_that_features_turn_by_are_e3nns():
    torch.set_default_dtype(torch.float64)
    try:
        for _, rotation in structures.rotations():
            for order in L_MAX:
                expected = e3nns(order).D_from_matrix(torch.as_tensor(rotation))
                torch.testing.assert_close(wigner(order, rotation), expected, rtol=0, atol=1e-10)
    finally:
        torch.set_default_dtype(torch.float32)


@parametrize_laws(
    [
        Subject("unite", "homogeneous", {"l_max": 0}),
        Subject("unite", "htnet", {"l_max": 1, "heads": 2}),
        Subject("unite", "hpnet", {"l_max": 3}),
    ]
)
def test_other_orders_and_attention_keep_the_law(law: Law, subject: Subject):
    law(subject)


def test_without_messages_nothing_changes():
    layer, features, edges = world("htnet", 2, 2)
    far = replace(edges.geometry, radial=torch.zeros_like(edges.geometry.radial))
    assert not any(bool(change.any()) for change in layer(features, replace(edges, geometry=far)))


@pytest.mark.parametrize("numbers", [(1, 6, 8), (8, 6, 1), (1, 6, 1)])
def test_in_a_triad_one_layer_sees_the_angle_between_the_bonds(numbers):
    subject = Subject("unite", "htnet", {"l_max": 1}, layers=1)
    potential, energies = subject.make(ORGANIC), set()
    for degrees in (80.0, 110.0, 160.0):
        angle = np.deg2rad(degrees)
        places = 1.3 * np.array([[0, 0, 0], [1.0, 0, 0], [np.cos(angle), np.sin(angle), 0]])
        bent = Structure(np.array([numbers[1], numbers[0], numbers[2]]), places)
        energies.add(round(float(subject.result(potential, bent).energies[0]), 5))
    assert len(energies) == 3


def test_attention_weighs_and_can_be_switched_off():
    with_heads, features, edges = world("hvnet", 1, 2)
    without = Unite(CHANNELS, with_heads.relations, with_heads.n_radial, l_max=1).double()
    without.load_state_dict(with_heads.state_dict(), strict=False)
    assert without.attention is None
    assert with_heads.attention is not None
    last = with_heads.attention.second
    assert last.bias is not None
    last.weight.zero_()
    last.bias.zero_()
    for a, b in zip(with_heads(features, edges), without(features, edges), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)
    # the logistic function of -40 is nothing
    last.bias.fill_(-40.0)
    assert all(float(change.abs().max()) < 1e-14 for change in with_heads(features, edges))


@pytest.mark.parametrize("heads", [-1, 3, 16])
def test_heads_that_cannot_share_out_the_channels_are_refused(heads):
    with pytest.raises(ConfigError, match=rf"heads \({heads}\).*channels \(8\)"):
        Unite(8, 1, 5, heads=heads)


def test_the_hidden_width_is_an_option():
    assert Unite(8, 3, 5, hidden=6).source.first.weight.shape == (3, 8, 6)
    assert Unite(8, 3, 5).source.first.weight.shape == (3, 8, 8)


@pytest.mark.parametrize("variant", ["homogeneous", "htnet"])
@pytest.mark.parametrize("l_max", L_MAX)
def test_fresh_features_stay_of_order_one_over_layers_and_orders(l_max, variant):
    torch.manual_seed(0)
    config = ModelConfig(
        subnet="unite", variant=variant, subnet_options={"l_max": l_max}, layers=6, channels=32
    )
    potential = build_model(config, (1, 6, 8), mean_neighbors=4.0).requires_grad_(False)
    graph = build_graph([structures.molecule(seed=seed) for seed in range(8)], config.cutoff)
    union = potential.relate(graph.numbers, graph.center, graph.neighbor)
    network = potential.network
    edges = network.edges(edge_vectors(graph).float(), union)
    features, sizes = network.start(potential.element_index(graph.numbers)), []
    for layer in network.layers:
        features = network.step(layer, features, edges, graph.n_atoms)
        sizes.append([float(f.square().mean().sqrt()) for f in features])
    assert all(0.5 < scalars < 3 for scalars, *_ in sizes)
    assert all(0.05 < size < 3 for _, *higher in sizes for size in higher)


def test_a_model_file_gives_the_same_model(tmp_path):
    config = ModelConfig(
        subnet="unite", subnet_options={"l_max": 2, "heads": 2}, channels=8, layers=2, dtype="float64"
    )
    potential = build_model(config, ORGANIC, scale=1.3)
    save_model(tmp_path / "model.pt", potential, config)
    graph = build_graph(structures.molecule(), config.cutoff)
    here, there = (predict(p, graph) for p in (potential, load_model(tmp_path / "model.pt").potential))
    for name in ("energy", "energies", "forces"):
        torch.testing.assert_close(getattr(here, name), getattr(there, name), rtol=0, atol=0)


@pytest.mark.slow
@pytest.mark.skipif(bool(compiler_missing()), reason=compiler_missing())
@pytest.mark.parametrize(("variant", "heads"), [("hvnet", 0), ("htnet", 2)])
def test_it_can_be_compiled(variant, heads):
    # in a process of its own: checks of shapes, which tests have on, cannot be traced
    code = f"import test_unite; test_unite.compare_compiled({variant!r}, {heads})"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=Path(__file__).parent, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def compare_compiled(variant: str, heads: int) -> None:
    """Compiled and eager results of two molecules agree, and nothing is said."""
    subject, notes = Subject("unite", variant, {"heads": heads}), []
    potential = subject.make(ORGANIC).requires_grad_(False)
    fast = CompiledPotential(potential, notes.append)
    for numbers in ((6, 8, 1, 6), (6, 8, 1, 1, 6, 1)):
        graph = subject.graph(structures.molecule(numbers))
        found, expected = fast.predict(graph), predict(potential, graph)
        torch.testing.assert_close(found.energies, expected.energies, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(found.forces, expected.forces, rtol=1e-10, atol=1e-11)
    assert notes == []
