"""What metrics.csv says of a training run: where it stands, whether it is still getting better, how fast it goes."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from hermtk.data.targets import ENERGY, Target
from hermtk.errors import DataError

Array = np.ndarray

# of the error, over the last doubling of the steps: more, and longer training pays; less, and it hardly does
_FALLING, _FLAT = 0.10, 0.03
# the mean of the last tenth over the best, where the best lies before this share of the steps
_RISEN, _EARLY = 1.10, 0.7
# validations that a trend needs
_FEWEST = 5


class NoValidation(DataError):
    """A record of a run that has not been validated yet."""


@dataclass(frozen=True)
class Metrics:
    """The columns of metrics.csv by name, one value per validation, NaN where there is none; in the units of the file."""

    columns: dict[str, Float[Array, " rows"]]

    def __len__(self) -> int:
        return len(self.columns["step"])

    def __getitem__(self, name: str) -> Float[Array, " rows"]:
        return self.columns[name]

    def has(self, name: str) -> bool:
        """Whether a column holds something that a logarithmic axis can show."""
        return name in self.columns and bool((self.columns[name] > 0).any())

    @property
    def steps(self) -> int:
        """Optimiser steps at the last validation."""
        return int(self["step"][-1])

    @property
    def best(self) -> int:
        """The row with the lowest validation loss: that of the weights that are kept."""
        loss = self.columns.get("validation_loss")
        return len(self) - 1 if loss is None or np.isnan(loss).all() else int(np.nanargmin(loss))

    def row_of(self, step: int) -> int:
        """The row of a step; the best one if there is none."""
        rows = np.flatnonzero(self["step"] == step)
        return int(rows[0]) if len(rows) else self.best


@dataclass(frozen=True)
class Trend:
    """How the validation error went over the last doubling of the steps.

    Attributes:
        name: the column it is about.
        direction: ``falling``, ``slowing``, ``flat`` or ``rising``.
        before, now: the best error until half of the steps and until the end, in the column's unit.
        fell: 1 - now/before.
        best_step, steps: where the error was lowest, and how many steps there are.
    """

    name: str
    direction: str
    before: float
    now: float
    fell: float
    best_step: int
    steps: int


@dataclass(frozen=True)
class Timing:
    """How long training took, validations included.

    Attributes:
        seconds: over all sessions.
        steps, epochs: in that time.
        steps_per_second, seconds_per_epoch: medians over the times between validations, so that compiling does not count.
    """

    seconds: float
    steps: int
    epochs: int
    steps_per_second: float | None
    seconds_per_epoch: float | None


def read_metrics(path: Path) -> Metrics:
    """The record of a run.

    Raises:
        NoValidation: the file holds no rows.
        DataError: it is missing, or is no record of a run.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        columns = {name: np.array([float(row[name] or "nan") for row in rows]) for name in rows[0]}
    except OSError as problem:
        raise DataError(f"{path} cannot be read: {problem.strerror or problem}") from None
    except IndexError:
        raise NoValidation(f"{path} holds no rows: no validation has been made yet") from None
    except (ValueError, TypeError) as problem:
        raise DataError(f"{path} is no table of numbers: {problem}") from None
    metrics = Metrics(columns)
    if "step" not in columns or not any(metrics.has(name) for name in columns if name != "step"):
        raise DataError(f"{path} is no record of a training run: its columns are {', '.join(columns)}")
    return metrics


def main_column(metrics: Metrics, target: Target = ENERGY) -> str:
    """The validation error that says most: of the forces, else of the energy or the target, else the loss."""
    names = ("validation_forces_mae", "validation_energy_per_atom_mae")
    names = names if target == ENERGY else (f"validation_{target.name}_mae",)
    return next((name for name in names if metrics.has(name)), "validation_loss")


def trend_of(metrics: Metrics, target: Target = ENERGY) -> Trend | None:
    """Whether the validation error is still falling; None where there are too few validations to say.

    The best error until the end is held against the best until half of the steps: errors of learning fall about as a power of the
    steps, so what one doubling brought is what the next may bring.
    """
    name = main_column(metrics, target)
    if not metrics.has(name):
        return None
    known = metrics[name] > 0
    step, error = metrics["step"][known], metrics[name][known]
    early = step <= step[-1] / 2
    if len(step) < _FEWEST or not early.any():
        return None
    before, now, best = float(error[early].min()), float(error.min()), int(np.argmin(error))
    fell = 1 - now / before
    last = error[-max(1, len(error) // 10) :].mean()
    if last > _RISEN * now and step[best] < _EARLY * step[-1]:
        direction = "rising"
    else:
        direction = "falling" if fell > _FALLING else "flat" if fell < _FLAT else "slowing"
    return Trend(name, direction, before, now, fell, int(step[best]), int(step[-1]))


def timing_of(metrics: Metrics) -> Timing | None:
    """How fast the run went; None where the record does not say."""
    if not {"seconds", "epoch"} <= set(metrics.columns):
        return None
    seconds, steps, epochs = metrics["seconds"], metrics["step"], metrics["epoch"]
    spent = np.diff(seconds)
    moved = spent > 0
    rate = np.median(np.diff(steps)[moved] / spent[moved]) if moved.any() else None
    passed = moved & (np.diff(epochs) > 0)
    each = np.median(spent[passed] / np.diff(epochs)[passed]) if passed.any() else None
    return Timing(
        float(seconds[-1]),
        int(steps[-1]),
        int(epochs[-1]),
        None if rate is None else float(rate),
        None if each is None else float(each),
    )
