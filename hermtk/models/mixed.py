"""Several subnets in one layer, each on the relations it was given: what LAMMPS calls a hybrid style, for networks."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import nn

from hermtk.errors import HermtkError
from hermtk.relations.union import divide
from hermtk.subnets.base import Edges, Features, Subnet


class Mixed(Subnet):
    """Each subnet runs once, on the union graph of its own relations.

    The features go up to the highest order that one of them knows. Each reads the orders it knows and leaves the others alone.
    """

    def __init__(self, subnets: Sequence[Subnet], groups: Sequence[Sequence[int]]) -> None:
        """``groups``: the relations of each subnet, ascending, by their place in the relation table.

        Raises:
            HermtkError: the subnets differ in width, or do not have each relation once.
        """
        first = subnets[0]
        relations = sum(len(group) for group in groups)
        super().__init__(first.channels, relations, first.n_radial)
        self.groups = tuple(tuple(group) for group in groups)
        for subnet, group in zip(subnets, self.groups, strict=True):
            _check_agree(first, subnet)
            if subnet.relations != len(group):
                raise HermtkError(
                    f"{_title(subnet)} was made for {subnet.relations} relations and given {len(group)}"
                )
        if sorted(r for group in self.groups for r in group) != list(range(relations)):
            raise HermtkError(f"each relation needs one subnet; the groups are {self.groups}")
        self.subnets = nn.ModuleList(subnets)
        self._orders = [subnet.l_max + 1 for subnet in subnets]
        self._l_angular = max(subnet.l_angular for subnet in subnets)

    @property
    def l_max(self) -> int:
        return max(self._orders) - 1

    @property
    def l_angular(self) -> int:
        return self._l_angular

    def forward(self, features: Features, edges: Edges) -> Features:
        """The changes of every centre slot, zero in the orders that its subnet does not know."""
        shares = edges.union.shares
        if shares is None or shares.groups != self.groups:
            shares = divide(edges.union, self.groups)
        changes: list[Features] = []
        for part, union in enumerate(shares.parts):
            slots, orders = shares.slots[part], self._orders[part]
            own = replace(edges, union=union, presence=edges.presence.index_select(0, slots))
            known = self.subnets[part](features[:orders], own)
            rest = features[orders:]
            changes.append((*known, *(f.new_zeros(slots.shape[0], *f.shape[1:]) for f in rest)))
        return tuple(torch.cat(some).index_select(0, shares.place) for some in zip(*changes, strict=True))


def _check_agree(first: Subnet, other: Subnet) -> None:
    for what, here, there in (
        ("channels", first.channels, other.channels),
        ("columns of radial features", first.n_radial, other.n_radial),
    ):
        if here != there:
            raise HermtkError(
                f"{_title(first)} and {_title(other)} cannot share one model: "
                f"{_title(first)} has {here} {what}, {_title(other)} {there}"
            )


def _title(subnet: Subnet) -> str:
    return type(subnet).__name__
