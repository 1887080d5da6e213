"""PaiNN-style RMConv, corrected: HermNet's radial and angular message and update with own vectors and channel mixing.

HermNet, npj Comput. Mater. 8, 53 (2022), Fig. 3; PaiNN: Schuett, Unke and Gastegger, ICML 2021 (arXiv:2102.03150), Fig. 2.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from hermtk.nn.convolution import Routes, convolve
from hermtk.nn.couplings import Couplings, Entry
from hermtk.nn.evnorm import over_channels
from hermtk.nn.safe import norm_over_components
from hermtk.nn.typed import TypedLinear, TypedMLP, over_components, typed_product
from hermtk.relations.union import Rows
from hermtk.subnets.base import Edges, Features, Subnet


class PaiNN(Subnet):
    """Scalars and vectors; in triads the angle between the two bonds enters explicitly.

    Letters: K edges, P source slots, Q centre slots, C channels.
    """

    def __init__(
        self,
        channels: int,
        relations: int,
        n_radial: int,
        *,
        hidden: int | None = None,
        projection: bool = True,
        normalize: bool = True,
    ) -> None:
        """Options of the layer.

        Args:
            channels: width of the features.
            relations: how many sets of weights.
            n_radial: columns of the edges' radial features.
            hidden: width of the two node networks, ``channels`` if not given.
            projection: let the neighbour's vectors, projected on the edge, send scalars too; PaiNN does not.
            normalize: give the node networks invariants of mean 0 and variance 1; without it, as in PaiNN, the features of
                many layers explode.
        """
        super().__init__(channels, relations, n_radial)
        hidden = hidden or channels
        self.couplings, self.normalize = couplings(projection), normalize
        sent = self.couplings.paths * channels
        self.source = TypedMLP(relations, channels, hidden, sent)
        self.filter = TypedLinear(relations, n_radial, sent, bias=False)
        self.mix = TypedLinear(relations, channels, 2 * channels, bias=False)
        self.update = TypedMLP(relations, 2 * channels, hidden, 3 * channels)

    @property
    def l_max(self) -> int:
        return 1

    def forward(self, features: Features, edges: Edges) -> Features:
        """Message, then update (Fig. 2 b and c of PaiNN), per relation."""
        union = edges.union
        s, v = features[0].squeeze(1), features[1]  # (A, C), (A, 3, C)
        ds, sides = self._messages(s, v, edges)  # (Q, C), (sides, Q, 3, C)
        dv = sides.sum(0)
        own = union.center_atom
        s, v = s.index_select(0, own) + ds, v.index_select(0, own) + dv  # (Q, C), (Q, 3, C)
        rows = over_components(union.centers, 3)
        uv, vv = mixed(v, self.mix.weight, rows).chunk(2, dim=-1)  # (Q, 3, C)
        angle = (uv * vv).sum(1)  # (Q, C)
        if union.mixed is not None:
            u, w = self.mix.weight.chunk(2, dim=-1)
            between = (mixed(sides[0], u, rows) * mixed(sides[1], w, rows)).sum(1)
            angle = torch.where(union.mixed.unsqueeze(-1), between, angle)
        sizes = self._seen(torch.cat([s, norm_over_components(vv)], dim=-1))
        gates = self.update(sizes, union.centers)
        alpha, beta, gamma = (edges.presence.unsqueeze(-1) * gates).chunk(3, dim=-1)
        return (ds + alpha + beta * angle).unsqueeze(1), dv + gamma.unsqueeze(1) * uv

    def _messages(
        self, s: Float[Tensor, "A C"], v: Float[Tensor, "A 3 C"], edges: Edges
    ) -> tuple[Float[Tensor, "Q C"], Float[Tensor, "sides Q 3 C"]]:
        """Sums over each centre slot's edges; vectors separately for the two sides of a triad."""
        union, geometry = edges.union, edges.geometry
        phi = self.source(self._seen(s).index_select(0, union.source_atom), union.sources)  # (P, parts C)
        slots, sides = union.center_atom.shape[0], union.sides
        into, rows = union.center_side, sides * slots
        routes = Routes(union.edge, union.neighbor, union.neighbor_atom, into, rows, union.edges)
        sums = convolve(
            v, phi, geometry.radial, self.filter.weight, geometry.angular[:, :4], self.couplings, routes
        ).unflatten(0, (sides, slots))  # (sides, Q, 1 + 3, C)
        return sums[:, :, 0].sum(0), sums[:, :, 1:]

    def _seen(self, invariants: Float[Tensor, "rows n"]) -> Float[Tensor, "rows n"]:
        """What the node networks see of them: gates that grow with the features would make these grow from layer to layer."""
        return over_channels(invariants) if self.normalize else invariants


def couplings(projection: bool) -> Couplings:
    """What is sent with which filter: 0 the neighbour's vectors, 1 scalars, 2 the direction, 3 the vectors along it.

    Inputs are the vectors' components, angular functions 1, x, y, z, outputs a scalar and a vector.
    """
    axes = range(3)
    entries = [Entry(0, m, 0, 1 + m) for m in axes]
    entries += [Entry(1, -1, 0, 0), *(Entry(2, -1, 1 + m, 1 + m) for m in axes)]
    if projection:
        entries += [Entry(3, m, 1 + m, 0) for m in axes]
    return Couplings(tuple(entries), inputs=3, angulars=4, outputs=4)


def mixed(
    v: Float[Tensor, "Q 3 C"], weight: Float[Tensor, "relations C outputs"], rows: Rows
) -> Float[Tensor, "Q 3 outputs"]:
    """Channels mixed by the relation's matrix, directions kept."""
    return typed_product(v.flatten(0, 1), weight, rows).unflatten(0, (v.shape[0], 3))
