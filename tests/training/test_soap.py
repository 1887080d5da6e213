"""SOAP: its algorithm, a basis for every matrix, blocks, rounding, resuming."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hermtk.training import soap
from hermtk.training.soap import Soap

RATE, B1, B2, SHAMPOO, EPS = 0.01, 0.9, 0.99, 0.99, 1e-8


def plain(weight: Tensor, gradients: list[Tensor], every: int) -> Tensor:
    """The formulas of hermtk.training.soap for one matrix, one line each."""
    rows, columns = weight.shape
    p, q = (torch.eye(size, dtype=weight.dtype) for size in weight.shape)
    left, right = p * 0, q * 0
    mean, square = torch.zeros_like(weight), torch.zeros_like(weight)
    for t, g in enumerate(gradients, 1):
        mean = B1 * mean + (1 - B1) * p.T @ g @ q
        square = B2 * square + (1 - B2) * (p.T @ g @ q) ** 2
        r = (square / (1 - B2**t)).sqrt()
        change = mean / (1 - B1**t) / (r + EPS + 1e-3 * r.square().mean().sqrt())
        weight = weight - RATE * p @ change @ q.T
        left = SHAMPOO * left + (1 - SHAMPOO) * g @ g.T
        right = SHAMPOO * right + (1 - SHAMPOO) * g.T @ g
        if t % every == 0 or t < 5:
            new_p = torch.linalg.qr(left @ p + 0.01 * left.trace() / rows * p)[0]
            new_q = torch.linalg.qr(right @ q + 0.01 * right.trace() / columns * q)[0]
            mean = new_p.T @ (p @ mean @ q.T) @ new_q
            p, q = new_p, new_q
    return weight


def gradients_of(shape: tuple[int, ...], steps: int, seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(steps)]


def follow(optimizer: torch.optim.Optimizer, weight: Tensor, gradients: list[Tensor]) -> None:
    """A step with each gradient."""
    for g in gradients:
        weight.grad = g
        optimizer.step()


def after(weights: list[Tensor], gradients: list[list[Tensor]], **options) -> list[Tensor]:
    """The weights after a step with each of their gradients."""
    weights = [w.clone().requires_grad_() for w in weights]
    optimizer = Soap(weights, RATE, **options)
    for each in zip(*gradients, strict=True):
        for weight, g in zip(weights, each, strict=True):
            weight.grad = g
        optimizer.step()
    return [w.detach() for w in weights]


@settings(deadline=None, max_examples=15)
@given(st.integers(1, 3), st.integers(2, 6), st.integers(2, 6), st.integers(1, 7))
def test_every_matrix_goes_as_it_would_alone(relations, inputs, outputs, every):
    shape = (relations, inputs, outputs)
    start, gradients = torch.ones(shape, dtype=torch.float64), gradients_of(shape, 20)
    (found,) = after([start], [gradients], every=every)
    for k in range(relations):
        expected = plain(start[k], [g[k] for g in gradients], every)
        torch.testing.assert_close(found[k], expected, rtol=0, atol=1e-8)


def test_weights_of_one_size_do_not_touch_each_other():
    shapes = [(2, 4, 3), (4, 3), (3, 4, 3), (2, 5, 3)]
    starts = [torch.zeros(shape, dtype=torch.float64) for shape in shapes]
    gradients = [gradients_of(shape, 12, seed) for seed, shape in enumerate(shapes)]
    alone = [after([w], [g])[0] for w, g in zip(starts, gradients, strict=True)]
    for a, b in zip(after(starts, gradients), alone, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-10)


def test_the_bases_become_the_eigenvectors():
    gradients = [u * torch.logspace(0, -1, 5, dtype=torch.float64) for u in gradients_of((5, 5), 400)]
    weight = torch.zeros(5, 5, dtype=torch.float64, requires_grad=True)
    optimizer = Soap([weight], RATE, basis_beta=0.999)
    follow(optimizer, weight, gradients)
    state = optimizer.state[weight]
    powers, vectors = torch.linalg.eigh(state["right_average"][0])
    overlaps = (state["right_basis"][0].T @ vectors.flip(1)).abs()
    torch.testing.assert_close(overlaps, torch.eye(5, dtype=torch.float64), rtol=0, atol=0.05)
    assert (powers.diff() > 0).all()


def test_rounding_stays_rounding():
    """Gradients of low rank, added up in two ways: where they have no part, nothing is amplified."""
    gradients = [a[:, :2] @ b[:2] for a, b in pairwise(gradients_of((6, 6), 60))]
    noise = [1e-13 * g for g in gradients_of((6, 6), 60, seed=9)]
    start = torch.zeros(6, 6, dtype=torch.float64)
    (one,), (other,) = (
        after([start], [[g + k * n for g, n in zip(gradients, noise, strict=False)]]) for k in (0, 1)
    )
    torch.testing.assert_close(one, other, rtol=0, atol=1e-9)


def test_without_bases_it_is_adam(monkeypatch):
    monkeypatch.setattr(soap, "_LEAST", 0.0)
    start, gradients = torch.zeros(3, 4, dtype=torch.float64), gradients_of((3, 4), 10)
    (found,) = after([start], [gradients], longest=1)
    adam = start.clone().requires_grad_()
    optimizer = torch.optim.Adam([adam], lr=RATE, betas=(B1, B2), eps=EPS)
    follow(optimizer, adam, gradients)
    torch.testing.assert_close(found, adam.detach(), rtol=0, atol=1e-10)


@pytest.mark.parametrize(("shape", "kept"), [((3, 9), "left"), ((9, 3), "right")])
def test_a_long_side_keeps_its_basis_and_the_short_one_turns(shape, kept):
    weight = torch.zeros(shape, dtype=torch.float64, requires_grad=True)
    optimizer = Soap([weight], RATE, longest=4)
    follow(optimizer, weight, gradients_of(shape, 12))
    state = optimizer.state[weight]
    assert [name for name in state if name.endswith("basis")] == [f"{kept}_basis"]
    assert (state[f"{kept}_basis"][0] - torch.eye(3, dtype=torch.float64)).abs().max() > 0.1


@pytest.mark.parametrize("side", [1, 2])
def test_a_long_side_is_cut_into_blocks_that_go_as_they_would_alone(side):
    shape = [2, 3, 3]
    shape[side] = 12
    start, gradients = torch.zeros(shape, dtype=torch.float64), gradients_of(tuple(shape), 20)
    (whole,) = after([start], [gradients], longest=4, block=3)
    alone = after(
        list(start.split(3, dim=side)),
        [list(parts) for parts in zip(*(g.split(3, dim=side) for g in gradients), strict=True)],
    )
    torch.testing.assert_close(whole, torch.cat(alone, dim=side), rtol=0, atol=1e-10)


def test_what_does_not_come_out_even_is_not_cut():
    assert Soap([torch.zeros(2, 3, 11)], RATE, block=3, longest=4).param_groups[0]["size"] == (3, 11)


def test_a_relation_that_no_batch_has_stays():
    gradients = [g * torch.tensor([1.0, 0.0, 1.0])[:, None, None] for g in gradients_of((3, 4, 4), 30)]
    (found,) = after([torch.ones(3, 4, 4, dtype=torch.float64)], [gradients])
    assert (found[1] == 1).all()
    assert (found[[0, 2]] != 1).all()
    assert found.isfinite().all()


def test_no_gradient_is_a_gradient_of_zero():
    weight = torch.ones(2, 3, 3, dtype=torch.float64, requires_grad=True)
    optimizer = Soap([weight], RATE)
    for _ in range(8):
        optimizer.step()
    assert (weight == 1).all()


def test_weights_decay_as_with_adamw():
    weight = torch.ones(3, 3, dtype=torch.float64, requires_grad=True)
    optimizer = Soap([weight], RATE, weight_decay=0.5)
    weight.grad = torch.zeros_like(weight)
    optimizer.step()
    torch.testing.assert_close(weight.detach(), torch.full((3, 3), 1 - RATE * 0.5, dtype=torch.float64))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_state_that_is_read_back_goes_on_bit_for_bit(dtype, tmp_path):
    gradients = [g.to(dtype) for g in gradients_of((2, 6, 4), 40)]
    weights = [torch.zeros(2, 6, 4, dtype=dtype, requires_grad=True) for _ in range(2)]
    first, second = (Soap([w], RATE) for w in weights)

    follow(first, weights[0], gradients)
    follow(second, weights[1], gradients[:23])
    torch.save(second.state_dict(), tmp_path / "state.pt")
    third = Soap([weights[1]], RATE)
    third.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    follow(third, weights[1], gradients[23:])
    assert torch.equal(*weights)


def test_a_narrow_valley_is_followed_faster_than_by_adam():
    """Least squares of condition 1e6, the valley at an angle to the axes."""
    u, v = (torch.linalg.qr(g)[0] for g in gradients_of((8, 8), 2, seed=5))
    scale = torch.logspace(0, -3, 8, dtype=torch.float64)
    a, target = u * scale @ v.T, gradients_of((8, 8), 1, seed=6)[0]

    def losses(make) -> list[float]:
        weight, seen = torch.zeros(8, 8, dtype=torch.float64, requires_grad=True), []
        optimizer = make(weight)
        for _ in range(300):
            loss = (a @ (weight - target)).square().sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            seen.append(loss.item())
        return seen

    ours = losses(lambda w: Soap([w], 0.05, betas=(B1, B2)))
    adam = losses(lambda w: torch.optim.Adam([w], lr=0.05, betas=(B1, B2)))
    assert sum(ours[100:]) < 0.8 * sum(adam[100:])
    assert all(b < 1.5 * a for a, b in pairwise(ours[10:150]))


def test_what_is_no_matrix_is_refused():
    with pytest.raises(ValueError, match=r"shape \(3,\) is no matrix: give it to AdamW"):
        Soap([torch.zeros(3)], RATE)
