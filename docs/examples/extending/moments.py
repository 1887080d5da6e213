"""Scalars that see angles: a subnet whose messages are one convolution."""

import torch

from hermtk.nn.convolution import Routes, convolve
from hermtk.nn.couplings import Couplings, Entry
from hermtk.nn.typed import TypedLinear
from hermtk.subnets.base import Edges, Features, Subnet


class Moments(Subnet):
    """Moments of the neighbours' scalars, as in a multipole expansion; their squares change the centre's scalars.

    Letters: Q centre slots, C channels, n = order + 1.
    """

    def __init__(self, channels: int, relations: int, n_radial: int, *, order: int = 2) -> None:
        """``order``: the highest order of the moments."""
        super().__init__(channels, relations, n_radial)
        self.sizes = [2 * k + 1 for k in range(order + 1)]
        # each order has a filter of its own; the neighbour's scalar times Y_m goes to component m of the message
        orders = [k for k, size in enumerate(self.sizes) for _ in range(size)]
        entries = [Entry(path=k, inp=0, ang=m, out=m) for m, k in enumerate(orders)]
        self.couplings = Couplings(tuple(entries), inputs=1, angulars=len(entries), outputs=len(entries))
        self.filter = TypedLinear(relations, n_radial, self.couplings.paths * channels, bias=False)
        self.mix = TypedLinear(relations, self.couplings.paths * channels, channels, bias=False)

    @property
    def l_max(self) -> int:
        return 0

    @property
    def l_angular(self) -> int:
        return len(self.sizes) - 1

    def forward(self, features: Features, edges: Edges) -> Features:
        """Moments, then their squares; the zeroth is a scalar as it is."""
        union, geometry = edges.union, edges.geometry
        slots = union.center_atom.shape[0]
        routes = Routes(union.edge, union.neighbor, union.neighbor_atom, union.center, slots, union.edges)
        angular = geometry.angular[:, : self.couplings.angulars]
        moments = convolve(
            features[0], None, geometry.radial, self.filter.weight, angular, self.couplings, routes
        )  # (Q, n^2, C)
        zeroth, *higher = moments.split(self.sizes, dim=1)
        invariants = [zeroth.squeeze(1), *(moment.square().sum(1) for moment in higher)]  # n times (Q, C)
        return (self.mix(torch.cat(invariants, dim=-1), union.centers).unsqueeze(1),)
