"""The layer: messages between scalars, filtered by distance, and the atom's answer to their sum."""

import torch
from hermtk.nn.segment import segment_sum
from hermtk.nn.typed import TypedLinear, TypedMLP
from hermtk.subnets.base import Edges, Features, Subnet


class Example(Subnet):
    """Scalars sent by neighbours, filtered by distance.

    Letters: A atoms, K edges, P source slots, Q centre slots, C channels.
    """

    def __init__(self, channels: int, relations: int, n_radial: int, *, hidden: int | None = None) -> None:
        """``hidden``: width of the two networks, ``channels`` if not given."""
        super().__init__(channels, relations, n_radial)
        hidden = hidden or channels
        self.source = TypedMLP(relations, channels, hidden, channels)
        self.filter = TypedLinear(relations, n_radial, channels, bias=False)
        self.update = TypedMLP(relations, 2 * channels, hidden, channels)

    @property
    def l_max(self) -> int:
        """Scalars alone."""
        return 0

    def forward(self, features: Features, edges: Edges) -> Features:
        """Send, filter, sum, answer: once for all relations."""
        union = edges.union
        s = features[0].squeeze(1)  # (A, C)
        sent = self.source(s[union.source_atom], union.sources)  # (P, C)
        message = sent[union.neighbor] * self.filter(edges.radial, union.edges)  # (K, C)
        received = segment_sum(message, union.center, union.center_atom.shape[0])  # (Q, C)
        known = torch.cat([s[union.center_atom], received], dim=-1)  # (Q, 2C)
        # what does not come from messages must fade with the slot's edges
        answer = edges.presence.unsqueeze(-1) * self.update(known, union.centers)  # (Q, C)
        return ((received + answer).unsqueeze(1),)
