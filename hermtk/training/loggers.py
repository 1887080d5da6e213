"""Following a run elsewhere than in metrics.csv: TensorBoard and Weights & Biases, written by their own libraries.

Loss and learning rate are told every ``training.log_every`` steps, and everything in metrics.csv at every validation. A resumed
run goes on in the same log: what it does again is not told twice.
"""

import csv
import json
import os
import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from hermtk.errors import RunError
from hermtk.training.checkpoint import Progress
from hermtk.training.config import RunConfig
from hermtk.training.loop import Listener, Trainer

# the columns that say when, not what
_WHEN = ("epoch", "step", "seconds")


@runtime_checkable
class Logger(Protocol):
    """Where numbers go, by name and step."""

    def told(self, step: int, values: Mapping[str, int | float], validation: bool) -> None:
        """Numbers of a step, or of a validation after it."""

    def close(self) -> None:
        """Nothing more is to come."""


class TensorBoard:
    """Two runs in ``tensorboard/``, ``training`` and ``validation``, written through at every call."""

    def __init__(self, folder: Path, config: RunConfig, done: int, validated: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        # where a run is resumed, later events are of work that was lost
        purge = {"training": done, "validation": validated}
        self._writers = {
            name: SummaryWriter(str(folder / "tensorboard" / name), purge_step=step + 1 if done else None)
            for name, step in purge.items()
        }

    def told(self, step: int, values: Mapping[str, int | float], validation: bool) -> None:
        writer = self._writers["validation" if validation else "training"]
        for name, value in values.items():
            writer.add_scalar(name, value, step)
        writer.flush()

    def close(self) -> None:
        for writer in self._writers.values():
            writer.close()


class WandB:
    """A run of Weights & Biases, kept in ``wandb/`` unless WANDB_MODE says otherwise; its numbers have ``step`` as their axis.

    ``wandb/run.json`` holds its id and how far it was told: a resumed run repeats its steps exactly, so those are left out.
    """

    def __init__(self, folder: Path, config: RunConfig, done: int, validated: int) -> None:
        import wandb

        self._state = folder / "wandb" / "run.json"
        self._state.parent.mkdir(exist_ok=True)
        self._told: dict[str, Any] = {"id": uuid.uuid4().hex[:8], "rows": 0, "training": -1, "validation": -1}
        if done and self._state.is_file():
            self._told = json.loads(self._state.read_text(encoding="utf-8"))
        mode: Any = os.environ.get("WANDB_MODE", "offline")
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "hermtk"),
            name=folder.name,
            id=self._told["id"],
            dir=str(folder),
            config=config.model_dump(mode="json"),
            mode=mode,
            resume="allow" if mode == "online" else None,
            settings=wandb.Settings(silent=True, console="off"),
        )
        self._run.define_metric("*", step_metric="step")

    def told(self, step: int, values: Mapping[str, int | float], validation: bool) -> None:
        kind = "validation" if validation else "training"
        if step <= self._told[kind]:
            return
        named = {f"{kind}/{name}": value for name, value in values.items()}
        self._run.log({"step": step, **named}, step=self._told["rows"], commit=True)
        self._told |= {"rows": self._told["rows"] + 1, kind: step}
        self._state.write_text(json.dumps(self._told), encoding="utf-8")

    def close(self) -> None:
        self._run.finish()


# what the logger is called, with the module it needs
_LOGGERS: dict[str, tuple[str, Callable[[Path, RunConfig, int, int], Logger]]] = {
    "tensorboard": ("tensorboard", TensorBoard),
    "wandb": ("wandb", WandB),
}


def check_loggers(names: Sequence[str]) -> None:
    """Refuse loggers whose library is missing, before a run begins.

    Raises:
        RunError: says what to install.
    """
    for name in names:
        if find_spec(_LOGGERS[name][0]) is None:
            raise RunError(
                f"training.loggers asks for {name}, which is not installed: pip install 'hermtk[{name}]', or leave it out "
                "(metrics.csv is always written)"
            )


@contextmanager
def logged(trainer: Trainer, config: RunConfig) -> Iterator[None]:
    """Inside the block the trainer's loggers are told what its listener is told."""
    names, listener = config.training.loggers, trainer.listener
    if not names or not trainer.processes.first:
        yield
        return
    done = trainer.progress.step
    validated = _last_validation(trainer.folder / "metrics.csv", trainer.progress.rows)
    loggers = [_LOGGERS[name][1](trainer.folder, config, done, validated) for name in dict.fromkeys(names)]
    trainer.listener = _Told(listener, loggers, config.training.log_every, trainer)
    try:
        yield
    finally:
        trainer.listener = listener
        for logger in loggers:
            logger.close()


class _Told:
    """A listener that tells loggers too."""

    def __init__(self, listener: Listener, loggers: Sequence[Logger], every: int, trainer: Trainer) -> None:
        self._listener, self._loggers, self._every, self._trainer = listener, loggers, every, trainer

    def stepped(self, progress: Progress, total: int, loss: float) -> None:
        """After every optimiser step."""
        self._listener.stepped(progress, total, loss)
        if progress.step % self._every == 0:
            rate = self._trainer.optimizers.rate
            self._tell(progress.step, {"loss": loss, "learning_rate": rate}, False)

    def validated(self, row: dict[str, Any]) -> None:
        """After every validation."""
        self._listener.validated(row)
        values = {_tag(name): value for name, value in row.items() if name not in _WHEN}
        self._tell(int(row["step"]), values, True)

    def note(self, text: str) -> None:
        """Something worth one line."""
        self._listener.note(text)

    def _tell(self, step: int, values: Mapping[str, int | float], validation: bool) -> None:
        for logger in self._loggers:
            logger.told(step, values, validation)


def _tag(column: str) -> str:
    """What a column of metrics.csv is called in a log: ``forces_mae``, of one of several sets ``forces_mae/NAME``."""
    return re.sub(r" \((.*)\)$", r"/\1", column.removeprefix("validation_"))


def _last_validation(path: Path, rows: int) -> int:
    """The step of the last validation that a checkpoint knows of; -1 if there is none."""
    if not rows or not path.is_file():
        return -1
    with path.open(newline="", encoding="utf-8") as file:
        return int(list(csv.DictReader(file))[rows - 1]["step"])
