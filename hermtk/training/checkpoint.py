"""Checkpoints: everything that decides the rest of a run, written at once or not at all."""

import io
import pickle
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hermtk.errors import HermtkError, RunError
from hermtk.files import replacing
from hermtk.plugins import Need, check_needs

FORMAT = 1


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
        weights: the best averaged weights.
        finished: why the run is over; empty while it is not.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    best: float = float("inf")
    best_step: int = 0
    stale: int = 0
    seconds: float = 0.0
    rows: int = 0
    weights: list[Tensor] | None = None
    finished: str = ""


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
    buffer = io.BytesIO()
    torch.save(content, buffer)
    with replacing(path) as beside:
        beside.write_bytes(buffer.getbuffer())


def check_checkpoint(path: Path) -> None:
    """Hold the plugins that a checkpoint needs against those that are installed, if there is a checkpoint.

    Raises:
        RunError: one is missing, disabled or broken; says what to install.

    Warns:
        PluginChanged: one is not the one that wrote the checkpoint.
    """
    if not path.is_file():
        return
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        check_needs(path, content["needs"])
    # `load_checkpoint` says what is wrong
    except (pickle.UnpicklingError, RuntimeError, KeyError, ValueError, EOFError):
        return
    except HermtkError as problem:
        raise RunError(str(problem)) from None


def load_checkpoint(path: Path, parts: dict[str, Any]) -> Progress:
    """Put every part back where the checkpoint was taken.

    Raises:
        RunError: there is no checkpoint, or it does not fit.
    """
    if not path.is_file():
        raise RunError(
            f"there is no checkpoint {path}: the run was stopped before its first one; start it again"
        )
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        for name, part in parts.items():
            part.load_state_dict(content["parts"][name])
    except (pickle.UnpicklingError, RuntimeError, KeyError, ValueError, EOFError) as problem:
        raise RunError(f"{path} cannot be resumed from: {str(problem).splitlines()[0]}") from None
    torch.set_rng_state(content["rng"])
    return Progress(**content["progress"])
