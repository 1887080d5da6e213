"""A model held against labelled structures, for every command that does so."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hermtk.errors import DataError
from hermtk_cli.options import predictor, refuse_compile

if TYPE_CHECKING:
    from hermtk.data.structure import Structure
    from hermtk.data.targets import Target
    from hermtk.evaluation.comparison import Evaluation
    from hermtk.evaluation.properties import PropertyEvaluation
    from hermtk.models.files import ModelFile


def with_targets(
    structures: "Sequence[Structure]", target: "Target", energy_unit: str | None
) -> "list[Structure]":
    """The structures with what a model gives in the place of the energy; numbers in eV are converted from the data's unit."""
    from hermtk.data.targets import with_target
    from hermtk.units import Units

    factor = Units(energy_unit).energy_factor if energy_unit and target.unit == "eV" else 1.0
    return [with_target(structure, target, factor) for structure in structures]


def evaluate_file(
    file: "ModelFile",
    structures: "Sequence[Structure]",
    batch_size: int,
    compile: bool,
    advance: Callable[[int], None],
) -> "Evaluation | PropertyEvaluation":
    """What a model says of structures beside their labels; ``advance`` is told how many are done.

    Raises:
        ConfigError: a property is to be compiled.
        UnknownElement, HermtkError: as ``evaluate``.
    """
    from hermtk.evaluation.evaluate import evaluate
    from hermtk.evaluation.properties import evaluate_property
    from hermtk.models.property import Property

    if isinstance(file.model, Property):
        refuse_compile(compile, file.target)
        return evaluate_property(file.model, structures, batch_size=batch_size, on_batch=advance)
    return evaluate(
        file.potential,
        structures,
        batch_size=batch_size,
        on_batch=advance,
        predictor=predictor(file.potential, compile),
    )


def check_labels(structures: "Sequence[Structure]", data: Path, target: "Target") -> None:
    """Refuse structures without anything that the model could be held against.

    Raises:
        DataError: says what they have instead.
    """
    from hermtk.data.targets import ENERGY, numbers_of

    if target != ENERGY:
        if all(s.energy is None for s in structures):
            numbers = ", ".join(sorted({name for s in structures for name in numbers_of(s)}))
            raise DataError(
                f"{data} has no {target.written} to compare with, it has {numbers or 'no numbers'}; "
                "`hermtk predict` labels such structures"
            )
        return
    if all(s.energy is None and s.forces is None and s.stress is None for s in structures):
        raise DataError(
            f"{data} has no energies, forces or stresses to compare with; `hermtk predict` labels such structures"
        )
