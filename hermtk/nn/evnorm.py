"""EvNorm: how big a spherical tensor is, and which way it points.

UNiTE (Qiao et al., arXiv:2105.14655), there without the dependence on the batch that its batch statistics bring.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from hermtk.nn.safe import SOFT, norm_over_components


def over_channels(invariants: Float[Tensor, "*rows channels"]) -> Float[Tensor, "*rows channels"]:
    """(x - mean) / sqrt(variance + e^2), mean and variance over the channels of each row; e = ``SOFT``."""
    return F.layer_norm(invariants, invariants.shape[-1:], eps=SOFT**2)


class EvNorm(nn.Module):
    """Splits features into invariants and directions; smooth to every order, at zero too.

    n_l = sqrt(sum_m h_lm^2 + e^2) - e, for l = 0 in the invariants h itself; e = ``SOFT``

    invariants  (n_l - mean) / sqrt(variance + e^2), mean and variance over the channels
    directions  h_lm / (n_l + 1/beta_l + e)

    beta > 0, one per order and channel, is learnt: how much of the length stays in the directions.
    """

    def __init__(self, l_max: int, channels: int) -> None:
        super().__init__()
        self.log_beta = nn.Parameter(torch.zeros(l_max + 1, channels))

    def forward(
        self, features: tuple[Tensor, ...]
    ) -> tuple[Float[Tensor, "rows invariants"], tuple[Tensor, ...]]:
        """Features of order l are [rows, 2l+1, channels], and so are the directions; invariants order after order.

        Of the orders that are given: the highest may be missing.
        """
        norms = torch.stack([norm_over_components(f) for f in features], dim=1)  # (rows, orders, channels)
        sizes = torch.cat([features[0], norms[:, 1:]], dim=1)
        invariants = over_channels(sizes).flatten(1)
        scales = (norms + torch.exp(-self.log_beta[: len(features)]) + SOFT).reciprocal().split(1, dim=1)
        return invariants, tuple(f * scale for f, scale in zip(features, scales, strict=True))
