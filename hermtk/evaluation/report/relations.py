"""Force errors by the relations of a model's variant."""

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float, Int

from hermtk.audit.coverage import Coverage, seen_in_training
from hermtk.data.structure import Structure
from hermtk.evaluation.report.parts import Part
from hermtk.graph.neighbors import neighbor_pairs
from hermtk.models.model import Model

Array = np.ndarray


class Shares:
    """Shares out each atom's force error among the relations of the edges that it receives.

    A relation's share of an atom is the sum of the envelope (the cut-off function) over the atom's edges in the relation, divided
    by that over all relations. Of a relation with two kinds of neighbour edges count only where both kinds are near. A
    relation's error is the mean over all atoms with the shares as weights.
    """

    def __init__(self, model: Model) -> None:
        self.table, self.cutoff = model.table, model.cutoff
        self.envelope = model.network.envelope
        self.element = {z: k for k, z in enumerate(self.table.elements)}
        self.used = Coverage()
        # of each relation: sums of weights, and of weighted absolute errors, square errors, absolute components
        self.sums = np.zeros((4, len(self.table)))
        # of each relation and element: sums of weights; of each element: atoms, and sums of absolute errors
        self.of_elements = np.zeros((len(self.table), len(self.element)))
        self.elements = np.zeros((2, len(self.element)))

    def add(
        self, structure: Structure, error: Float[Array, "atoms 3"], true: Float[Array, "atoms 3"]
    ) -> None:
        """One more structure: its force errors and reference forces, eV/Angstrom; NaN where there is no reference."""
        pairs = neighbor_pairs(structure.positions, structure.cell, structure.pbc, self.cutoff)
        self.used.add(structure.numbers, pairs.center, pairs.neighbor)
        vectors = (
            structure.positions[pairs.neighbor]
            + pairs.shift @ structure.cell
            - structure.positions[pairs.center]
        )
        near = self.envelope(torch.from_numpy(np.linalg.norm(vectors, axis=1)), self.cutoff).numpy()
        element = np.array([self.element[int(z)] for z in structure.numbers], dtype=np.int64)
        atom, relation, weight = self._shares(element, pairs.center, pairs.neighbor, near)
        columns = np.stack([np.abs(error).mean(1), np.square(error).mean(1), np.abs(true).mean(1)])
        known = ~np.isnan(columns[:, atom]).any(axis=0)
        atom, relation, weight = atom[known], relation[known], weight[known]
        np.add.at(self.of_elements, (relation, element[atom]), weight)
        labelled = ~np.isnan(columns[0])
        np.add.at(self.elements[0], element[labelled], 1)
        np.add.at(self.elements[1], element[labelled], columns[0, labelled])
        ones = np.ones((1, len(atom)))
        for k, values in enumerate(np.concatenate([ones, columns[:, atom]])):
            self.sums[k] += np.bincount(relation, weight * values, minlength=len(self.table))

    def parts(self, facts: Mapping[str, object]) -> tuple[Part, ...]:
        """The errors of every relation that occurs, in the order of the scheme; ``facts`` are the model file's."""
        seen, used = seen_in_training(facts, self.table), self.used.relations(self.table)
        weight, mae, square, size = self.sums
        expected = self.of_elements @ (self.elements[1] / np.maximum(self.elements[0], 1))
        return tuple(
            Part(
                name,
                used[name],
                seen.get(name),
                float(mae[r] / weight[r]),
                float(np.sqrt(square[r] / weight[r])),
                float(size[r] / weight[r]),
                float(expected[r] / weight[r]),
            )
            for r, name in enumerate(self.table.labels)
            if weight[r] > 0
        )

    def _shares(
        self,
        element: Int[Array, " atoms"],
        center: Int[Array, " edges"],
        neighbor: Int[Array, " edges"],
        near: Float[Array, " edges"],
    ) -> tuple[Int[Array, " k"], Int[Array, " k"], Float[Array, " k"]]:
        """Atom, relation and weight wherever an atom is of a relation; the weights of an atom add up to one."""
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
