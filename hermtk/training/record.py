"""metrics.csv: one row per validation, kept in step with the checkpoints."""

import csv
from collections.abc import Sequence
from pathlib import Path

from hermtk.data.targets import ENERGY, Target
from hermtk.errors import RunError
from hermtk.files import replacing
from hermtk.training.checkpoint import Progress
from hermtk.training.errors import ErrorSums

COLUMNS = (
    "epoch",
    "step",
    "seconds",
    "learning_rate",
    "train_loss",
    "train_energy_mae",
    "train_forces_mae",
    "validation_loss",
    "validation_energy_mae",
    "validation_energy_per_atom_mae",
    "validation_forces_mae",
    "validation_forces_rmse",
    "validation_stress_mae",
)
_OF_TARGET = (("train", "mae"), ("validation", "mae"), ("validation", "rmse"))


def columns_of(target: Target, sets: Sequence[str] = ()) -> tuple[str, ...]:
    """The columns for what is learned, then those of each of several sets."""
    return (*_columns(target), *(_of_set(quantity, name) for name in sets for quantity in _of_sets(target)))


def row_of(p: Progress, rate: float, train: ErrorSums, validation: ErrorSums) -> dict[str, int | float]:
    """What a validation has found, by column; ``rate``: of learning."""
    values = {
        "epoch": p.epoch,
        "step": p.step,
        "seconds": p.seconds,
        "learning_rate": rate,
        "train_loss": train.loss,
        "train_energy_mae": train.mae("energy"),
        "train_forces_mae": train.mae("forces"),
        "validation_loss": validation.loss,
        "validation_energy_mae": validation.mae("energy"),
        "validation_energy_per_atom_mae": validation.mae("energy_per_atom"),
        "validation_forces_mae": validation.mae("forces"),
        "validation_forces_rmse": validation.rmse("forces"),
        "validation_stress_mae": validation.mae("stress"),
    }
    if train.target != ENERGY:
        name = train.target.name
        values = {key: value for key, value in values.items() if not key.endswith(("mae", "rmse"))} | {
            f"train_{name}_mae": train.mae(name),
            f"validation_{name}_mae": validation.mae(name),
            f"validation_{name}_rmse": validation.rmse(name),
        }
    return {name: value for name, value in values.items() if value is not None}


def set_row(errors: ErrorSums, sets: Sequence[str]) -> dict[str, int | float]:
    """Validation errors of each of several sets, by column."""
    found = {
        _of_set(quantity, name): errors.mae(f"{quantity}@{k}")
        for k, name in enumerate(sets)
        for quantity in _of_sets(errors.target)
    }
    return {column: value for column, value in found.items() if value is not None}


def _columns(target: Target) -> tuple[str, ...]:
    if target == ENERGY:
        return COLUMNS
    start = COLUMNS[: COLUMNS.index("train_loss")]
    own = (f"{name}_{target.name}_{error}" for name, error in _OF_TARGET)
    return (*start, "train_loss", "validation_loss", *own)


def _of_sets(target: Target) -> tuple[str, ...]:
    return ("energy_per_atom", "forces") if target == ENERGY else (target.name,)


def _of_set(quantity: str, name: str) -> str:
    return f"validation_{quantity}_mae ({name})"


class Record:
    """Rows of numbers by column; eV, eV/Angstrom, eV/Angstrom^3, or the target's unit."""

    def __init__(self, path: Path, rows: int = 0, columns: Sequence[str] = COLUMNS) -> None:
        """Go on after the first ``rows`` rows of what is there: later ones belong to work that was lost."""
        self.path, self.columns = path, columns
        kept = self.read()[:rows] if rows else []
        with replacing(path) as beside, beside.open("w", newline="", encoding="utf-8") as file:
            writer: csv.DictWriter[str] = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(kept)
        self.rows = len(kept)

    def add(self, row: dict[str, int | float]) -> None:
        """One more row; written through to the disk.

        Raises:
            RunError: it could not be written.
        """
        try:
            with self.path.open("a", newline="", encoding="utf-8") as file:
                csv.DictWriter(file, self.columns).writerow({k: _text(row.get(k)) for k in self.columns})
        except OSError as problem:
            raise RunError(f"{self.path} could not be written: {problem.strerror}") from problem
        self.rows += 1

    def read(self) -> list[dict[str, str]]:
        """The rows as text."""
        if not self.path.is_file():
            return []
        with self.path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))


def _text(value: int | float | None) -> str:
    return "" if value is None else f"{value:.10g}"
