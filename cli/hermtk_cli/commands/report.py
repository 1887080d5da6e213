"""`hermtk report`: the report of a run, made again at any time, also of a run that is not finished or on other structures."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from hermtk.errors import RunError
from hermtk_cli.options import (
    AsJson,
    BatchSize,
    Device,
    EnergyUnit,
    Format,
    LengthUnit,
    StressUnit,
    open_model,
    read_data,
)

if TYPE_CHECKING:
    from hermtk.data.structure import Structure
    from hermtk.evaluation.report.record import RunRecord


def run(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run, finished or not.")],
    data: Annotated[
        Path | None,
        typer.Option(help="Other labelled structures to test on; those that the run kept for it if absent."),
    ] = None,
    format: Format = None,
    energy_unit: EnergyUnit = None,
    length_unit: LengthUnit = None,
    stress_unit: StressUnit = None,
    batch_size: BatchSize = 64,
    device: Device = "cpu",
    as_json: AsJson = False,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the report; if absent `report` in the run, with --data `report-DATA`, with --json none."
        ),
    ] = None,
) -> None:
    """Make the report of a run again: errors in words, tables and pictures, as a page that needs nothing else."""
    from hermtk.evaluation.evaluate import check_elements
    from hermtk.evaluation.report.numbers import make_report
    from hermtk.evaluation.report.predicted import Predicted
    from hermtk.evaluation.report.record import read_run
    from hermtk.evaluation.report.write import values_of, write_report
    from hermtk_cli.evaluation import check_labels, evaluate_file, with_targets
    from hermtk_cli.output import note, print_json, progress, stdout
    from hermtk_cli.tables import error_table

    record = read_run(folder)
    if not (folder / "model.pt").is_file():
        raise RunError(
            f"{folder} holds no model yet: the run was stopped before its first validation was kept"
        )
    _, file = open_model(folder, device)
    if data is None:
        chosen = _own(record)
    else:
        found = read_data(data, format, energy_unit, length_unit, stress_unit)
        chosen = _Chosen(str(data), with_targets(found, file.target, energy_unit))
    structures = chosen.structures
    check_labels(structures, Path(chosen.name), file.target)
    check_elements(file.model, structures)
    with progress("evaluating", len(structures)) as advance:
        evaluation = evaluate_file(file, structures, batch_size, False, advance)
    tested = Predicted(chosen.name, structures, evaluation, file.model)
    kept = file.facts.get("training", {}).get("step")
    with progress("looking at structures", len(structures)) as advance:
        report = make_report(record, tested, kept, changed=chosen.changed, on_structure=advance)
    place = out or (None if as_json else folder / ("report" if data is None else f"report-{data.stem}"))
    if place is not None:
        page = write_report(record, report, tested, place)
        note(f"wrote {page}")
    if as_json:
        print_json(values_of(report))
        return
    console = stdout()
    console.print(error_table(report.errors, f"{chosen.name}, {report.structures} structures"))
    for verdict in values_of(report)["verdict"]:
        console.print(f"- {verdict['text']}", markup=False)


class _Chosen(NamedTuple):
    """Structures to test on, and which files are no longer what the run was trained on."""

    name: str
    structures: "Sequence[Structure]"
    changed: tuple[str, ...] = ()


def _own(record: "RunRecord") -> _Chosen:
    """What the run kept for its test; its validation structures where it kept none."""
    from hermtk.training.data.sets import read_split

    split, digests = read_split(record.config.data)[:2]
    known = record.facts.get("data", {}).get("sha256", {})
    changed = tuple(name for name, digest in digests.items() if known.get(name, digest) != digest)
    return (
        _Chosen("test", split.test, changed)
        if split.test
        else _Chosen("validation", split.validation, changed)
    )
