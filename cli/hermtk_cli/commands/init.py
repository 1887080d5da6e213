"""`hermtk init`: a config file to start from."""

from pathlib import Path
from typing import Annotated

import typer

from hermtk.errors import RunError


def run(
    path: Annotated[Path, typer.Argument(metavar="[PATH]", help="File to write.")] = Path("hermtk.yaml"),
    preset: Annotated[
        str | None, typer.Option(metavar="NAME", help="Fill in a recipe: see `hermtk list preset`.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
) -> None:
    """Write a commented config with every key, its default and what it means."""
    from hermtk.files import write_text
    from hermtk.training.config import RunConfig
    from hermtk.training.presets import find_preset
    from hermtk_cli.output import note
    from hermtk_cli.template import template

    values = find_preset(preset).values if preset else {}
    if path.is_dir():
        raise RunError(f"{path} is a folder; give the name of the file to write")
    if path.exists() and not force:
        raise RunError(f"{path} exists: choose another file, or replace it with --force")
    write_text(path, template(RunConfig, values))
    note(f"wrote {path}. Next: hermtk validate {path}; hermtk train {path}")
