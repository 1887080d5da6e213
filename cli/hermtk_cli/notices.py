"""What the library says beside its results, warnings and log records, as lines on standard error."""

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from hermtk_cli.failures import traceback_wanted

_LIBRARY = "hermtk"


@contextmanager
def notices() -> Iterator[None]:
    """While it lasts, a warning is one line without file and line of the code, and so is what the library logs.

    With ``HERMTK_TRACEBACK`` warnings say where they come from.
    """
    logger, handler = logging.getLogger(_LIBRARY), _Lines(logging.INFO)
    level = logger.level
    with warnings.catch_warnings():
        shown = warnings.showwarning

        def show(message, category, filename, lineno, file=None, line=None) -> None:
            if traceback_wanted():
                shown(message, category, filename, lineno, file, line)
            else:
                _write("warning: ", str(message))

        warnings.showwarning = show
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        try:
            yield
        finally:
            logger.removeHandler(handler)
            logger.setLevel(level)


class _Lines(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        _write("", record.getMessage())


def _write(label: str, text: str) -> None:
    from rich.text import Text

    from hermtk_cli.output import stderr

    console = stderr()
    with console.capture() as line:
        console.print(Text.assemble((label, "yellow"), " ".join(text.split())), soft_wrap=True)
    # not by the console: a progress bar that is on the screen puts itself below what is written here
    sys.stderr.write(line.get())
