"""The structures that a model is worst at, and a file of them."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from hermtk.data.dataset import write_structures
from hermtk.data.targets import having_predicted
from hermtk.evaluation.comparison import Evaluation
from hermtk.evaluation.report.groups import formula_of
from hermtk.evaluation.report.predicted import Predicted

Array = np.ndarray

MOST = 10


@dataclass(frozen=True)
class Worst:
    """One of the worst structures; None where it has no label.

    Attributes:
        index: its place in the set, from 0.
        source: where it comes from.
        formula, atoms: what it is; the formula of a periodic structure is reduced.
        value_error: predicted minus true energy per atom, eV, or target.
        value: the true target; of energies None.
        forces_mae, forces_rmse: of its force components, eV/Angstrom.
        force_error: the length of the largest error vector, eV/Angstrom.
        atom: where that is, from 0.
        largest_force: the length of the largest reference force, eV/Angstrom.
    """

    index: int
    source: str
    formula: str
    atoms: int
    value_error: float | None
    value: float | None
    forces_mae: float | None
    forces_rmse: float | None
    force_error: float | None
    atom: int | None
    largest_force: float | None


def worst_of(tested: Predicted) -> tuple[Worst, ...]:
    """The structures with the largest root mean square force errors, or of no forces the largest errors; the worst first."""
    score = _score(tested)
    order = np.argsort(-np.nan_to_num(score, nan=-1.0), kind="stable")
    return tuple(_worst(tested, int(place)) for place in order[:MOST] if not np.isnan(score[place]))


def write_worst(tested: Predicted, worst: tuple[Worst, ...], path: Path) -> None:
    """The worst structures in their order with their labels; what the model says goes beside as ``predicted_...``.

    Of a potential these are ``predicted_energy`` and ``predicted_forces``, of a property ``predicted_`` and its name.

    Raises:
        RunError: the file cannot be written.
        DataError: there are none.
    """
    first = np.cumsum([0, *tested.atoms])
    e = tested.evaluation
    structures = []
    for one in worst:
        k, structure = one.index, tested.structures[one.index]
        if isinstance(e, Evaluation):
            predicted = {
                "predicted_energy": float(e.energy.predicted[k]),
                "predicted_forces": e.forces.predicted[first[k] : first[k + 1]],
            }
        else:
            if structure.energy is not None:
                # the target stood in the place of the energy
                structure = having_predicted(structure, e.target, structure.energy)
            structure = replace(structure, energy=None)
            predicted = {f"predicted_{e.target.name}": float(e.values.predicted[k])}
        structures.append(
            replace(structure, info={"source": structure.source, **structure.info, **predicted})
        )
    write_structures(path, structures, format="extxyz")


def _score(tested: Predicted) -> Float[Array, " structures"]:
    if tested.forces is not None:
        return np.sqrt(tested.per_structure(np.square(tested.force_error).mean(axis=1)))
    return np.abs(tested.value.predicted - tested.value.true)


def _worst(tested: Predicted, index: int) -> Worst:
    structure = tested.structures[index]
    rows = tested.structure == index
    value = tested.value.true[index]
    error = tested.value.predicted[index] - value
    mae = rmse = force_error = atom = largest = None
    lengths = np.linalg.norm(tested.force_error[rows], axis=1)
    if tested.forces is not None and not np.isnan(lengths).all():
        components = tested.force_error[rows][~np.isnan(tested.force_error[rows])]
        mae, rmse = float(np.abs(components).mean()), float(np.sqrt(np.square(components).mean()))
        force_error, atom = float(np.nanmax(lengths)), int(np.nanargmax(lengths))
        largest = float(np.nanmax(np.linalg.norm(tested.forces.true[rows], axis=1)))
    known = not np.isnan(error)
    return Worst(
        index,
        structure.source,
        formula_of(structure),
        len(structure),
        float(error) if known else None,
        float(value) if known and not isinstance(tested.evaluation, Evaluation) else None,
        mae,
        rmse,
        force_error,
        atom,
        largest,
    )
