"""The training loop: batch, predict, loss, backward, clip, step, average; then validate, record, keep."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import nn

from hermtk.data.targets import ENERGY, Target
from hermtk.errors import RunError
from hermtk.models.model import Model
from hermtk.plugins import Need
from hermtk.training.batches import Batch, Batches
from hermtk.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from hermtk.training.config import TrainingConfig
from hermtk.training.errors import ErrorSums
from hermtk.training.loss import Loss
from hermtk.training.optimise import Average, Schedule, make_optimizer
from hermtk.training.record import Record, columns_of
from hermtk.training.step import Step


@runtime_checkable
class Listener(Protocol):
    """Whoever shows progress."""

    def stepped(self, progress: Progress, total: int, loss: float) -> None:
        """After every optimiser step."""

    def validated(self, row: dict[str, float]) -> None:
        """After every validation."""

    def note(self, text: str) -> None:
        """Something worth one line."""


@dataclass
class Trainer:
    """What a run needs; ``run`` is the loop.

    Attributes:
        potential: the model in training.
        train, validation: batches.
        step: from a batch to a prediction that can be differentiated.
        loss: from a prediction to a number.
        config: how long, how fast.
        folder: where metrics.csv and checkpoint.pt go.
        keep: called with the model holding the best averaged weights, whenever a checkpoint is written.
        listener: shows progress.
        needs: what the model comes from, for checkpoints.
        target: what is learned.
    """

    potential: Model
    train: Batches
    validation: Batches
    step: Step
    evaluate: Step
    loss: Loss
    config: TrainingConfig
    folder: Path
    keep: Callable[[Progress], None]
    listener: Listener
    needs: Sequence[Need] = ()
    target: Target = ENERGY
    progress: Progress = field(default_factory=Progress)

    def __post_init__(self) -> None:
        self.total = self.config.steps or (self.config.epochs or 0) * len(self.train)
        self.optimizer = make_optimizer(self.potential, self.config)
        self.schedule = Schedule(self.optimizer, self.config, self.total)
        self.average = Average(self.potential, self.config.ema)
        self._saved_at = time.monotonic()
        self._kept_at = -1

    @property
    def parts(self) -> dict[str, Any]:
        """Everything with a state."""
        return {
            "model": self.potential,
            "optimizer": self.optimizer,
            "schedule": self.schedule,
            "average": self.average,
        }

    def resume(self) -> None:
        """Go on from the last checkpoint, exactly."""
        self.progress = load_checkpoint(self.folder / "checkpoint.pt", self.parts)

    def run(self) -> Progress:
        """Train to the end, or until time is up, or nothing improves. An interrupt leaves a checkpoint and the best model.

        Raises:
            RunError: the loss is no longer a number, or a file cannot be written.
        """
        record = Record(self.folder / "metrics.csv", self.progress.rows, columns_of(self.target))
        began = time.monotonic() - self.progress.seconds
        try:
            while not self.progress.finished:
                sums = self._epoch(began)
                if self._ended(began):
                    break
                if self.progress.epoch % self.config.validate_every == 0 or self._last():
                    self._validate(sums, record, began)
                self.progress.finished = self._why_finished()
                self._save(began, force=bool(self.progress.finished))
        except KeyboardInterrupt:
            self._save(began, force=True)
            raise
        return self.progress

    def _epoch(self, began: float) -> ErrorSums:
        """Train on what is left of the epoch."""
        p, sums = self.progress, ErrorSums(dict(self.progress.sums), self.target)
        self.potential.train()
        for batch in self.train.epoch(p.epoch, p.batch):
            if self._last():
                return sums
            loss = self._learn(batch.to(self.potential.device), sums)
            p.step, p.batch, p.sums = p.step + 1, p.batch + 1, sums.sums
            self.listener.stepped(p, self.total, loss)
            self._save(began)
            if self._ended(began):
                return sums
        p.epoch, p.batch, p.sums = p.epoch + 1, 0, {}
        return sums

    def _learn(self, batch: Batch, sums: ErrorSums) -> float:
        """One optimiser step."""
        prediction = self.step(batch)
        loss = self.loss(prediction, batch)
        if not torch.isfinite(loss):
            raise RunError(
                f"the loss of step {self.progress.step + 1} is {loss.item()}: a smaller training.learning_rate, or "
                "training.clip, helps; the last checkpoint and the best model so far are kept"
            )
        self.optimizer.zero_grad()
        loss.backward()
        if self.config.clip:
            nn.utils.clip_grad_norm_(self.potential.parameters(), self.config.clip)
        self.optimizer.step()
        self.schedule.step()
        self.average.update()
        sums.add(prediction, batch)
        sums.add_loss(loss)
        return loss.item()

    def _validate(self, sums: ErrorSums, record: Record, began: float) -> None:
        """Measure the averaged weights; remember them if they are the best so far."""
        p, errors = self.progress, ErrorSums(target=self.target)
        self.potential.eval()
        with self.average.applied():
            for batch in self.validation.in_order():
                moved = batch.to(self.potential.device)
                prediction = self.evaluate(moved)
                errors.add(prediction, moved)
                errors.add_loss(self.loss(prediction, moved).detach())
        score = errors.loss or 0.0
        p.stale += 1
        if score < p.best:
            p.best, p.best_step, p.stale = score, p.step, 0
            p.weights = [weight.clone() for weight in self.average.weights]
        self.schedule.validated(score)
        p.seconds = time.monotonic() - began
        row = _row(p, self.optimizer.param_groups[0]["lr"], sums, errors)
        record.add(row)
        p.rows = record.rows
        self.listener.validated(row)

    def _ended(self, began: float) -> bool:
        """Whether time is up."""
        limit = self.config.max_minutes
        if limit is None or time.monotonic() - began < 60 * limit:
            return False
        self.progress.finished = f"the time limit of {limit:g} minutes was reached"
        self._save(began, force=True)
        return True

    def _last(self) -> bool:
        return self.progress.step >= self.total

    def _why_finished(self) -> str:
        if self._last():
            return "all steps were done"
        patience = self.config.early_stop
        if patience and self.progress.stale >= patience:
            return f"{patience} validations brought no improvement"
        return ""

    def _save(self, began: float, force: bool = False) -> None:
        """Write a checkpoint when it is time, and the best model when it changed."""
        now = time.monotonic()
        if not force and now - self._saved_at < 60 * self.config.checkpoint_minutes:
            return
        self._saved_at = now
        self.progress.seconds = now - began
        save_checkpoint(self.folder / "checkpoint.pt", self.parts, self.progress, self.needs)
        if self.progress.weights is not None and self.progress.best_step != self._kept_at:
            self._kept_at = self.progress.best_step
            self.keep(self.progress)


def _row(p: Progress, rate: float, train: ErrorSums, validation: ErrorSums) -> dict[str, int | float]:
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
