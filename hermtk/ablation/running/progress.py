"""How far a run has come, read from its folder while it goes."""

import csv
import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from hermtk.ablation.jobs import Job

_TAIL = 4096


@dataclass(frozen=True)
class Progress:
    """A run at its last validation.

    Attributes:
        step: optimiser steps; 0 before the first validation.
        total: of the whole run; None where epochs are given and none has been seen yet.
        errors: the row of metrics.csv by column, as ``Listener.validated`` of a training run is told it; empty before the first.
    """

    step: int = 0
    total: int | None = None
    errors: dict[str, float] = field(default_factory=dict)


def progress_of(job: Job) -> Progress:
    """How far a run has come; reads no more than the ends of metrics.csv."""
    training, row = job.config.training, _last_row(job.folder / "metrics.csv")
    step, epoch = int(row.get("step", 0)), row.get("epoch", 0)
    total = training.steps
    if total is None and training.epochs is not None and epoch:
        total = round(training.epochs * step / epoch)
    return Progress(step, total, row)


def _last_row(path: Path) -> dict[str, float]:
    """The numbers of the last line that is complete, by column."""
    with suppress(OSError, ValueError), path.open("rb") as file:
        columns = next(csv.reader([file.readline().decode()]))
        start = file.tell()
        file.seek(max(start, file.seek(0, os.SEEK_END) - _TAIL))
        # what follows the last end of a line is still being written
        lines = file.read().decode(errors="replace").split("\n")[:-1]
        values = next(csv.reader(lines[-1:]), [])
        if len(values) == len(columns):
            return {name: float(value) for name, value in zip(columns, values, strict=True) if value}
    return {}
