"""A weighted mean over atoms: orbital energies, gaps and other quantities that do not grow with the structure."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from hermtk.graph.graph import Graph
from hermtk.nn.segment import segment_sum
from hermtk.readouts.base import StructureReadout
from hermtk.subnets.base import Features


class Intensive(StructureReadout):
    """A mean over atoms with learned weights: twice the structure, far apart, has the same value."""

    def __init__(self, channels: int, *, hidden: int | None = None) -> None:
        """``hidden``: width of the inner layer, half the channels if not given."""
        super().__init__(channels)
        hidden = hidden or max(channels // 2, 1)
        self.network = nn.Sequential(nn.Linear(channels, hidden), nn.SiLU(), nn.Linear(hidden, 2))

    def forward(self, features: Features) -> Float[Tensor, "atoms 2"]:
        """Value and weight of each atom; the weight is softplus of the second."""
        return self.network(features[0].squeeze(1))

    def gather(
        self,
        rows: Float[Tensor, "atoms 2"],
        reference: Float[Tensor, " atoms"],
        scale: Float[Tensor, ""],
        graph: Graph,
    ) -> Float[Tensor, " structures"]:
        """sum_i w_i (reference_i + scale x value_i) / sum_i w_i."""
        weight = F.softplus(rows[:, 1])
        value = weight * (reference + scale * rows[:, 0])
        total = segment_sum(weight, graph.structure, graph.n_structures)
        return segment_sum(value, graph.structure, graph.n_structures) / total
