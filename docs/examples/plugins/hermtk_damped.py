"""A subnet: what neighbours send fades with distance, and the atom answers to the sum."""

import torch

from hermtk.nn.segment import segment_sum
from hermtk.nn.typed import TypedLinear, TypedMLP
from hermtk.subnets.base import Edges, Features, Subnet


class Damped(Subnet):
    """Scalars, filtered by distance. Letters: A atoms, K edges, P source slots, Q centre slots, C channels."""

    def __init__(self, channels: int, relations: int, n_radial: int, *, hidden: int = 32) -> None:
        """``hidden``: width of the answer's network."""
        super().__init__(channels, relations, n_radial)
        self.send = TypedLinear(relations, channels, channels)
        self.filter = TypedLinear(relations, n_radial, channels, bias=False)
        self.answer = TypedMLP(relations, channels, hidden, channels)

    @property
    def l_max(self) -> int:
        return 0  # scalars alone

    def forward(self, features: Features, edges: Edges) -> Features:
        union = edges.union
        s = features[0].squeeze(1)  # (A, C)
        sent = self.send(s[union.source_atom], union.sources)  # (P, C)
        message = sent[union.neighbor] * self.filter(edges.radial, union.edges)  # (K, C)
        received = segment_sum(message, union.center, union.center_atom.shape[0])  # (Q, C)
        present = edges.presence.unsqueeze(-1)  # fades with the slot's last edge
        answer = present * self.answer(s[union.center_atom] + received, union.centers)  # (Q, C)
        return ((received + torch.tanh(answer)).unsqueeze(1),)
