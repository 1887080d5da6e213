"""Where commands write: results to standard output, everything else to standard error."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.text import Text

# of a table that goes into a file or a pipe
_WIDTH = 110


def stdout() -> Console:
    """The console of results."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_WIDTH)


def stderr() -> Console:
    """The console of progress, notes and errors."""
    return Console(stderr=True, highlight=False)


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    stdout().print_json(json.dumps(value, allow_nan=False))


def note(text: str) -> None:
    """A line about what was done, for the eye only."""
    stderr().print(Text(text), soft_wrap=True)


def fail(text: str) -> None:
    """The paragraph of an error."""
    console = stderr()
    console.print(Text.assemble(("error: ", "bold red"), text), soft_wrap=not console.is_terminal)


@contextmanager
def progress(task: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """A bar that vanishes when the work is done; the function given moves it on. No bar where nobody watches.

    ``total`` may not be known.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = stderr()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        number = bar.add_task(task, total=total)

        def advance(done: int) -> None:
            bar.advance(number, done)

        yield advance
