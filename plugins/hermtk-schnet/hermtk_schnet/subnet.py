"""SchNet's interaction block: neighbours' scalars times filters that a network makes from the distance.

Schuett, Kindermans, Sauceda, Chmiela, Tkatchenko and Mueller, NIPS 2017 (arXiv:1706.08566), Fig. 2 and section 4.1.
"""

import math

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from hermtk.nn.segment import segment_sum
from hermtk.subnets.base import Edges, Features, TypeBlindSubnet


class SchNet(TypeBlindSubnet):
    """SchNet's interaction block: distances only, no directions.

    Its filters are faded by the envelope, so that energies and forces are smooth at the cut-off. Letters: P atoms that send, Q
    atoms that receive, K edges, C channels.
    """

    def __init__(self, channels: int, n_radial: int, *, filters: int | None = None) -> None:
        """Options of the layer.

        Args:
            channels: width of the features.
            n_radial: columns of the edges' radial features.
            filters: width of the convolution, ``channels`` if not given.
        """
        super().__init__(channels, n_radial)
        width = filters or channels
        self.inward = _dense(channels, width, bias=False)
        self.filter = nn.Sequential(_dense(n_radial, width), ShiftedSoftplus(), _dense(width, width))
        self.outward = nn.Sequential(_dense(width, channels), ShiftedSoftplus(), _dense(channels, channels))

    @property
    def l_max(self) -> int:
        return 0

    def forward(self, senders: Features, receivers: Features, edges: Edges) -> Features:
        """The convolution (eq. 2), then two atom-wise layers."""
        sent = self.inward(senders[0].squeeze(1))  # (P, filters)
        message = sent[edges.neighbor] * self.filters(edges)  # (K, filters)
        received = segment_sum(message, edges.center, receivers[0].shape[0])  # (Q, filters)
        # the biases do not come from messages: they fade with an atom's last edge
        return ((edges.presence.unsqueeze(1) * self.outward(received)).unsqueeze(1),)

    def filters(self, edges: Edges) -> Float[Tensor, "K filters"]:
        """The paper's filter network on the model's radial functions, times the envelope."""
        return edges.weight.unsqueeze(1) * self.filter(edges.radial)


class ShiftedSoftplus(nn.Module):
    """ssp(x) = ln(e^x / 2 + 1/2): smooth to any order and zero at zero."""

    def forward(self, x: Float[Tensor, "*rows"]) -> Float[Tensor, "*rows"]:
        """Element by element."""
        return F.softplus(x) - math.log(2)


def _dense(inputs: int, outputs: int, bias: bool = True) -> nn.Linear:
    """As in the paper: uniform weights after Glorot and Bengio, biases at zero."""
    layer = nn.Linear(inputs, outputs, bias=bias)
    nn.init.xavier_uniform_(layer.weight)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer
