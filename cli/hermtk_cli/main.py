"""The command `hermtk`."""

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from hermtk_cli.failures import FAILED, INTERRUPTED, MISUSED, explain, hush
from hermtk_cli.group import Commands
from hermtk_cli.notices import notices
from hermtk_cli.process import prepare_process

# BadParameter -> UsageError -> the base of what the parser of arguments raises, wherever typer keeps it
_MISUSE: type[Exception] = typer.BadParameter.__mro__[2]

app = typer.Typer(
    cls=Commands, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]}
)


@app.callback()
def hermtk(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
    traceback: Annotated[
        bool, typer.Option("--traceback", help="Show the traceback of an error (or set HERMTK_TRACEBACK=1).")
    ] = False,
) -> None:
    """Interatomic potentials whose parameters may depend on which elements interact."""
    if traceback:
        os.environ["HERMTK_TRACEBACK"] = "1"
    if version:
        from hermtk import __version__

        typer.echo(f"hermtk {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        context.get_help()
        raise typer.Exit


def main() -> int:
    """Run the command line; returns the exit status."""
    prepare_process()
    return run(sys.argv[1:])


def run(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit status: 0, or 1 for an error, 2 for a misuse, 130 for an interrupt, 70 for a bug."""
    command = typer.main.get_command(app)
    try:
        with notices():
            status = command.main(list(arguments), prog_name="hermtk", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        hush()
        return FAILED
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else FAILED
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except _MISUSE as misuse:
        return _usage(misuse)
    except Exception as problem:
        return explain(problem, arguments)
    return status if isinstance(status, int) else 0


def _usage(misuse: Exception) -> int:
    from hermtk_cli.output import fail

    context = getattr(misuse, "ctx", None)
    text = getattr(misuse, "format_message", misuse.__str__)()
    end = "" if text.endswith((".", "?")) else "."
    fail(f"{text}{end} Try `{context.command_path if context else 'hermtk'} --help`.")
    return MISUSED


if __name__ == "__main__":
    sys.exit(main())
