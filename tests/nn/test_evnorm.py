"""EvNorm: lengths and directions, smooth at zero, row by row."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from e3nn import o3
from torch import Tensor

from hermtk.nn.evnorm import EvNorm
from hermtk.nn.safe import SOFT
from hermtk.testing.structures import rotations

ORDERS = (1, 3, 5, 7)


@pytest.fixture(autouse=True)
def double_by_default() -> Iterator[None]:
    """e3nn keeps its constants in the default precision."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def irrep(order: int) -> Any:
    """Natural parity; e3nn has no types here."""
    return o3.Irrep(order, (-1) ** order)


def features(rows: int, channels: int, l_max: int, seed: int = 0) -> tuple[Tensor, ...]:
    random = torch.Generator().manual_seed(seed)
    sizes = ORDERS[: l_max + 1]
    return tuple(torch.randn(rows, n, channels, generator=random, dtype=torch.float64) for n in sizes)


def disturbed(l_max: int, channels: int) -> EvNorm:
    norm = EvNorm(l_max, channels).double()
    torch.nn.init.normal_(norm.log_beta, generator=torch.Generator().manual_seed(1))
    return norm


def test_lengths_and_directions_are_those_of_the_formulas():
    norm, h = disturbed(2, 4), features(3, 4, 2)
    invariants, directions = norm(h)
    for order, part in enumerate(h):
        n = (part.square().sum(1) + SOFT**2).sqrt() - SOFT
        size = part.squeeze(1) if order == 0 else n
        spread = (size.var(dim=1, keepdim=True, unbiased=False) + SOFT**2).sqrt()
        expected = (size - size.mean(dim=1, keepdim=True)) / spread
        torch.testing.assert_close(invariants[:, 4 * order : 4 * order + 4], expected)
        scale = n + 1 / norm.log_beta[order].exp() + SOFT
        torch.testing.assert_close(directions[order], part / scale.unsqueeze(1))


@pytest.mark.parametrize(("name", "rotation"), rotations())
def test_invariants_stay_and_directions_turn(name, rotation):
    norm, h = disturbed(3, 4), features(3, 4, 3)
    matrix = torch.as_tensor(rotation)
    turns = [irrep(order).D_from_matrix(matrix) for order in range(4)]
    invariants, directions = norm(h)
    turned, turned_directions = norm(tuple(d @ f for d, f in zip(turns, h, strict=True)))
    torch.testing.assert_close(turned, invariants, rtol=0, atol=1e-12)
    for d, before, after in zip(turns, directions, turned_directions, strict=True):
        torch.testing.assert_close(after, d @ before, rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", [1.0, 1e-4, 0.0])
def test_it_can_be_differentiated_twice_at_zero_too(size):
    norm = disturbed(2, 3)
    h = tuple((size * f).requires_grad_() for f in features(2, 3, 2))

    def flat(*h: Tensor) -> tuple[Tensor, ...]:
        invariants, directions = norm(h)
        return (invariants, *directions)

    assert torch.autograd.gradcheck(flat, h)
    assert torch.autograd.gradgradcheck(flat, h)


def test_nothing_has_no_length_and_no_direction():
    invariants, directions = disturbed(2, 4)(tuple(torch.zeros_like(f) for f in features(2, 4, 2)))
    assert not invariants.any()
    assert not any(bool(d.any()) for d in directions)


def test_beta_says_how_much_of_the_length_is_left():
    h = features(5, 4, 1)
    norm = EvNorm(1, 4).double()
    torch.nn.init.constant_(norm.log_beta, -8.0)
    small = norm(h)[1][1] * torch.exp(torch.tensor(8.0))
    torch.testing.assert_close(small, h[1], rtol=2e-3, atol=0)
    torch.nn.init.constant_(norm.log_beta, 30.0)
    length = norm(tuple(1e6 * f for f in h))[1][1].norm(dim=1)
    torch.testing.assert_close(length, torch.ones_like(length), rtol=1e-6, atol=0)


def test_a_row_does_not_know_the_others():
    norm, h = disturbed(2, 4), features(5, 4, 2)
    invariants, directions = norm(h)
    alone, alone_directions = norm(tuple(f[2:3] for f in h))
    torch.testing.assert_close(alone, invariants[2:3], rtol=0, atol=1e-15)
    for one, all_rows in zip(alone_directions, directions, strict=True):
        torch.testing.assert_close(one, all_rows[2:3], rtol=0, atol=1e-15)


def test_single_precision_agrees_with_double():
    norm, h = disturbed(2, 4), features(3, 4, 2)
    invariants, directions = norm(h)
    single, single_directions = norm.float()(tuple(f.float() for f in h))
    torch.testing.assert_close(single.double(), invariants, rtol=1e-5, atol=1e-5)
    for one, other in zip(single_directions, directions, strict=True):
        assert one.dtype == torch.float32
        torch.testing.assert_close(one.double(), other, rtol=1e-5, atol=1e-6)
