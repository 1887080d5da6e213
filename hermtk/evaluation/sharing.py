"""Which relations an atom's surroundings are made of, and by how much."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from hermtk.data.structure import Structure
from hermtk.graph.neighbors import neighbor_pairs
from hermtk.relations.base import RelationTable

Array = np.ndarray


class Occurrences(NamedTuple):
    """Where atoms of a structure are of relations.

    Attributes:
        center, neighbor: atoms of every edge.
        atom, relation, weight: of every atom and relation that it is of; the weights of an atom add up to one.
    """

    center: Int[Array, " edges"]
    neighbor: Int[Array, " edges"]
    atom: Int[Array, " k"]
    relation: Int[Array, " k"]
    weight: Float[Array, " k"]


class Sharing:
    """Shares out atoms among the relations of the edges that they receive.

    A relation's share of an atom is the sum of the envelope (the cut-off function) over the atom's edges in the relation, divided
    by that over all relations. Of a relation with two kinds of neighbour edges count only where both kinds are near.

    Attributes:
        table: the relations.
        cutoff: Angstrom.
        envelope: of distances and the cut-off.
    """

    def __init__(self, table: RelationTable, cutoff: float, envelope: Callable[..., Tensor]) -> None:
        self.table, self.cutoff, self.envelope = table, cutoff, envelope
        self.element = {z: k for k, z in enumerate(table.elements)}

    def of(self, structure: Structure) -> Occurrences:
        """Of a structure whose elements are the table's."""
        pairs = neighbor_pairs(structure.positions, structure.cell, structure.pbc, self.cutoff)
        vectors = (
            structure.positions[pairs.neighbor]
            + pairs.shift @ structure.cell
            - structure.positions[pairs.center]
        )
        near = self.envelope(torch.from_numpy(np.linalg.norm(vectors, axis=1)), self.cutoff).numpy()
        kinds = self.kinds(structure)
        return Occurrences(
            pairs.center, pairs.neighbor, *self._shares(kinds, pairs.center, pairs.neighbor, near)
        )

    def kinds(self, structure: Structure) -> Int[Array, " atoms"]:
        """The place of each atom's element in the table."""
        return np.array([self.element[int(z)] for z in structure.numbers], dtype=np.int64)

    def _shares(
        self,
        element: Int[Array, " atoms"],
        center: Int[Array, " edges"],
        neighbor: Int[Array, " edges"],
        near: Float[Array, " edges"],
    ) -> tuple[Int[Array, " k"], Int[Array, " k"], Float[Array, " k"]]:
        kinds = (element[neighbor], element[center])
        members, count = self.table.relation.numpy()[kinds], len(self.table)
        # an (atom, relation, side) that occurs is a key
        key = (center[:, None] * count + members) * 2 + self.table.side.numpy()[kinds]
        every, place = np.unique(key, return_inverse=True)
        weight = np.bincount(place.ravel(), np.repeat(near, members.shape[1]), minlength=len(every))
        slot, sides = np.unique(every // 2, return_counts=True)
        whole = (sides == 2) | ~self.table.mixed.numpy()[slot % count]
        total = np.add.reduceat(weight, np.searchsorted(every // 2, slot)) if len(slot) else weight
        atom, relation, total = slot[whole] // count, slot[whole] % count, total[whole]
        of_atom = np.bincount(atom, total, minlength=len(element))[atom]
        some = of_atom > 0
        return atom[some], relation[some], total[some] / of_atom[some]
