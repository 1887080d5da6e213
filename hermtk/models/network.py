"""The network: layers over one relation scheme, then a readout."""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from hermtk.models.mixed import Mixed
from hermtk.nn.angular import spherical_harmonics
from hermtk.nn.cutoff import ENVELOPES
from hermtk.nn.radial import BASES
from hermtk.nn.safe import length
from hermtk.nn.segment import segment_sum
from hermtk.readouts.base import Readout
from hermtk.relations.base import RelationTable
from hermtk.relations.union import UnionGraph
from hermtk.subnets.base import Edges, Features, Geometry, Subnet

# Given the features of the local atoms, those of all atoms (local first, then ghosts)
Exchange = Callable[[Features], Features]


def no_exchange(features: Features) -> Features:
    """All atoms are local."""
    return features


class Network(nn.Module):
    """h_i <- h_i + sum_r scale_r Delta_(i,r) in each layer, every increment computed from the same h.

    HermNet, npj Comput. Mater. 8, 53 (2022), eq. 3.
    """

    scale: Tensor

    def __init__(
        self,
        table: RelationTable,
        layers: list[Subnet],
        readout: Readout,
        *,
        channels: int,
        cutoff: float,
        basis: str = "bessel",
        n_basis: int = 7,
        envelope: str = "polynomial",
        mean_neighbors: float = 1.0,
    ) -> None:
        """``cutoff`` in Angstrom; ``mean_neighbors`` of the training set normalises sums, once and for all."""
        super().__init__()
        self.table = table
        self.embedding = nn.Embedding(len(table.elements), channels)
        self.layers = nn.ModuleList(layers)
        self.readout = readout
        self.channels, self.cutoff, self.n_basis = channels, cutoff, n_basis
        self.basis, self.envelope = BASES[basis], ENVELOPES[envelope]
        self.mean_neighbors = mean_neighbors
        self.l_max = max((layer.l_max for layer in layers), default=0)
        self.l_angular = max((layer.l_angular for layer in layers), default=0)
        self.groups = next((layer.groups for layer in layers if isinstance(layer, Mixed)), None)
        self.register_buffer("scale", table.scale.clone().to(self.embedding.weight.dtype))

    def forward(
        self,
        elements: Int[Tensor, " atoms"],
        vectors: Float[Tensor, "edges 3"],
        union: UnionGraph,
        n_local: int,
        exchange: Exchange = no_exchange,
    ) -> Float[Tensor, "local *rest"]:
        """Each local atom's share, of order one; of a readout for structures its rows, [local, rows].

        Args:
            elements: index of each atom's element in the model's list, ghosts last.
            vectors: centre to neighbour, Angstrom.
            union: the edges by relation.
            n_local: how many atoms are local; only these receive.
            exchange: from local features to all features, called between layers.
        """
        edges = self.edges(vectors, union)
        features = self.start(elements)
        for depth, layer in enumerate(self.layers):
            if depth:
                features = exchange(features)
            # the first layer's higher orders are zero: what would come of them need not be computed
            orders = 1 if depth == 0 and layer.opens else None
            features = self.step(layer, features, edges, n_local, orders)
        return self.readout(tuple(f[:n_local] for f in features))

    def start(self, elements: Int[Tensor, " atoms"]) -> Features:
        """Embedded elements as scalars, zeros for the higher orders."""
        scalars = self.embedding(elements).unsqueeze(1)
        atoms = elements.shape[0]
        higher = [
            scalars.new_zeros(atoms, 2 * order + 1, self.channels) for order in range(1, self.l_max + 1)
        ]
        return (scalars, *higher)

    def edges(self, vectors: Float[Tensor, "edges 3"], union: UnionGraph) -> Edges:
        """The union's edges; their geometry is computed once per edge of the graph."""
        distances = length(vectors)
        weight = self.envelope(distances, self.cutoff) * self.mean_neighbors**-0.5
        basis = self.basis(distances, self.cutoff, self.n_basis)
        radial = weight.unsqueeze(-1) * torch.cat([torch.ones_like(basis[:, :1]), basis], dim=-1)
        directions = vectors / distances.unsqueeze(-1)
        angular = spherical_harmonics(directions, self.l_angular)
        near = segment_sum(weight.index_select(0, union.edge), union.center, union.center_atom.shape[0])
        geometry = Geometry(vectors, distances, directions, weight, radial, angular)
        return Edges(union, geometry, torch.tanh(near))

    def step(
        self, layer: nn.Module, features: Features, edges: Edges, n_local: int, orders: int | None = None
    ) -> Features:
        """One layer: each local atom adds its relations' scaled increments; it is shown the first ``orders``, all if None."""
        union = edges.union
        increments = layer(features[:orders], edges)
        if len(self.table) > 1:
            scale = self.scale[union.centers.relation].reshape(-1, 1, 1)
            increments = tuple(scale * change for change in increments)
        return tuple(
            f[:n_local] + segment_sum(change, union.center_atom, n_local)
            for f, change in zip(features, increments, strict=True)
        )
