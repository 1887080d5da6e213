"""SOAP: Adam in the eigenbasis of Shampoo's preconditioner, with a basis for every matrix of a stack.

For every matrix W [inputs, outputs] of a weight and its gradient G, with the learning rate h:

    M <- b1 M + (1 - b1) P^T G Q        V <- b2 V + (1 - b2) (P^T G Q)^2
    W <- W - h P [M / (1 - b1^t) / (r + eps + 1e-3 rms(r))] Q^T,           r = sqrt(V / (1 - b2^t))
    L <- s L + (1 - s) G G^T            R <- s R + (1 - s) G^T G
    P <- qr(L P + 0.01 tr(L)/n P) with M turned along, every few steps; Q from R likewise

P and Q, unit matrices at first, come to be the eigenvectors of L and R. A relation has its own, as it has its own W: what the
atoms of one element teach says nothing about how another's weights curve.

Source: N. Vyas et al., "SOAP: Improving and Stabilizing Shampoo using Adam", arXiv:2409.11321, algorithm 3. What is other here,
and why, is in docs/decisions/0014-soap.md.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.optim import Optimizer

# turning a basis goes with the cube of its size
LONGEST = 128
_SOON = 5  # the first averages are of few gradients: the bases follow them at every step
_KEPT = 1e-2
_LEAST = 1e-3


class Soap(Optimizer):
    """For weights of shape [..., inputs, outputs]; matrices of one size are worked on together.

    Args:
        weights: none of them with fewer than two dimensions.
        lr: as of Adam.
        betas: of the averages of the gradient and of its square.
        basis_beta: of the averages whose eigenvectors are the bases.
        eps: added to the root of the average square.
        weight_decay: decoupled, as of AdamW.
        every: steps between turns of the bases.
        block: sides longer than ``longest`` are cut into blocks this long, each with bases of its own: the number of channels,
            where one map makes several features. Where this does not come out even, or without it, they have no basis.
        longest: see ``block``.

    Raises:
        ValueError: a weight that is no matrix.
    """

    def __init__(
        self,
        weights: Iterable[Tensor],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.99),
        basis_beta: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        every: int = 10,
        block: int | None = None,
        longest: int = LONGEST,
    ) -> None:
        alike: dict[tuple[int, int], list[Tensor]] = {}
        for weight in weights:
            if weight.ndim < 2:
                raise ValueError(f"a weight of shape {tuple(weight.shape)} is no matrix: give it to AdamW")
            alike.setdefault(_cut(weight, block, longest), []).append(weight)
        defaults = {
            "lr": lr,
            "betas": betas,
            "basis_beta": basis_beta,
            "eps": eps,
            "weight_decay": weight_decay,
            "every": every,
            "longest": longest,
        }
        groups = [{"params": some, "size": size} for size, some in alike.items()]
        super().__init__(groups, defaults)

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        """Change the weights by their gradients; one without a gradient counts as one whose gradient is zero."""
        for group in self.param_groups:
            weights = group["params"]
            gradients = [torch.zeros_like(w) if w.grad is None else w.grad for w in weights]
            stack = torch.cat([_blocks(g, group["size"]) for g in gradients])
            # what belongs to all blocks of a size is kept with the first weight
            state = self.state[weights[0]]
            products = _products(stack, group["longest"])
            if not state:
                state.update(_begin(stack, products))
            changes = _change(state, stack, group)
            _turn(state, products, group)
            _apply(weights, changes, group)


def _begin(g: Float[Tensor, "blocks rows columns"], products: Mapping[str, Tensor]) -> dict[str, Any]:
    state: dict[str, Any] = {"t": 0, "mean": torch.zeros_like(g), "square": torch.zeros_like(g)}
    for side, product in products.items():
        unit = torch.eye(product.shape[-1], dtype=g.dtype, device=g.device)
        state[f"{side}_average"], state[f"{side}_basis"] = torch.zeros_like(product), unit.expand_as(product)
    return state


def _change(
    state: dict[str, Any], g: Float[Tensor, "blocks rows columns"], group: dict[str, Any]
) -> Float[Tensor, "blocks rows columns"]:
    """What Adam would take from the weights in the bases, turned back; without the learning rate."""
    b1, b2 = group["betas"]
    state["t"] += 1
    mean, square = state["mean"], state["square"]
    g = _into(state, g)
    mean.lerp_(g, 1 - b1)
    square.lerp_(g.square(), 1 - b2)
    found = square / (1 - b2 ** state["t"])
    least = group["eps"] + _LEAST * found.mean((-2, -1), keepdim=True).sqrt()
    return _out_of(state, mean / found.sqrt_().add_(least)).mul_(1 / (1 - b1 ** state["t"]))


def _turn(state: dict[str, Any], products: Mapping[str, Tensor], group: dict[str, Any]) -> None:
    """Follow the gradient with the averages and, when it is time, with the bases."""
    due = state["t"] % group["every"] == 0 or state["t"] < _SOON
    for side, product in products.items():
        average = state[f"{side}_average"].lerp_(product, 1 - group["basis_beta"])
        if due:
            _turn_side(state, side, average)


def _turn_side(state: dict[str, Any], side: str, average: Float[Tensor, "blocks size size"]) -> None:
    """One step of orthogonal iteration."""
    basis = state[f"{side}_basis"]
    power = average.diagonal(dim1=-2, dim2=-1).mean(-1)[:, None, None]
    new = torch.linalg.qr(average @ basis + _KEPT * power * basis).Q
    # the mean is of the gradient and turns with the bases; a square has no direction and stays with its column
    turn = new.mT @ basis
    state["mean"] = turn @ state["mean"] if side == "left" else state["mean"] @ turn.mT
    state[f"{side}_basis"] = new


def _apply(weights: Sequence[Tensor], changes: Tensor, group: dict[str, Any]) -> None:
    parts = changes.split([weight.numel() // changes[0].numel() for weight in weights])
    for weight, change in zip(weights, parts, strict=True):
        weight.mul_(1 - group["lr"] * group["weight_decay"])
        weight.sub_(_joined(change, weight.shape), alpha=group["lr"])


def _cut(weight: Tensor, block: int | None, longest: int) -> tuple[int, int]:
    """The size of the blocks that a weight's matrices are cut into."""
    inputs, outputs = (
        block if block and side > longest and side % block == 0 else side for side in weight.shape[-2:]
    )
    return inputs, outputs


def _blocks(weight: Tensor, size: Sequence[int]) -> Float[Tensor, "blocks rows columns"]:
    x = weight.unflatten(-1, (-1, size[1])).unflatten(-3, (-1, size[0]))
    return x.transpose(-3, -2).reshape(-1, *size)


def _joined(blocks: Float[Tensor, "blocks rows columns"], shape: Sequence[int]) -> Tensor:
    rows, columns = blocks.shape[1:]
    x = blocks.view(-1, shape[-2] // rows, shape[-1] // columns, rows, columns)
    return x.transpose(-3, -2).reshape(shape)


def _products(g: Tensor, longest: int) -> dict[str, Tensor]:
    """G G^T and G^T G, of the sides that are short enough."""
    sides = {"left": (g.shape[-2], g, g.mT), "right": (g.shape[-1], g.mT, g)}
    return {side: a @ b for side, (size, a, b) in sides.items() if size <= longest}


def _into(state: dict[str, Any], x: Tensor) -> Tensor:
    if "left_basis" in state:
        x = state["left_basis"].mT @ x
    return x @ state["right_basis"] if "right_basis" in state else x


def _out_of(state: dict[str, Any], x: Tensor) -> Tensor:
    if "left_basis" in state:
        x = state["left_basis"] @ x
    return x @ state["right_basis"].mT if "right_basis" in state else x
