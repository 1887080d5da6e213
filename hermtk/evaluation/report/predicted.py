"""A set of structures that a run's model has predicted, seen alike whether the model gives energies or a property."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from hermtk.data.structure import Structure
from hermtk.data.targets import ENERGY, Target
from hermtk.evaluation.comparison import Compared, Evaluation
from hermtk.evaluation.properties import PropertyEvaluation
from hermtk.models.model import Model

Array = np.ndarray


@dataclass(frozen=True)
class Predicted:
    """Structures, what the model says of them, and the model.

    Letters: S structures, A atoms of all of them, end to end.

    Attributes:
        name: of the set: ``test``, ``validation``, or a file.
        structures: as they were given to the evaluation; a target in the place of the energy.
        evaluation: reference and predictions, in their order.
        model: for its elements, relations and cut-off.
    """

    name: str
    structures: Sequence[Structure]
    evaluation: Evaluation | PropertyEvaluation
    model: Model

    @property
    def target(self) -> Target:
        """What the model gives."""
        return self.evaluation.target if isinstance(self.evaluation, PropertyEvaluation) else ENERGY

    @cached_property
    def value(self) -> Compared:
        """[S] energy per atom in eV, or the target in its unit."""
        e = self.evaluation
        return e.values if isinstance(e, PropertyEvaluation) else e.energy_per_atom

    @property
    def forces(self) -> Compared | None:
        """[A, 3] eV/Angstrom; None of a property, or where no atom has a reference."""
        e = self.evaluation
        return e.forces if isinstance(e, Evaluation) and e.forces.known.any() else None

    @property
    def atoms(self) -> Int[Array, " structures"]:
        """Of each structure."""
        return self.evaluation.atoms

    @cached_property
    def structure(self) -> Int[Array, " atoms"]:
        """The index of each atom's structure."""
        return np.repeat(np.arange(len(self.atoms)), self.atoms)

    @cached_property
    def force_error(self) -> Float[Array, "atoms 3"]:
        """Predicted minus true, eV/Angstrom; NaN where there is no reference."""
        forces = self.forces
        return (
            np.full((int(self.atoms.sum()), 3), np.nan) if forces is None else forces.predicted - forces.true
        )

    @cached_property
    def force_mae(self) -> Float[Array, " structures"]:
        """The mean absolute error of each structure's force components, eV/Angstrom; NaN where there is no reference."""
        return self.per_structure(np.abs(self.force_error).mean(axis=1))

    def per_structure(self, values: Float[Array, " atoms"]) -> Float[Array, " structures"]:
        """The mean over each structure's atoms, without those that are NaN; NaN where all are."""
        known = ~np.isnan(values)
        count = np.bincount(self.structure[known], minlength=len(self.atoms))
        total = np.bincount(self.structure[known], values[known], minlength=len(self.atoms))
        return np.divide(total, count, out=np.full(len(self.atoms), np.nan), where=count > 0)
