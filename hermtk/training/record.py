"""metrics.csv: one row per validation, kept in step with the checkpoints."""

import csv
from collections.abc import Sequence
from pathlib import Path

from hermtk.data.targets import ENERGY, Target
from hermtk.errors import RunError
from hermtk.files import replacing

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


def columns_of(target: Target) -> tuple[str, ...]:
    """The columns for what is learned."""
    if target == ENERGY:
        return COLUMNS
    start = COLUMNS[: COLUMNS.index("train_loss")]
    own = (f"{name}_{target.name}_{error}" for name, error in _OF_TARGET)
    return (*start, "train_loss", "validation_loss", *own)


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
