"""The commands: listed without being imported, so that help is quick, and imported when one is run."""

import importlib
from types import ModuleType
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from hermtk import registry
from hermtk.errors import HermtkError, UnknownName
from hermtk_cli.failures import INTERRUPTED

# name of the file in commands/, two words where it has an underscore -> the line in the list of commands
COMMANDS: dict[str, str] = {
    "train": "Train a model",
    "plan": "Say what runs will need: parameters, memory, time; and what speaks against them",
    "ablate": "Train variants and sub-networks with several seeds, and say with statistics which is better",
    "evaluate": "Measure a model's errors on labelled structures",
    "report": "Make the report of a run again, also while it is not finished or on other structures",
    "predict": "Label structures with a model's energies, forces and stresses",
    "data info": "Count, measure and draw what a set holds",
    "data audit": "Look for what is wrong or missing in data, before training on them",
    "data split": "Divide a set into training, validation and test",
    "data subset": "Take some structures of a set, at random or far from each other",
    "convert": "Write structures with their labels in another format",
    "list": "List what can be named in a config, and where it comes from",
    "show": "Show the options of a component, or what a model file holds",
    "init": "Write a commented config with every option",
    "validate": "Check a config and its data without training",
    "new": "Start a plugin: a package with a working subnet",
    "check": "Hold a subnet against every law of the conformance kit",
    "benchmark": "Measure time and peak memory of models",
}
# first word of several commands -> what they are for
FAMILIES: dict[str, str] = {"data": "Look at data, audit, divide and thin them, before training on them."}
PLUGINS = "hermtk.commands"


class Commands(TyperGroup):
    """Our commands and those of plugins."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Ours in the order of their use, then plugins'; none that is disabled."""
        return [*COMMANDS, *(name for name, entry in plugins().items() if not entry.problem)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """What the list of commands needs of one: its name and a line."""
        if cmd_name in COMMANDS:
            return TyperCommand(cmd_name, help=COMMANDS[cmd_name])
        entry = plugins().get(cmd_name)
        return TyperCommand(cmd_name, help=f"From {entry.distribution} {entry.version}") if entry else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command itself, imported now: of the first two words if one is called so, else of the first."""
        known = {*COMMANDS, *plugins()}
        words = 2 if " ".join(args[:2]) in known else 1
        name = " ".join(args[:words])
        if name in known:
            return name, load(name), args[words:]
        # `hermtk data` alone, or with options
        family = [entry for entry in self.list_commands(ctx) if entry.startswith(f"{args[0]} ")]
        if family and not (args[1:] and args[1][:1] != "-" and not ctx.resilient_parsing):
            return args[0], _family(family, self, ctx), args[1:]
        if not ctx.resilient_parsing:
            asked = " ".join(args[: 1 + bool(family)])
            ctx.fail(str(UnknownName("command", asked, family or self.list_commands(ctx))))
        return None, None, args[1:]

    def invoke(self, ctx: Any) -> Any:
        """Run a command; an interrupt ends it with one line."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            from hermtk_cli.output import note

            note("interrupted")
            raise typer.Exit(INTERRUPTED) from None


def offered() -> list[registry.Entry]:
    """Commands of installed packages, ``a b`` for an entry point ``a.b``, disabled ones too."""
    return registry.offered("command", PLUGINS, COMMANDS)


def plugins() -> dict[str, registry.Entry]:
    """The same by name, without those that take a name of ours."""
    return {entry.name: entry for entry in offered() if entry.name not in COMMANDS}


def load(name: str) -> Any:
    """The command of a name.

    Raises:
        HermtkError: a plugin's command that is disabled or broken.
    """
    if name in COMMANDS:
        return _command(name, importlib.import_module(f"hermtk_cli.commands.{module_name(name)}").run)
    return load_plugin(plugins()[name])


def module_name(command: str) -> str:
    """The file in commands/ of a command, without its suffix."""
    return command.replace(" ", "_")


def load_plugin(entry: registry.Entry) -> Any:
    """A plugin's command, imported now.

    Raises:
        HermtkError: it is disabled, cannot be imported, or is no function that typer understands.
    """
    found = entry.imported()
    run = getattr(found, "run", None) if isinstance(found, ModuleType) else found
    if not callable(run):
        raise HermtkError(
            f"{entry.title} cannot be used: {entry.target} is neither a function nor a module with `run`"
        )
    try:
        return _command(entry.name, run)
    except Exception as cause:
        raise HermtkError(f"{entry.title} cannot be used: {cause}") from cause


def _command(name: str, run: Any) -> Any:
    app = typer.Typer(add_completion=False)
    app.command(name)(run)
    return typer.main.get_command(app)


def _family(names: list[str], group: Commands, ctx: Any) -> Any:
    """What is shown where only the first word of some commands is given: their list."""
    head = names[0].partition(" ")[0]
    app = typer.Typer(
        add_completion=False,
        invoke_without_command=True,
        context_settings={"help_option_names": ["-h", "--help"]},
        help=FAMILIES.get(head, f"Commands that begin with `{head}`."),
    )

    @app.callback()
    def show(context: typer.Context) -> None:
        if context.invoked_subcommand is None:
            context.get_help()
            raise typer.Exit

    for name in names:
        app.command(name.partition(" ")[2], help=group.get_command(ctx, name).help)(lambda: None)
    return typer.main.get_command(app)
