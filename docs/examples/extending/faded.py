"""A baseline without directions: the smallest subnet that keeps every law."""

from hermtk.nn.segment import segment_sum
from hermtk.nn.typed import TypedLinear, TypedMLP
from hermtk.subnets.base import Edges, Features, Subnet


class Faded(Subnet):
    """Neighbours add what they are, faded by distance.

    Letters: A atoms, K edges, P source slots, Q centre slots, C channels.
    """

    def __init__(self, channels: int, relations: int, n_radial: int, *, hidden: int | None = None) -> None:
        """``hidden``: width of the node network, ``channels`` if not given."""
        super().__init__(channels, relations, n_radial)
        self.source = TypedMLP(relations, channels, hidden or channels, channels)
        self.filter = TypedLinear(relations, n_radial, channels, bias=False)

    @property
    def l_max(self) -> int:
        return 0

    def forward(self, features: Features, edges: Edges) -> Features:
        """Sum of the neighbours' scalars, filtered."""
        union = edges.union
        s = features[0].squeeze(1)  # (A, C)
        sent = self.source(s[union.source_atom], union.sources)  # (P, C)
        message = sent[union.neighbor] * self.filter(edges.radial, union.edges)  # (K, C)
        change = segment_sum(message, union.center, union.center_atom.shape[0])  # (Q, C)
        return (change.unsqueeze(1),)
