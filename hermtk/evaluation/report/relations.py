"""Force errors by the relations of a model's variant."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from hermtk.audit.coverage import Coverage, seen_in_training
from hermtk.data.structure import Structure
from hermtk.evaluation.report.parts import Part
from hermtk.evaluation.sharing import Sharing
from hermtk.models.model import Model

Array = np.ndarray


class Shares:
    """Shares out each atom's force error among the relations of the edges that it receives.

    Which atom is of which relation says ``Sharing``. A relation's error is the mean over all atoms with the shares as weights.
    """

    def __init__(self, model: Model) -> None:
        self.table = model.table
        self.sharing = Sharing(model.table, model.cutoff, model.network.envelope)
        self.used = Coverage()
        # of each relation: sums of weights, and of weighted absolute errors, square errors, absolute components
        self.sums = np.zeros((4, len(self.table)))
        # of each relation and element: sums of weights; of each element: atoms, and sums of absolute errors
        elements = len(self.table.elements)
        self.of_elements = np.zeros((len(self.table), elements))
        self.elements = np.zeros((2, elements))

    def add(
        self, structure: Structure, error: Float[Array, "atoms 3"], true: Float[Array, "atoms 3"]
    ) -> None:
        """One more structure: its force errors and reference forces, eV/Angstrom; NaN where there is no reference."""
        center, neighbor, atom, relation, weight = self.sharing.of(structure)
        self.used.add(structure.numbers, center, neighbor)
        element = self.sharing.kinds(structure)
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
