"""`hermtk list`: what can be named in a config."""

from dataclasses import asdict
from typing import Annotated

import typer

from hermtk.errors import UnknownName
from hermtk_cli.options import AsJson


def run(
    kind: Annotated[
        str | None,
        typer.Argument(
            metavar="[KIND]", help="subnet, relation, readout, format, variant or command; all if absent."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List what can be named in a config and the commands of plugins, and which package each comes from."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from hermtk_cli.describe import LISTED, components
    from hermtk_cli.output import note, print_json, stdout

    wanted = LISTED if kind is None else (_known_kind(kind, LISTED),)
    found = components(wanted)
    if as_json:
        print_json([asdict(component) for component in found])
        return
    table = Table(box=box.SIMPLE_HEAD)
    for title in ("kind", "name", "", "from"):
        table.add_column(title, no_wrap=title != "", overflow="fold")
    for c in found:
        summary = Text("disabled", style="red") if c.problem else Text(c.summary)
        table.add_row(c.kind, Text(c.name, style="bold"), summary, f"{c.distribution} {c.version}")
    stdout().print(table)
    for c in found:
        if c.problem:
            note(c.problem)


def _known_kind(kind: str, known: tuple[str, ...]) -> str:
    """The kind of a name, which may be in the plural."""
    singular = kind.removesuffix("s")
    if singular not in known:
        raise UnknownName("kind of component", kind, known)
    return singular
