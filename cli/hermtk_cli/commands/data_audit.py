"""`hermtk data audit`: what is wrong with data, or missing from them, before a model is trained on them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hermtk.errors import DataError
from hermtk_cli.options import (
    AsJson,
    Cutoff,
    EnergyUnit,
    Format,
    LengthUnit,
    StressUnit,
    open_data,
)

if TYPE_CHECKING:
    from hermtk.audit.run import Report
    from hermtk.data.structure import Structure

_STYLES = {"error": "bold red", "warning": "yellow", "note": "cyan"}
# a longer table of coverage goes on in --json
_MOST_ROWS = 15


def run(
    train: Annotated[
        Path, typer.Argument(metavar="TRAIN", help="Structures to train on: a file, a folder or a store.")
    ],
    validation: Annotated[
        Path | None, typer.Option(help="Structures that decide which weights are kept.")
    ] = None,
    test: Annotated[Path | None, typer.Option(help="Structures to test on.")] = None,
    format: Format = None,
    energy_unit: EnergyUnit = None,
    length_unit: LengthUnit = None,
    stress_unit: StressUnit = None,
    cutoff: Cutoff = 5.0,
    variant: Annotated[
        str, typer.Option(help="Whose relations must be covered: homogeneous, hvnet, hpnet or htnet.")
    ] = "hvnet",
    strict: Annotated[bool, typer.Option("--strict", help="Exit status 1 when there are errors.")] = False,
    as_json: AsJson = False,
) -> None:
    """Look for what a model would learn wrongly: units, signs, outliers, collisions, duplicates, starving relations."""
    from hermtk.audit.run import audit
    from hermtk_cli.output import print_json, progress

    paths = {"train": train, "validation": validation, "test": test}
    invalid: dict[str, list[str]] = {}
    sets = {}
    for name, path in paths.items():
        if path is not None:
            said = invalid.setdefault(name, [])

            def faulty(_: "Structure", problem: DataError, said: list[str] = said) -> None:
                said.append(str(problem))

            sets[name] = open_data(path, format, energy_unit, length_unit, stress_unit, faulty)
    with progress("looking at structures", sum(map(len, sets.values()))) as advance:
        report = audit(sets, cutoff, variant, advance, invalid)
    if as_json:
        given = {name: str(path) for name, path in paths.items() if path is not None}
        print_json({"data": given, **report.summary()})
    else:
        _print(report)
    if strict and report.errors:
        raise typer.Exit(1)


def _print(report: "Report") -> None:
    from rich.text import Text

    from hermtk_cli.output import stdout

    console = stdout()
    for finding in report.findings:
        style = _STYLES[finding.severity]
        console.print(Text.assemble((finding.severity, style), " ", (finding.name, "bold")))
        console.print(Text(finding.summary), soft_wrap=not console.is_terminal)
        if finding.structures:
            console.print(Text(f"  {', '.join(finding.structures[:3])}", style="dim"), soft_wrap=True)
    counts = [sum(f.severity == severity for f in report.findings) for severity in _STYLES]
    if not report.findings:
        console.print("nothing found")
    for title, kind in (("elements", "elements"), ("pairs", "pairs"), ("triads", "triads")):
        console.print(_table(report, title, kind))
    console.print(f"{counts[0]} errors, {counts[1]} warnings, {counts[2]} notes")


def _table(report: "Report", title: str, kind: str):
    """How often each occurs in each set and in how many structures, the rarest in training first."""
    from rich import box
    from rich.table import Table

    counted = {name: coverage.facts()[kind] for name, coverage in report.coverage.items()}
    first = next(iter(counted.values()))
    every = sorted(
        {key for counts in counted.values() for key in counts}, key=lambda key: first.get(key, [0])[0]
    )
    table = Table(
        box=box.SIMPLE_HEAD,
        title=_TITLES[kind].format(report.cutoff),
        title_justify="left",
        title_style="bold",
    )
    table.add_column(title)
    for name in counted:
        table.add_column(name, justify="right")
        table.add_column("structures", justify="right", style="dim")
    for key in every[:_MOST_ROWS]:
        cells = [counts.get(key, [0, 0]) for counts in counted.values()]
        table.add_row(key, *(f"{value:,}" for both in cells for value in both))
    if len(every) > _MOST_ROWS:
        table.caption = f"and {len(every) - _MOST_ROWS} more that occur more often: see --json"
        table.caption_justify = "left"
    return table


_TITLES = {
    "elements": "atoms of each element",
    "pairs": "edges within {:g} Å, neighbor-center",
    "triads": "angles within {:g} Å, neighbor-center-neighbor",
}
