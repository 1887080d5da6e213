"""Radial bases: how a distance becomes features."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

Basis = Callable[[Float[Tensor, " rows"], float, int], Float[Tensor, "rows n"]]


def bessel(distance: Float[Tensor, " rows"], cutoff: float, n: int) -> Float[Tensor, "rows {n}"]:
    """sqrt(2/cutoff) sin(k pi d/cutoff)/d, k = 1..n.

    Gasteiger, Gross and Guennemann, ICLR 2020 (arXiv:2003.03123), eq. 7.
    """
    k = torch.arange(1, n + 1, device=distance.device, dtype=distance.dtype)
    d = distance.unsqueeze(-1)
    return (2 / cutoff) ** 0.5 * torch.sin(k * (torch.pi / cutoff) * d) / d


def gaussian(distance: Float[Tensor, " rows"], cutoff: float, n: int) -> Float[Tensor, "rows {n}"]:
    """exp(-((d - mu_k)/w)^2/2) on n centres evenly from 0 to the cut-off, w their spacing.

    Schuett et al., J. Chem. Phys. 148, 241722 (2018), eq. 7.
    """
    centres = torch.linspace(0, cutoff, n, device=distance.device, dtype=distance.dtype)
    width = cutoff / max(n - 1, 1)
    return torch.exp(-0.5 * ((distance.unsqueeze(-1) - centres) / width).square())


BASES: dict[str, Basis] = {"bessel": bessel, "gaussian": gaussian}
