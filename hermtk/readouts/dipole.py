"""The length of a molecule's dipole moment from charges and atomic dipoles."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hermtk.graph.graph import Graph
from hermtk.nn.segment import segment_sum
from hermtk.readouts.base import StructureReadout
from hermtk.subnets.base import Features

# of the scale: the length is smooth at zero, and lower by at most this
_SOFT = 1e-6


class Dipole(StructureReadout):
    """|sum_i (mu_i + q_i r_i)|, with charges made neutral: the same wherever the molecule is.

    Schuett, Unke and Gastegger, ICML 2021 (arXiv:2102.03150), eq. 10-12. A subnet without vectors leaves the charges alone.
    """

    def __init__(self, channels: int, *, hidden: int | None = None) -> None:
        """``hidden``: width of the inner layer, half the channels if not given."""
        super().__init__(channels)
        hidden = hidden or max(channels // 2, 1)
        self.network = nn.Sequential(nn.Linear(channels, hidden), nn.SiLU(), nn.Linear(hidden, 1 + hidden))
        self.mix = nn.Linear(channels, hidden, bias=False)

    def forward(self, features: Features) -> Float[Tensor, "atoms 4"]:
        """Charge and dipole (x, y, z) of each atom."""
        charge, gates = self.network(features[0].squeeze(1)).split([1, self.mix.out_features], dim=1)
        if len(features) == 1:
            return torch.cat([charge, charge.new_zeros(charge.shape[0], 3)], dim=1)
        # (A, 3, C) -> (A, 3): scalars decide how much of each vector counts
        dipole = (self.mix(features[1]) * gates.unsqueeze(1)).sum(dim=2)
        return torch.cat([charge, dipole], dim=1)

    def gather(
        self,
        rows: Float[Tensor, "atoms 4"],
        reference: Float[Tensor, " atoms"],
        scale: Float[Tensor, ""],
        graph: Graph,
    ) -> Float[Tensor, " structures"]:
        """The length of scale x sum_i (mu_i + q_i (r_i - mean r)); references have no say in it."""
        atoms = segment_sum(torch.ones_like(reference), graph.structure, graph.n_structures).unsqueeze(1)
        positions = graph.positions.to(rows.dtype)
        middle = segment_sum(positions, graph.structure, graph.n_structures) / atoms
        # sum_i (q_i - mean q) r_i is the same sum: what charge there is too much has no lever about the middle
        arms = positions - middle[graph.structure]
        moment = segment_sum(rows[:, 1:] + rows[:, :1] * arms, graph.structure, graph.n_structures)
        return scale * ((moment.square().sum(dim=1) + _SOFT**2).sqrt() - _SOFT)
