"""The commands: listed without being imported, so that help is quick, and imported when one is run."""

import importlib
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from hermtk.errors import HermtkError, UnknownName
from hermtk_cli.failures import INTERRUPTED

# name of the file in commands/ -> the line in the list of commands
COMMANDS: dict[str, str] = {
    "train": "Train a model",
    "evaluate": "Measure a model's errors on labelled structures",
    "predict": "Label structures with a model's energies, forces and stresses",
    "list": "List what can be named in a config, and where it comes from",
    "show": "Show the options of a component, or what a model file holds",
    "init": "Write a commented config with every option",
    "validate": "Check a config and its data without training",
    "benchmark": "Measure time and peak memory of models",
}
PLUGINS = "hermtk.commands"


class Commands(TyperGroup):
    """Our commands and those of plugins."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Ours in the order of their use, then plugins'."""
        return [*COMMANDS, *plugins()]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """What the list of commands needs of one: its name and a line."""
        if cmd_name in COMMANDS:
            return TyperCommand(cmd_name, help=COMMANDS[cmd_name])
        point = plugins().get(cmd_name)
        return TyperCommand(cmd_name, help=f"From {origin(point)}") if point else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command itself, imported now: of the first two words if a plugin's is called so, else of the first."""
        words = 2 if " ".join(args[:2]) in plugins() else 1
        name = " ".join(args[:words])
        if name in self.list_commands(ctx):
            return name, load(name), args[words:]
        if not ctx.resilient_parsing:
            ctx.fail(str(UnknownName("command", name, self.list_commands(ctx))))
        return None, None, args[1:]

    def invoke(self, ctx: Any) -> Any:
        """Run a command; an interrupt ends it with one line."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            from hermtk_cli.output import note

            note("interrupted")
            raise typer.Exit(INTERRUPTED) from None


def plugins() -> dict[str, EntryPoint]:
    """Commands of installed packages by name, ``a b`` for an entry point ``a.b``; none takes a name of ours."""
    points = {point.name.replace(".", " "): point for point in entry_points(group=PLUGINS)}
    return {name: point for name, point in points.items() if name not in COMMANDS}


def origin(point: EntryPoint) -> str:
    """Name and version of the distribution of an entry point."""
    return f"{point.dist.name} {point.dist.version}" if point.dist else "an unknown package"


def load(name: str) -> Any:
    """The command of a name.

    Raises:
        HermtkError: a plugin's command that cannot be imported, or is no function.
    """
    function = _ours(name) if name in COMMANDS else _plugin(plugins()[name])
    app = typer.Typer(add_completion=False)
    app.command(name)(function)
    return typer.main.get_command(app)


def _ours(name: str) -> Any:
    return importlib.import_module(f"hermtk_cli.commands.{name}").run


def _plugin(point: EntryPoint) -> Any:
    try:
        found = point.load()
    except Exception as cause:
        raise HermtkError(
            f"the command {point.name!r} of {origin(point)} could not be loaded: {cause!r}"
        ) from cause
    function = getattr(found, "run", None) if isinstance(found, ModuleType) else found
    if not callable(function):
        raise HermtkError(f"{point.value} ({origin(point)}) is neither a function nor a module with `run`")
    return function
