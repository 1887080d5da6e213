"""The potential: a network with its scale, reference energies and short-range repulsion; energies in eV."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from hermtk.models.model import Model
from hermtk.models.network import Exchange, Network, no_exchange
from hermtk.models.zbl import ZBL
from hermtk.nn.safe import length
from hermtk.relations.union import UnionGraph


class Potential(Model):
    """E_i = E0(element) + scale x network + ZBL, summed in float64 by whoever needs the total."""

    def __init__(
        self, network: Network, reference: dict[int, float], scale: float = 1.0, zbl: bool = False
    ) -> None:
        """``reference``: eV per element, by atomic number; ``scale``: eV, usually the rms force of the training set."""
        super().__init__(network, reference, scale)
        self.zbl = ZBL(network.cutoff) if zbl else None

    def forward(
        self,
        numbers: Int[Tensor, " atoms"],
        vectors: Float[Tensor, "edges 3"],
        center: Int[Tensor, " edges"],
        neighbor: Int[Tensor, " edges"],
        union: UnionGraph,
        n_local: int,
        exchange: Exchange = no_exchange,
    ) -> Float[Tensor, " local"]:
        """Energy of each local atom, eV, float64: the one kernel behind every use of the model.

        Args:
            numbers: atomic numbers, ghosts last.
            vectors: centre to neighbour, Angstrom.
            center: receiving atom, local, ascending.
            neighbor: sending atom.
            union: ``relate(numbers, center, neighbor)``.
            n_local: how many atoms are local.
            exchange: features of local atoms -> of all atoms, between layers.
        """
        elements = self.index[numbers]
        shares = self.network(elements, vectors.to(self.dtype), union, n_local, exchange)
        energies = self.reference[elements[:n_local]] + self.scale * shares.to(torch.float64)
        if self.zbl is not None:
            energies = energies + self.zbl(numbers, length(vectors), center, neighbor, n_local)
        return energies
