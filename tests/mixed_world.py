"""Mixed layers to test with: a typed subnet, another of fewer orders, and one that knows nothing of relations."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from hermtk.models.layers import make_layer
from hermtk.models.looped import Looped, looped
from hermtk.models.mixed import Mixed
from hermtk.nn.segment import segment_sum
from hermtk.nn.typed import TypedLinear
from hermtk.subnets.base import Edges, Features, Subnet, TypeBlindSubnet
from hermtk.subnets.painn import PaiNN
from hermtk.testing import Subject


class Scalars(Subnet):
    """Typed, and without directions."""

    def __init__(self, channels: int, relations: int, n_radial: int) -> None:
        super().__init__(channels, relations, n_radial)
        self.filter = TypedLinear(relations, n_radial, channels, bias=False)

    @property
    def l_max(self) -> int:
        return 0

    def forward(self, features: Features, edges: Edges) -> Features:
        (s,) = features
        sent = self.filter(edges.radial, edges.union.edges) * s.squeeze(1)[edges.union.neighbor_atom]
        return (segment_sum(sent, edges.union.center, edges.union.center_atom.shape[0]).unsqueeze(1),)


class Blind(TypeBlindSubnet):
    """Plain layers of torch; scalars and vectors."""

    def __init__(self, channels: int, n_radial: int, *, hidden: int = 3) -> None:
        super().__init__(channels, n_radial)
        self.filter = nn.Linear(n_radial, 2 * channels, bias=False)
        self.own = nn.Sequential(nn.Linear(channels, hidden), nn.SiLU(), nn.Linear(hidden, channels))

    @property
    def l_max(self) -> int:
        return 1

    def forward(self, senders: Features, receivers: Features, edges: Edges) -> Features:
        a, b = self.filter(edges.radial).chunk(2, dim=-1)
        sent = senders[0].squeeze(1)[edges.neighbor]
        rows = receivers[0].shape[0]
        own = edges.presence[:, None] * self.own(receivers[0].squeeze(1))
        scalars = own + segment_sum(a * sent, edges.center, rows)
        vectors = edges.directions.unsqueeze(2) * (b * sent).unsqueeze(1)
        return scalars.unsqueeze(1), segment_sum(vectors, edges.center, rows)


class Filled(Subnet):
    """A subnet that answers in more orders than it knows, with zeros."""

    def __init__(self, subnet: Subnet, l_max: int) -> None:
        super().__init__(subnet.channels, subnet.relations, subnet.n_radial)
        self.subnet, self._l_max = subnet, l_max

    @property
    def l_max(self) -> int:
        return self._l_max

    def forward(self, features: Features, edges: Edges) -> Features:
        known = self.subnet(features[: self.subnet.l_max + 1], edges)
        rest = features[len(known) : self._l_max + 1]
        return (*known, *(f.new_zeros(known[0].shape[0], *f.shape[1:]) for f in rest))


SUBNETS: tuple[type, ...] = (PaiNN, Scalars, Blind)


def mixed_layer(channels: int, relations: int, n_radial: int, subnets: Sequence[type] = SUBNETS) -> Subnet:
    """Relations dealt out to the subnets in turn."""
    groups = [list(range(place, relations, len(subnets))) for place in range(len(subnets))]
    dealt = [(subnet, group) for subnet, group in zip(subnets, groups, strict=True) if group]
    parts = [make_layer(subnet, channels, len(group), n_radial, {}) for subnet, group in dealt]
    return Mixed(parts, [group for _, group in dealt])


def one_by_one(layer: Mixed) -> Looped:
    """The same function, a module per relation: the obvious form."""
    alone: dict[int, Subnet] = {}
    for part, group in zip(layer.subnets, layer.groups, strict=True):
        single = looped(part, lambda part=part: type(part)(part.channels, 1, part.n_radial))
        alone |= dict(zip(group, single.subnets, strict=True))
    return Looped([Filled(alone[r], layer.l_max) for r in range(layer.relations)])


@dataclass(frozen=True)
class MixedSubject(Subject):
    """The laws' subject with mixed layers."""

    def __str__(self) -> str:
        return f"mixed-{self.variant}"

    def layer(self, relations: int) -> Subnet:
        return mixed_layer(self.channels, relations, 8)


def randomise(module: nn.Module) -> None:
    """No two weights alike."""
    with torch.no_grad():
        for weight in module.parameters():
            weight.normal_(std=0.4)
