"""The published formulas that every layer shares. Lengths in Angstrom."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

# under every length: of edges in Angstrom^2, of features without a unit. It acts on results: a constant of the model
EPS = 1e-5


def shifted_softplus(x: Tensor) -> Tensor:
    """ln(1 + e^x) - ln 2."""
    return F.softplus(x) - math.log(2)


def soft_length(x: Tensor, dim: int, eps: float = EPS) -> Tensor:
    """sqrt(|x|^2 + eps) along a dimension: never below sqrt(eps)."""
    return (x.square().sum(dim) + eps).sqrt()


def radial_basis(
    r: Float[Tensor, " edges"], cutoff: float, n: int, eps: float = EPS
) -> Float[Tensor, "edges {n}"]:
    """sin(k pi rho/cutoff)/rho, k = 1..n, rho = sqrt(r^2 + eps)."""
    rho = (r.square() + eps).sqrt().unsqueeze(-1)
    k = torch.arange(1, n + 1, dtype=r.dtype, device=r.device)
    return torch.sin(k * (math.pi / cutoff) * rho) / rho


def fading(x: Float[Tensor, "rows columns"], cutoff: float, eps: float = EPS) -> Float[Tensor, "rows 1"]:
    """(cos(pi (|x| + eps)/cutoff) + 1)/2 of a row's length: not set to zero beyond the cut-off, it rises again."""
    length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return 0.5 * (torch.cos((math.pi / cutoff) * (length + eps)) + 1)
