"""Checkpoints: everything that decides the rest of a run, written at once or not at all; the one before is kept too."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import torch
from torch import Tensor

from hermtk.errors import HermtkError, RunError
from hermtk.files import write_tensors
from hermtk.plugins import Need, check_needs

FORMAT = 2


@dataclass
class Progress:
    """How far a run has come.

    Attributes:
        epoch, batch: the next batch to train on.
        step: optimiser steps done.
        sums: sums of this epoch's training errors so far.
        best: lowest validation score.
        best_step: when.
        stale: validations since.
        seconds: time spent training, over all sessions.
        cpu_seconds: of the processor, likewise; of this process.
        peak_bytes: the most resident memory of this process, over all sessions.
        weights: the best averaged weights.
        rows: of metrics.csv.
        finished: why the run is over; empty while it is not.
        limit: most atoms and edges of a piece of a batch, since memory ran out; None while it has not.
        watch: what ``Watch`` remembers of the losses.
        events: what happened: ``step`` and ``text`` of each.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    best: float = float("inf")
    best_step: int = 0
    stale: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_bytes: int = 0
    rows: int = 0
    weights: list[Tensor] | None = None
    finished: str = ""
    limit: int | None = None
    watch: dict[str, Any] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file holds."""

    path: Path
    content: Mapping[str, Any]

    @property
    def progress(self) -> Progress:
        """How far the run had come."""
        return Progress(**self.content["progress"])

    def restore(self, parts: dict[str, Any]) -> Progress:
        """Put every part back where the checkpoint was taken.

        Raises:
            RunError: it does not fit.
        """
        try:
            for name, part in parts.items():
                part.load_state_dict(self.content["parts"][name])
            torch.set_rng_state(self.content["rng"])
            return self.progress
        except (RuntimeError, KeyError, ValueError, TypeError) as problem:
            raise RunError(f"{self.path} does not fit this run: {_first_line(problem)}") from None


def previous(path: Path) -> Path:
    """Where the checkpoint before the one at ``path`` is kept."""
    return path.with_name(f"{path.stem}.previous{path.suffix}")


def save_checkpoint(
    path: Path, parts: dict[str, Any], progress: Progress, needed: Sequence[Need] = ()
) -> None:
    """Write the states of ``parts`` (things with ``state_dict``), the progress, and what the model comes from.

    Raises:
        RunError: the file cannot be written.
    """
    content = {
        "format": FORMAT,
        "parts": {name: part.state_dict() for name, part in parts.items()},
        "progress": vars(progress),
        "rng": torch.get_rng_state(),
        "needs": list(needed),
    }
    _keep_previous(path)
    write_tensors(path, content)


def open_checkpoint(path: Path, note: Callable[[str], None]) -> Checkpoint:
    """Read the last checkpoint, or the one before where the last is damaged, and look for the plugins that it needs.

    Args:
        path: of the last one.
        note: told in one line if it is not the last one.

    Raises:
        RunError: there is none, all are damaged, or a plugin is missing, disabled or broken; says what to do.

    Warns:
        PluginChanged: a plugin is not the one that wrote the checkpoint.
    """
    files = [place for place in (path, previous(path)) if place.is_file()]
    if not files:
        raise RunError(
            f"there is no checkpoint {path}: the run was stopped before its first one; start it again"
        )
    problems = []
    for place in files:
        try:
            content = _read(place)
        # whatever a damaged file makes torch stumble over
        except Exception as problem:
            problems.append(f"{place} cannot be resumed from: {_first_line(problem)}")
            continue
        if content["format"] > FORMAT:
            raise RunError(
                f"{place} has format {content['format']}, this version reads {FORMAT}: upgrade hermtk"
            )
        if content["format"] < FORMAT:
            raise RunError(
                f"{place} has format {content['format']}, of an older version with another optimiser: go on with it "
                f"there. To use what it learned, begin from its model: --start {path.with_name('model.pt')}"
            )
        try:
            check_needs(place, content["needs"])
        except HermtkError as problem:
            raise RunError(str(problem)) from None
        if place != path:
            why = f"{path.name} is damaged" if problems else f"there is no {path.name}"
            note(f"{why}; going on from {place.name}, the checkpoint before it")
        return Checkpoint(place, content)
    raise RunError(
        f"{'; '.join(problems)}. A full or failing disk or a copy that was cut does this: put a whole copy in its place, or "
        "begin again; model.pt beside it holds the best weights so far"
    )


def _read(path: Path) -> dict[str, Any]:
    # torch does not look at the checksums that it writes
    with ZipFile(path) as archive:
        if spoiled := archive.testzip():
            raise ValueError(f"the checksum of {spoiled} in it is wrong")
    content = torch.load(path, map_location="cpu", weights_only=True)
    missing = {"format", "parts", "progress", "rng", "needs"} - set(content)
    if missing:
        raise ValueError(f"there is no {sorted(missing)[0]} in it")
    return content


def _keep_previous(path: Path) -> None:
    """Give the last checkpoint a second name; at every moment there is one whole checkpoint at least."""
    if not path.is_file():
        return
    beside = path.with_name(f".{path.stem}.previous")
    try:
        beside.unlink(missing_ok=True)
        os.link(path, beside)
        os.replace(beside, previous(path))
    except OSError:
        # a file system without links: the new one may be the only one
        beside.unlink(missing_ok=True)


def _first_line(problem: Exception) -> str:
    return (str(problem).splitlines() or [type(problem).__name__])[0].rstrip(".")
