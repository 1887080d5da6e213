"""`hermtk evaluate`: the errors of a model on labelled structures, as a table, as JSON and as a picture."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hermtk.errors import RunError
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
    read_data,
)

if TYPE_CHECKING:
    from hermtk.evaluation.comparison import Evaluation
    from hermtk.evaluation.properties import PropertyEvaluation


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
    from hermtk.evaluation.evaluate import check_elements
    from hermtk_cli.evaluation import check_labels, evaluate_file, with_targets
    from hermtk_cli.output import note, print_json, progress, stdout
    from hermtk_cli.tables import error_table, missing_labels

    path, file = open_model(model, device)
    folder = out if out or as_json else path.parent / f"evaluation-{data.stem}"
    _check_folder(folder)
    read = read_data(data, format, energy_unit, length_unit, stress_unit)
    structures = with_targets(read, file.target, energy_unit)
    check_labels(structures, data, file.target)
    check_elements(file.model, structures)
    with progress("evaluating", len(structures)) as advance:
        evaluation = evaluate_file(file, structures, batch_size, compile, advance)
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


def _write(folder: Path, evaluation: "Evaluation | PropertyEvaluation", results: dict[str, Any]) -> None:
    from hermtk.evaluation.plots import parity
    from hermtk.files import make_folder, write_text

    make_folder(folder)
    parity(evaluation, folder / "parity.png")
    write_text(folder / "results.json", json.dumps(results, indent=1, allow_nan=False) + "\n")
