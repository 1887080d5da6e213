"""The same baseline of plain torch layers: the network makes a copy for each relation."""

from torch import nn

from hermtk.nn.segment import segment_sum
from hermtk.subnets.base import Edges, Features, TypeBlindSubnet


class Blind(TypeBlindSubnet):
    """Neighbours add what they are, faded by distance; it knows nothing of relations.

    Letters: P atoms that send, Q atoms that receive, K edges, C channels.
    """

    def __init__(self, channels: int, n_radial: int, *, hidden: int = 32) -> None:
        """``hidden``: width of the node network."""
        super().__init__(channels, n_radial)
        self.source = nn.Sequential(nn.Linear(channels, hidden), nn.SiLU(), nn.Linear(hidden, channels))
        self.filter = nn.Linear(n_radial, channels, bias=False)

    @property
    def l_max(self) -> int:
        return 0

    def forward(self, senders: Features, receivers: Features, edges: Edges) -> Features:
        """Sum of the neighbours' scalars, filtered."""
        sent = self.source(senders[0].squeeze(1))  # (P, C)
        message = sent[edges.neighbor] * self.filter(edges.radial)  # (K, C)
        return (segment_sum(message, edges.center, receivers[0].shape[0]).unsqueeze(1),)  # (Q, 1, C)
