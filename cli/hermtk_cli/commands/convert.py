"""`hermtk convert`: a data set in another format."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hermtk_cli.options import AsJson, EnergyUnit, Force, LengthUnit, StressUnit, declared_units

if TYPE_CHECKING:
    from hermtk.data.convert import Converted


def run(
    source: Annotated[Path, typer.Argument(metavar="IN", help="Structures: a file or a folder.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="File or folder to write.")],
    format_in: Annotated[
        str | None,
        typer.Option("--format-in", help="Format of IN (see `hermtk list format`); recognised if absent."),
    ] = None,
    format_out: Annotated[
        str | None, typer.Option("--format-out", help="Format of OUT; its suffix says it if absent.")
    ] = None,
    energy_unit: EnergyUnit = None,
    length_unit: LengthUnit = None,
    stress_unit: StressUnit = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Write structures with their labels in another format.

    OUT is in eV and Angstrom. It is read back before it takes its place, and is there whole or not at all.
    """
    from hermtk.data.convert import convert
    from hermtk.data.sources import data_path
    from hermtk_cli.output import note, print_json, progress

    done = convert(
        data_path(source),
        target,
        format_in=format_in,
        format_out=format_out,
        units=declared_units(energy_unit, length_unit, stress_unit),
        force=force,
        progress=progress,
    )
    if as_json:
        print_json(_facts(target, done))
        return
    note(f"wrote {target}: {_summary(done)}")
    if done.dropped:
        lost = ", ".join(f"{name} ({count})" for name, count in done.dropped.items())
        note(f"this format cannot hold, and {target} is without: {lost}")


def _summary(done: "Converted") -> str:
    from hermtk.data.elements import symbols

    count = done.written.structures
    labels = [
        f"{name} of {'all' if done.written.labels[name] == count else f'{done.written.labels[name]:,}'}"
        for name in ("energy", "forces", "stress")
        if done.written.labels[name]
    ]
    elements = ", ".join(symbols(sorted(done.written.elements)))
    plural = "" if count == 1 else "s"
    return f"{count:,} structure{plural} of {elements}; {', '.join(labels) or 'no labels'}"


def _facts(target: Path, done: "Converted") -> dict[str, Any]:
    from hermtk.data.elements import symbols

    written = done.written
    numbers = sorted(written.elements)
    return {
        "file": str(target),
        "structures": written.structures,
        "atoms": written.elements.total(),
        "elements": dict(zip(symbols(numbers), (written.elements[n] for n in numbers), strict=True)),
        "labels": {name: written.labels[name] for name in ("energy", "forces", "stress")},
        "info": dict(sorted(written.info.items())),
        "dropped": done.dropped,
    }
