"""Envelopes: one at the atom, zero from the cut-off on. They multiply everything that travels along an edge."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

Envelope = Callable[[Float[Tensor, " rows"], float], Float[Tensor, " rows"]]


def polynomial(distance: Float[Tensor, " rows"], cutoff: float) -> Float[Tensor, " rows"]:
    """1 - 28 u^6 + 48 u^7 - 21 u^8, u = d/cutoff: zero at the cut-off with its first two derivatives.

    Gasteiger, Gross and Guennemann, ICLR 2020 (arXiv:2003.03123), eq. 8 with p = 6.
    """
    u = distance / cutoff
    u6 = u.pow(6)
    return torch.where(u < 1, 1 - u6 * (28 - 48 * u + 21 * u * u), torch.zeros_like(u))


def cosine(distance: Float[Tensor, " rows"], cutoff: float) -> Float[Tensor, " rows"]:
    """(1 + cos(pi d/cutoff))/2: its second derivative jumps at the cut-off, so forces have a kink there.

    Behler and Parrinello, Phys. Rev. Lett. 98, 146401 (2007), eq. 3.
    """
    u = distance / cutoff
    return torch.where(u < 1, 0.5 * (torch.cos(torch.pi * u) + 1), torch.zeros_like(u))


ENVELOPES: dict[str, Envelope] = {"polynomial": polynomial, "cosine": cosine}
