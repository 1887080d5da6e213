"""From what can go wrong to a paragraph and an exit status, without a traceback unless one is wanted."""

import os
import platform
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path

from hermtk import __version__
from hermtk.errors import HermtkError

FAILED, MISUSED, BUG, INTERRUPTED = 1, 2, 70, 130


def explain(problem: Exception, arguments: Sequence[str]) -> int:
    """Say what happened on standard error; returns the exit status."""
    from hermtk_cli.output import fail

    wanted = traceback_wanted()
    if wanted:
        traceback.print_exception(problem)
    if isinstance(problem, HermtkError):
        fail(str(problem))
        return FAILED
    if isinstance(problem, OSError) and problem.strerror:
        fail(f"{problem.filename}: {problem.strerror}" if problem.filename else problem.strerror)
        return FAILED
    if isinstance(problem, MemoryError) or type(problem).__name__ == "OutOfMemoryError":
        smaller = "smaller batches need less (--batch-size, or --set training.batch_size)"
        fail(f"there is not enough memory ({_first_line(problem)}): {smaller}")
        return FAILED
    where = (
        "" if wanted else f" The traceback is in {_kept(problem, arguments)}: please send it with a report."
    )
    fail(f"this is a bug in hermtk: {type(problem).__name__}: {_first_line(problem)}.{where}")
    return BUG


def traceback_wanted() -> bool:
    """Whether the user asked where in the code something happens."""
    return os.environ.get("HERMTK_TRACEBACK", "") not in ("", "0")


def hush() -> None:
    """Whoever read our output has gone: let what is still to be written go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())


def _first_line(problem: Exception) -> str:
    return (str(problem).splitlines() or [""])[0].rstrip(".")


def _kept(problem: Exception, arguments: Sequence[str]) -> Path | str:
    """Write the traceback to a file of its own."""
    head = f"hermtk {__version__}, python {platform.python_version()}, {platform.platform()}\n"
    text = "".join([head, "hermtk ", " ".join(arguments), "\n\n", *traceback.format_exception(problem)])
    try:
        handle, name = tempfile.mkstemp(prefix="hermtk-traceback-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError:
        return "no file, none could be written; set HERMTK_TRACEBACK=1 to see it"
    return Path(name)
