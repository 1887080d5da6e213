"""What all drivers share: the structures, the clock that bounds the work, the errors on the test set, the JSON line.

A driver says how its tool trains (`Train`). The budget is CPU time of the process and of the compilers it starts, user and
system, from the start of the process: imports, preparing data, compiling, training and validation are in it, the test is
not. So the measure hardly depends on what else the machine does.
"""
# pyright: reportMissingImports=false

import argparse
import json
import math
import os
import resource
import shlex
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

sys.path.append(str(Path(__file__).resolve().parents[1] / "peers"))
from measure import prepare_process

TRAINED, VALIDATED = 950, 50
_SHARED = Path(__file__).resolve().parents[4] / "shared"
_LEAST_RATE = 0.01


@dataclass(frozen=True)
class Frames:
    """Structures of one molecule.

    Attributes:
        numbers: atomic numbers [N].
        positions: [S, N, 3] in Angstrom.
        energy: [S] in eV, less the mean of the 1,000 training structures: float32 holds -4,210 eV to 0.5 meV only.
        forces: [S, N, 3] in eV/Angstrom.
    """

    numbers: np.ndarray
    positions: np.ndarray
    energy: np.ndarray
    forces: np.ndarray

    def __len__(self) -> int:
        """The number of structures."""
        return len(self.energy)

    def __getitem__(self, rows: Any) -> "Frames":
        """Some of the structures."""
        return Frames(self.numbers, self.positions[rows], self.energy[rows], self.forces[rows])

    def atoms(self) -> list[Atoms]:
        """The structures with their labels in a calculator."""
        made = []
        for positions, energy, forces in zip(self.positions, self.energy, self.forces, strict=True):
            atoms = Atoms(self.numbers, positions)
            atoms.calc = SinglePointCalculator(atoms, energy=float(energy), forces=forces)
            made.append(atoms)
        return made


@dataclass(frozen=True)
class Split:
    """Split 01 of rMD17: 950 and 50 of its 1,000 training structures, chosen by a seed, and its 1,000 for the test."""

    train: Frames
    valid: Frames
    test: Frames


@dataclass
class Clock:
    """The CPU seconds a run may use and has used."""

    seconds: float
    started: float = 0.0

    def start(self) -> None:
        """Training begins: what came before is spent, and the schedule spans what is left."""
        self.started = cpu_seconds()

    @property
    def over(self) -> bool:
        """Whether the budget is spent."""
        return cpu_seconds() >= self.seconds

    @property
    def progress(self) -> float:
        """The part of the budget used since `start`, 0 to 1."""
        return min(1.0, (cpu_seconds() - self.started) / (self.seconds - self.started))

    def annealed(self) -> float:
        """Factor of the learning rate: from 1 along a cosine to 0.01 when the budget ends."""
        return _LEAST_RATE + (1 - _LEAST_RATE) * 0.5 * (1 + math.cos(math.pi * self.progress))


class Annealing:
    """For a Lightning callback: sets the learning rate before each step and ends the run when the budget is spent."""

    def __init__(self, clock: Clock, rate: float) -> None:
        """``rate`` is the highest learning rate."""
        super().__init__()
        self.clock, self.rate = clock, rate

    def on_train_start(self, trainer: Any, module: Any) -> None:
        """The clock of the schedule starts."""
        self.clock.start()

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, batch_idx: int) -> None:
        """The learning rate follows the clock."""
        for group in trainer.optimizers[0].param_groups:
            group["lr"] = self.rate * self.clock.annealed()

    def on_train_batch_end(self, trainer: Any, module: Any, *_: Any) -> None:
        """Lightning validates once more after the step in which it is told to stop."""
        trainer.should_stop = trainer.should_stop or self.clock.over

    def on_validation_end(self, trainer: Any, module: Any) -> None:
        """Tell how far the run is."""
        found = trainer.callback_metrics.items()
        metrics = {name: float(value) for name, value in found if name.endswith(("val_loss", "_mae"))}
        tell(self.clock, trainer.current_epoch, metrics)


@dataclass(frozen=True)
class Outcome:
    """What a run found.

    Attributes:
        version: of the tool.
        model: what it is, for the table.
        parameters: how many are trained.
        steps: optimiser steps done.
        epochs: passes over the training structures begun.
        best_epoch: the one whose validation was best and whose weights met the test set.
        training_s: CPU seconds from the start of the process to the end of training and validation.
        energy: of the test set [S], in eV as in `Frames`.
        forces: [S, N, 3] in eV/Angstrom.
        note: more for the JSON line.
    """

    version: str
    model: str
    parameters: int
    steps: int
    epochs: int
    best_epoch: int
    training_s: float
    energy: np.ndarray
    forces: np.ndarray
    note: dict[str, Any] = field(default_factory=dict)


Train = Callable[[Split, Clock, argparse.Namespace], Outcome]


def main(about: str, tool: str, train: Train, options: Callable[[argparse.ArgumentParser], None]) -> None:
    """Read the command line, train within the budget, print one JSON line."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument(
        "--cpu-minutes", type=float, default=40.0, help="the budget; 1 to try whether it runs"
    )
    parser.add_argument(
        "--seed", type=int, default=1, help="of the 50 validation structures, weights and batches"
    )
    options(parser)
    chosen = parser.parse_args()
    prepare_process()
    # compilers in the process or waited for, and nothing compiled by an earlier run: else their time is not counted
    os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"
    cache = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache.name
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(chosen.seed)
    split = ethanol(chosen.seed)
    outcome = train(split, Clock(60 * chosen.cpu_minutes), chosen)
    record = {
        "tool": tool,
        "version": outcome.version,
        "model": outcome.model,
        "parameters": outcome.parameters,
        **errors(outcome, split.test),
        "steps": outcome.steps,
        "epochs": outcome.epochs,
        "best_epoch": outcome.best_epoch,
        "cpu_minutes": chosen.cpu_minutes,
        "cpu_training_s": round(outcome.training_s, 1),
        "cpu_total_s": round(cpu_seconds(), 1),
        "seed": chosen.seed,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "command": shlex.join(["python", *map(str, sys.argv)]),
        **outcome.note,
    }
    cache.cleanup()
    sys.stdout.write(json.dumps(record) + "\n")


def cpu_seconds() -> float:
    """User and system time of this process and of the finished ones it started, since it began."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def ethanol(seed: int) -> Split:
    """Ethanol of rMD17, split 01."""
    folder = Path(os.environ.get("HERMTK_SHARED", _SHARED)) / "data" / "rmd17"
    if not folder.is_dir():
        sys.exit(f"error: no folder {folder}: set HERMTK_SHARED to the folder that holds data/rmd17")
    given, test = (_read(folder / f"ethanol_{part}01.npz") for part in ("train", "test"))
    order = np.random.RandomState(seed).permutation(len(given))
    mean = given.energy.mean()
    given, test = (
        Frames(part.numbers, part.positions, part.energy - mean, part.forces) for part in (given, test)
    )
    return Split(given[order[:TRAINED]], given[order[TRAINED : TRAINED + VALIDATED]], test)


def _read(path: Path) -> Frames:
    with np.load(path) as file:
        count = len(file["energy"])
        numbers, positions, forces = file["numbers"], file["positions"], file["forces"]
        return Frames(
            numbers.reshape(count, -1)[0].astype(int),
            positions.reshape(count, -1, 3),
            file["energy"],
            forces.reshape(count, -1, 3).astype(float),
        )


def errors(outcome: Outcome, test: Frames) -> dict[str, float]:
    """Mean absolute and root mean square errors: forces over all components in meV/Angstrom, energies in meV."""
    wrong = {
        "force": 1e3 * (outcome.forces - test.forces),
        "energy": 1e3 * (outcome.energy - test.energy),
    }
    found = {}
    for name, by in wrong.items():
        found[f"{name}_mae"] = round(float(np.abs(by).mean()), 3)
        found[f"{name}_rmse"] = round(float(np.sqrt(np.square(by).mean())), 3)
    return found


def tell(clock: Clock, epoch: int, metrics: dict[str, float]) -> None:
    """One line on the error stream."""
    said = " ".join(f"{name} {value:.4g}" for name, value in metrics.items())
    sys.stderr.write(f"epoch {epoch} {cpu_seconds():.0f} of {clock.seconds:.0f} CPU s {said}\n")
