"""`hermtk evaluate`: the errors of a model on labelled structures, as a table, as JSON and as a picture."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hermtk.errors import DataError, RunError
from hermtk_cli.options import (
    AsJson,
    BatchSize,
    Compile,
    Device,
    EnergyUnit,
    Format,
    LengthUnit,
    Model,
    StressUnit,
    note_rarely_seen,
    open_model,
    predictor,
    read_data,
    refuse_compile,
)

if TYPE_CHECKING:
    from hermtk.data.structure import Structure
    from hermtk.data.targets import Target
    from hermtk.evaluation.comparison import Evaluation
    from hermtk.evaluation.properties import PropertyEvaluation
    from hermtk.models.files import ModelFile


def run(
    model: Model,
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA", help="Labelled structures; `builtin` for the embedded set, `qm9` for qm9pack's."
        ),
    ],
    format: Format = None,
    energy_unit: EnergyUnit = None,
    length_unit: LengthUnit = None,
    stress_unit: StressUnit = None,
    batch_size: BatchSize = 64,
    device: Device = "cpu",
    compile: Compile = False,
    as_json: AsJson = False,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for parity.png and results.json; if absent `evaluation-DATA` beside the model, with --json none."
        ),
    ] = None,
) -> None:
    """Measure a model's errors on labelled structures: energy, forces, stress, and the forces on each element."""
    from hermtk.data.targets import ENERGY, with_target
    from hermtk.evaluation.evaluate import check_elements
    from hermtk.units import Units
    from hermtk_cli.output import note, print_json, progress, stdout
    from hermtk_cli.tables import error_table, missing_labels

    path, file = open_model(model, device)
    folder = out if out or as_json else path.parent / f"evaluation-{data.stem}"
    _check_folder(folder)
    structures = read_data(data, format, energy_unit, length_unit, stress_unit)
    if file.target != ENERGY:
        factor = Units(energy_unit).energy_factor if energy_unit and file.target.unit == "eV" else 1.0
        structures = [with_target(s, file.target, factor) for s in structures]
    _check_labels(structures, data, file.target)
    check_elements(file.model, structures)
    with progress("evaluating", len(structures)) as advance:
        evaluation = _evaluate(file, structures, batch_size, compile, advance)
    results = {"model": str(path), "data": str(data), **evaluation.summary()}
    if rare := note_rarely_seen(file, structures):
        results["rarely_seen"] = rare
    if folder is not None:
        _write(folder, evaluation, results)
    if as_json:
        print_json(results)
        return
    console = stdout()
    console.print(f"{path} on {data}: {len(structures)} structures", soft_wrap=True)
    console.print(error_table(results))
    if text := missing_labels(results):
        console.print(text)
    if "target" in results:
        console.print(f"The largest error is in {results['target']['worst']}.", soft_wrap=True)
    elif results["forces"]["worst"]:
        console.print(f"The largest force error is in {results['forces']['worst']}.", soft_wrap=True)
    note(f"wrote {folder}/parity.png and {folder}/results.json")


def _check_folder(folder: Path | None) -> None:
    """Refuse a place that cannot be written, before the work rather than after it."""
    if folder is None:
        return
    if folder.exists() and not folder.is_dir():
        raise RunError(f"{folder} is a file; --out names a folder")
    above = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not os.access(above, os.W_OK):
        raise RunError(
            f"{folder} cannot be written: no permission in {above}; choose another place with --out"
        )


def _evaluate(
    file: "ModelFile",
    structures: "list[Structure]",
    batch_size: int,
    compile: bool,
    advance: Callable[[int], None],
) -> "Evaluation | PropertyEvaluation":
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


def _check_labels(structures: "list[Structure]", data: Path, target: "Target") -> None:
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


def _write(folder: Path, evaluation: "Evaluation | PropertyEvaluation", results: dict[str, Any]) -> None:
    from hermtk.evaluation.plots import parity
    from hermtk.files import write_text

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise RunError(f"the folder {folder} could not be made: {problem.strerror}") from None
    parity(evaluation, folder / "parity.png")
    write_text(folder / "results.json", json.dumps(results, indent=1, allow_nan=False) + "\n")
