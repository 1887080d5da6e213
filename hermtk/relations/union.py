"""The union graph: the subgraphs of all relations side by side, sorted by relation, ready for one call of a subnet."""

from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from hermtk.relations.base import RelationTable


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

    def to(self, device: torch.device | str) -> "UnionGraph":
        """The same union on a device."""
        return _map(self, lambda tensor: tensor.to(device))


def _map(thing, change):
    moved = {}
    for entry in fields(thing):
        value = getattr(thing, entry.name)
        if isinstance(value, Rows):
            moved[entry.name] = _map(value, change)
        elif value is not None:
            moved[entry.name] = change(value)
    return replace(thing, **moved)


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


def _rows(relation: Tensor, count: int) -> Rows:
    ends = torch.searchsorted(relation, torch.arange(count, device=relation.device), right=True)
    return Rows(relation, ends.to(torch.int32))


def _find(wanted: Tensor, slots: Tensor) -> Tensor:
    if not len(slots):
        return torch.full_like(wanted, -1)
    place = torch.searchsorted(slots, wanted).clamp(max=len(slots) - 1)
    return torch.where(slots[place] == wanted, place, -1)
