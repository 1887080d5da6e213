"""A command that runs in several processes: one of them speaks."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from hermtk.training.processes import Processes, SaidElsewhere, processes
from hermtk_cli.failures import FAILED


@contextmanager
def taking_part() -> Iterator[Processes]:
    """The processes of this run, alone or not; only the first shows warnings, and what one has said no other says again."""
    with processes() as us:
        if not us.first:
            warnings.simplefilter("ignore")
            logging.getLogger("hermtk").setLevel(logging.CRITICAL)
        try:
            yield us
        except SaidElsewhere:
            raise typer.Exit(FAILED) from None
