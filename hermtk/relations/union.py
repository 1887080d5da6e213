"""The union graph: the subgraphs of all relations side by side, sorted by relation, ready for one call of a subnet."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from hermtk.relations.base import RelationTable

# rows at the end of each part that only keep it from being small
_SPARE = 2


@dataclass(frozen=True)
class Rows:
    """Rows sorted by relation: ``relation`` of each row and the cumulative ``ends`` (int32) of each relation's rows."""

    relation: Int[Tensor, " rows"]
    ends: Int[Tensor, " relations"]


@dataclass(frozen=True)
class UnionGraph:
    """Letters: K edges of the union, P source slots, Q centre slots; a slot is an (atom, relation) that some edge uses.

    Attributes:
        edge: which edge of the graph each of the K is [K].
        center, neighbor: its centre slot and its source slot [K]; ``center`` is ascending.
        neighbor_atom: the atom behind ``neighbor`` [K].
        center_atom, source_atom: the atoms behind the slots [Q], [P].
        center_of_source: the centre slot of the same atom and relation, -1 where there is none [P].
        side: on which side of its triad the neighbour stands [K]; None where no relation has two sides.
        mixed: whether the centre slot's relation has two sides [Q]; None likewise.
        edges, sources, centers: how the K, P and Q rows fall into relations.
        shares: the same divided among several subnets; None where one subnet has all relations.
    """

    edge: Int[Tensor, " k"]
    center: Int[Tensor, " k"]
    neighbor: Int[Tensor, " k"]
    neighbor_atom: Int[Tensor, " k"]
    center_atom: Int[Tensor, " q"]
    source_atom: Int[Tensor, " p"]
    center_of_source: Int[Tensor, " p"]
    side: Int[Tensor, " k"] | None
    mixed: Bool[Tensor, " q"] | None
    edges: Rows
    sources: Rows
    centers: Rows
    shares: "Shares | None" = None

    @property
    def sides(self) -> int:
        """How many sums of messages a centre slot has: two where relations have two sides."""
        return 1 if self.side is None else 2

    @property
    def center_side(self) -> Int[Tensor, " k"]:
        """Each edge's centre slot and side as one index: all slots' first sides, then all slots' second sides."""
        return self.center if self.side is None else self.center + self.side * self.center_atom.shape[0]

    def to(self, device: torch.device | str) -> "UnionGraph":
        """The same union on a device."""
        return _map(self, lambda tensor: tensor.to(device))


@dataclass(frozen=True)
class Shares:
    """A union graph whose relations are divided among several subnets, each part a union graph of its own.

    Attributes:
        groups: the relations of each part, ascending; in the part they are numbered from 0.
        parts: the union graph of each.
        slots: which centre slots of the whole a part's centre slots are, for each part.
        place: where each centre slot of the whole stands among those of all parts, one part after the other [Q].
    """

    groups: tuple[tuple[int, ...], ...]
    parts: tuple[UnionGraph, ...]
    slots: tuple[Int[Tensor, " _"], ...]
    place: Int[Tensor, " q"]


def _map(thing: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The same with every tensor in it changed."""
    if isinstance(thing, Tensor):
        return change(thing)
    if isinstance(thing, tuple):
        return tuple(_map(value, change) for value in thing)
    if is_dataclass(thing) and not isinstance(thing, type):
        return replace(thing, **{e.name: _map(getattr(thing, e.name), change) for e in fields(thing)})
    return thing


def unite(
    table: RelationTable,
    elements: Int[Tensor, " atoms"],
    center: Int[Tensor, " edges"],
    neighbor: Int[Tensor, " edges"],
) -> UnionGraph:
    """Split a graph's edges by relation.

    Args:
        table: the scheme.
        elements: index of each atom's element in the table's list.
        center: atom that receives, ascending.
        neighbor: atom that sends.
    """
    device, atoms, count = elements.device, max(len(elements), 1), len(table)
    kinds = (elements[neighbor], elements[center])
    members = table.relation.to(device)[kinds]
    relation, order = torch.sort(members.reshape(-1), stable=True)
    edge = torch.div(order, members.shape[1], rounding_mode="floor")
    center_slot, center_index = torch.unique_consecutive(relation * atoms + center[edge], return_inverse=True)
    source_slot, source_index = torch.unique(relation * atoms + neighbor[edge], return_inverse=True)
    centers = _rows(torch.div(center_slot, atoms, rounding_mode="floor"), count)
    two_sided = table.sides == 2
    return UnionGraph(
        edge=edge,
        center=center_index,
        neighbor=source_index,
        neighbor_atom=neighbor[edge],
        center_atom=center_slot % atoms,
        source_atom=source_slot % atoms,
        center_of_source=_find(source_slot, center_slot),
        side=table.side.to(device)[kinds].reshape(-1)[order] if two_sided else None,
        mixed=table.mixed.to(device)[centers.relation] if two_sided else None,
        edges=_rows(relation, count),
        sources=_rows(torch.div(source_slot, atoms, rounding_mode="floor"), count),
        centers=centers,
    )


def divide(union: UnionGraph, groups: Sequence[Sequence[int]]) -> Shares:
    """The union's relations dealt out.

    Args:
        union: of all relations.
        groups: the relations of each part, ascending, every relation in one of them.
    """
    parts, slots, places = [], [], torch.empty_like(union.center_atom)
    first = 0
    for group in groups:
        part, own = _part(union, group)
        spare = union.center[:_SPARE]
        places[own] = torch.arange(len(own), device=own.device) + first
        parts.append(part)
        slots.append(torch.cat([own, spare]))
        first += len(own) + len(spare)
    return Shares(tuple(tuple(group) for group in groups), tuple(parts), tuple(slots), places)


def _part(union: UnionGraph, group: Sequence[int]) -> tuple[UnionGraph, Int[Tensor, " q"]]:
    """The union graph of some relations, and which centre slots of the whole its own are.

    Two copies of edges of the whole, with slots of their own, stand at the end: nobody reads their results, but no part is ever
    empty or a single row, sizes for which a compiled graph would have to be made anew.
    """
    number = torch.full_like(union.edges.ends, -1, dtype=torch.long)
    number[list(group)] = torch.arange(len(group), device=number.device)
    every = (union.edges, union.sources, union.centers)
    k, p, q = (torch.nonzero(number[rows.relation] >= 0).squeeze(1) for rows in every)
    spare = torch.arange(min(_SPARE, len(union.edge)), device=k.device)
    taken = torch.cat([k, spare])
    source, center = _numbers(p, len(union.source_atom)), _numbers(q, len(union.center_atom))
    own_center = union.center_of_source[p]
    last = torch.full_like(spare, len(group) - 1)

    def rows(whole: Rows, kept: Tensor) -> Rows:
        return _rows(torch.cat([number[whole.relation[kept]], last]), len(group))

    part = UnionGraph(
        edge=union.edge[taken],
        center=torch.cat([center[union.center[k]], len(q) + spare]),
        neighbor=torch.cat([source[union.neighbor[k]], len(p) + spare]),
        neighbor_atom=union.neighbor_atom[taken],
        center_atom=torch.cat([union.center_atom[q], union.center_atom[union.center[spare]]]),
        source_atom=torch.cat([union.source_atom[p], union.neighbor_atom[spare]]),
        center_of_source=torch.cat(
            [torch.where(own_center < 0, -1, center[own_center]), torch.full_like(spare, -1)]
        ),
        side=None if union.side is None else torch.cat([union.side[k], torch.zeros_like(spare)]),
        mixed=None if union.mixed is None else torch.cat([union.mixed[q], torch.zeros_like(spare).bool()]),
        edges=rows(union.edges, k),
        sources=rows(union.sources, p),
        centers=rows(union.centers, q),
    )
    return part, q


def _numbers(kept: Tensor, size: int) -> Tensor:
    """For each of ``size`` rows its number among those that are kept, -1 for the others and for an index of -1."""
    numbers = torch.full((size + 1,), -1, device=kept.device)
    numbers[kept] = torch.arange(len(kept), device=kept.device)
    return numbers


def _rows(relation: Tensor, count: int) -> Rows:
    ends = torch.searchsorted(relation, torch.arange(count, device=relation.device), right=True)
    return Rows(relation, ends.to(torch.int32))


def _find(wanted: Tensor, slots: Tensor) -> Tensor:
    if not len(slots):
        return torch.full_like(wanted, -1)
    place = torch.searchsorted(slots, wanted).clamp(max=len(slots) - 1)
    return torch.where(slots[place] == wanted, place, -1)
