"""metrics.csv: one row per validation, kept in step with the checkpoints."""

import csv
from pathlib import Path

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


class Record:
    """Rows of numbers by column; eV, eV/Angstrom, eV/Angstrom^3."""

    def __init__(self, path: Path, rows: int = 0) -> None:
        """Go on after the first ``rows`` rows of what is there: later ones belong to work that was lost."""
        self.path = path
        kept = self.read()[:rows] if rows else []
        with replacing(path) as beside, beside.open("w", newline="", encoding="utf-8") as file:
            writer: csv.DictWriter[str] = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(kept)
        self.rows = len(kept)

    def add(self, row: dict[str, float]) -> None:
        """One more row; written through to the disk.

        Raises:
            RunError: it could not be written.
        """
        try:
            with self.path.open("a", newline="", encoding="utf-8") as file:
                csv.DictWriter(file, COLUMNS).writerow({k: _text(row.get(k)) for k in COLUMNS})
        except OSError as problem:
            raise RunError(f"{self.path} could not be written: {problem.strerror}") from problem
        self.rows += 1

    def read(self) -> list[dict[str, str]]:
        """The rows as text."""
        if not self.path.is_file():
            return []
        with self.path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.10g}"
