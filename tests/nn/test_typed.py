"""Typed linear maps against the obvious form: values, every derivative, any split of rows into relations."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hermtk.nn.typed import (
    TypedLinear,
    TypedMLP,
    _one_call_each,
    over_components,
    typed_product,
    typed_product_reference,
)
from hermtk.relations.union import Rows

# relations without rows first, amid, last and everywhere
SPLITS = [(3, 2), (0, 4, 1), (2, 0, 3), (1, 4, 0), (0, 0, 5, 0), (0, 0, 0), (6,)]


def rows(counts: tuple[int, ...]) -> Rows:
    sizes = torch.tensor(counts)
    relation = torch.repeat_interleave(torch.arange(len(counts)), sizes)
    return Rows(relation, sizes.cumsum(0).to(torch.int32))


def drawn(
    counts: tuple[int, ...], inputs: int, outputs: int, dtype=torch.float64
) -> tuple[Tensor, Tensor, Rows]:
    random = torch.Generator().manual_seed(0)
    x = torch.randn(sum(counts), inputs, generator=random, dtype=torch.float64)
    weight = torch.randn(len(counts), inputs, outputs, generator=random, dtype=torch.float64)
    return x.to(dtype).requires_grad_(), weight.to(dtype).requires_grad_(), rows(counts)


def derivatives(product, x: Tensor, weight: Tensor, split: Rows) -> list[Tensor]:
    """The product, both gradients of a scalar of it, and both gradients of a scalar of those."""
    y = product(x, weight, split)
    first = torch.autograd.grad(y.square().sum(), (x, weight), create_graph=True)
    second = torch.autograd.grad(sum(g.square().sum() for g in first), (x, weight))
    return [y, *first, *second]


@settings(max_examples=40, deadline=None)
@given(
    counts=st.lists(st.integers(0, 4), min_size=1, max_size=5).map(tuple),
    inputs=st.integers(1, 5),
    outputs=st.integers(1, 5),
)
def test_every_row_is_multiplied_by_its_relations_matrix(counts, inputs, outputs):
    x, weight, split = drawn(counts, inputs, outputs)
    torch.testing.assert_close(typed_product(x, weight, split), typed_product_reference(x, weight, split))


@pytest.mark.parametrize("counts", SPLITS)
def test_first_and_second_derivatives_are_those_of_the_reference(counts):
    x, weight, split = drawn(counts, 3, 4)
    ours = derivatives(typed_product, x, weight, split)
    theirs = derivatives(typed_product_reference, x, weight, split)
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("counts", [counts for counts in SPLITS if sum(counts)])
def test_derivatives_are_those_of_finite_differences(counts):
    x, weight, split = drawn(counts, 2, 3)

    def product(x, weight):
        return typed_product(x, weight, split)

    assert torch.autograd.gradcheck(product, (x, weight))
    assert torch.autograd.gradgradcheck(product, (x, weight))


@pytest.mark.parametrize(("inputs", "outputs"), [(8, 16), (4, 12), (3, 5), (8, 5)])
@pytest.mark.parametrize("counts", SPLITS)
def test_single_precision_agrees_with_double_whatever_kernel_the_sizes_choose(counts, inputs, outputs):
    double = derivatives(typed_product, *drawn(counts, inputs, outputs))
    single = derivatives(typed_product, *drawn(counts, inputs, outputs, torch.float32))
    for here, there in zip(single, double, strict=True):
        size = there.abs().max().clamp(min=1) if there.numel() else 1.0
        torch.testing.assert_close(here.double() / size, there / size, rtol=0, atol=2e-5)


def test_a_slice_of_the_weights_may_be_used():
    x, weight, split = drawn((2, 0, 3), 4, 6)
    left, right = weight.chunk(2, dim=-1)
    halves = [typed_product(x, part, split) for part in (left, right)]
    torch.testing.assert_close(torch.cat(halves, dim=-1), typed_product(x, weight, split))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("counts", [(2, 0, 3), (0, 0)])
def test_the_operators_keep_torchs_rules_for_operators(counts, dtype):
    x, weight, split = drawn(counts, 4, 8, dtype)
    torch.library.opcheck(torch.ops.hermtk.segment_product.default, (x, weight, split.ends))
    g = torch.randn(len(x), 8, dtype=dtype, requires_grad=True)
    torch.library.opcheck(torch.ops.hermtk.segment_outer.default, (x, g, split.ends))


def test_a_fresh_layer_is_alike_for_all_relations():
    layer = TypedLinear(3, 4, 5)
    assert bool((layer.weight == layer.weight[:1]).all())
    assert layer.bias is not None
    assert not layer.bias.any()


def test_fresh_weights_keep_the_size_of_their_input():
    weight = TypedLinear(2, 400, 50).weight.detach()
    assert float(weight.std()) == pytest.approx(400**-0.5, rel=0.05)


def test_a_layer_adds_the_bias_of_its_relation():
    layer = TypedLinear(3, 4, 5)
    torch.nn.init.normal_(layer.bias)
    split = rows((1, 0, 2))
    y = layer(torch.zeros(3, 4), split)
    torch.testing.assert_close(y, layer.bias[split.relation])


def test_a_layer_of_one_relation_is_a_linear_layer():
    layer = TypedLinear(1, 4, 5)
    torch.nn.init.normal_(layer.bias)
    x = torch.randn(6, 4)
    torch.testing.assert_close(layer(x, rows((6,))), F.linear(x, layer.weight[0].T, layer.bias[0]))


def test_two_layers_are_one_small_network_per_relation():
    network = TypedMLP(3, 4, 6, 5).double()
    for weight in network.parameters():
        torch.nn.init.normal_(weight)
    split = rows((2, 0, 3))
    x = torch.randn(5, 4, dtype=torch.float64)
    first, second = network.first, network.second
    expected = [
        F.silu(row @ first.weight[r] + first.bias[r]) @ second.weight[r] + second.bias[r]
        for row, r in zip(x, split.relation.tolist(), strict=True)
    ]
    torch.testing.assert_close(network(x, split), torch.stack(expected))


def test_rows_of_vectors_are_three_rows_each():
    split = over_components(rows((2, 0, 1)), 3)
    assert split.relation.tolist() == [0, 0, 0, 0, 0, 0, 2, 2, 2]
    assert split.ends.tolist() == [6, 6, 9]


def test_a_layer_says_its_sizes():
    assert "3 x (4 -> 5), bias=False" in repr(TypedLinear(3, 4, 5, bias=False))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_many_rows_of_fixed_weights_get_the_same_with_the_same_slopes(dtype):
    torch.manual_seed(0)
    counts = (400, 0, 150)
    layer = TypedLinear(3, 8, 12).to(dtype)
    torch.nn.init.normal_(layer.bias)
    x, _, split = drawn(counts, 8, 12, dtype)
    trained = layer(x, split)
    (slopes,) = torch.autograd.grad(trained.square().sum(), x)
    layer.requires_grad_(False)
    assert _one_call_each(x, layer.weight)
    fixed = layer(x, split)
    torch.testing.assert_close(fixed, trained)
    torch.testing.assert_close(torch.autograd.grad(fixed.square().sum(), x)[0], slopes)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("split", SPLITS)
def test_a_part_of_a_map_takes_the_other_inputs_for_zero(split, bias):
    x, _, places = drawn(split, 4, 8)
    layer = TypedLinear(len(split), 6, 8, bias=bias).double()
    torch.nn.init.normal_(layer.weight)
    whole = layer(torch.cat([x, x.new_zeros(len(x), 2)], dim=1), places)
    torch.testing.assert_close(layer.part(x, places), whole)
    wanted = [slice(6, 8), slice(0, 3)]
    torch.testing.assert_close(layer.part(x, places, wanted), whole[:, [6, 7, 0, 1, 2]])
