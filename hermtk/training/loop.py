"""The training loop: batch, predict, loss, backward, clip, step, average; then validate, record, keep."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hermtk.data.structure import Structure
from hermtk.data.targets import ENERGY, Target
from hermtk.errors import HermtkError, RunError
from hermtk.files import tidy
from hermtk.memory import Before
from hermtk.models.model import Model
from hermtk.plugins import Need
from hermtk.training.checkpoint import Checkpoint, Progress, save_checkpoint
from hermtk.training.clock import Clock
from hermtk.training.config import TrainingConfig
from hermtk.training.data.batches import Batch, Batches, join
from hermtk.training.errors import ErrorSums
from hermtk.training.facts import record_events
from hermtk.training.faults import FAR, PATIENCE, Suspects, Watch, suspects
from hermtk.training.loss import Loss
from hermtk.training.optimise import Average, Schedule, make_optimizers
from hermtk.training.pieces import in_pieces
from hermtk.training.processes import ALONE, Processes
from hermtk.training.record import Record, columns_of, row_of, set_row
from hermtk.training.step import Step
from hermtk.training.stopping import Asked, Stopped, listening


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
        structures: what is trained on, in the order of ``train``.
        needs: what the model comes from, for checkpoints.
        target: what is learned.
        processes: who takes part; the first writes the files.
        sets: names of several sets that are trained on together; each has its own errors.
        measure_first: validate before the first step: the weights are not from chance.
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
    structures: Sequence[Structure]
    needs: Sequence[Need] = ()
    target: Target = ENERGY
    processes: Processes = ALONE
    progress: Progress = field(default_factory=Progress)
    sets: Sequence[str] = ()
    measure_first: bool = False

    def __post_init__(self) -> None:
        self.total = self.config.steps or (self.config.epochs or 0) * len(self.train)
        self.optimizers = make_optimizers(self.potential, self.config)
        self.schedule = Schedule(self.optimizers, self.config, self.total)
        self.average = Average(self.potential, self.config.ema)
        self._saved_at, self._clock = time.monotonic(), Clock()
        self._kept_at = -1
        self._asked = Asked()
        self._watch, self._first_far = Watch(), None
        self._limit: int | None = None

    @property
    def parts(self) -> dict[str, Any]:
        """Everything with a state."""
        return {
            "model": self.potential,
            "optimizers": self.optimizers,
            "schedule": self.schedule,
            "average": self.average,
        }

    def resume(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint, exactly."""
        self.progress = checkpoint.restore(self.parts)

    def run(self) -> Progress:
        """Train to the end, or until time is up, or nothing improves.

        SIGTERM, SIGUSR1 and SIGINT are answered after the step, with a checkpoint and the best model written.

        Raises:
            RunError: the loss is no longer a number or has exploded, or a file cannot be written.
            Stopped: a signal asked for it.
            KeyboardInterrupt: the signal was SIGINT; the second one does not wait for the step.
        """
        p, record = self.progress, None
        if self.processes.first:
            tidy(self.folder)
            record = Record(self.folder / "metrics.csv", p.rows, columns_of(self.target, self.sets))
        if p.finished:
            return p
        self._clock = Clock(p.seconds, p.cpu_seconds)
        self._limit, self._watch = p.limit, Watch(**p.watch)
        with listening() as self._asked:
            if self.measure_first and not (p.step or p.rows):
                self._validate(ErrorSums(target=self.target), record)
                self._save(force=True)
            while not self._over():
                sums = self._epoch()
                if sums is None:
                    continue
                if p.epoch % self.config.validate_every == 0 or self._last():
                    self._validate(sums, record)
                p.finished = self._why_finished()
                self._save()
            self._save(force=True)
        if not p.finished:
            raise self._stopped()
        return p

    def _epoch(self) -> ErrorSums | None:
        """Train on what is left of the epoch; None where the run is over before its end."""
        p, sums = self.progress, ErrorSums(dict(self.progress.sums), self.target, len(self.sets))
        self.potential.train()
        for batch in self.train.epoch(p.epoch, p.batch):
            if self._last():
                return sums
            loss = self._learn(batch, sums)
            p.step, p.batch, p.sums = p.step + 1, p.batch + 1, sums.sums
            self.listener.stepped(p, self.total, loss)
            self._save()
            if self._over():
                return None
        p.epoch, p.batch, p.sums = p.epoch + 1, 0, {}
        return sums

    def _learn(self, batch: Batch, sums: ErrorSums) -> float:
        """One optimiser step."""
        share = self._share(self.step, batch, backward=True)
        parameters = list(self.potential.parameters())
        loss, shrunk, *errors = self.processes.sum_gradients(parameters, share).tolist()
        if shrunk:
            self._shrink()
        norm = nn.utils.clip_grad_norm_(parameters, self.config.clip or math.inf)
        self._check(loss, float(norm))
        self.optimizers.step()
        self.schedule.step()
        self.average.update()
        sums.add_numbers(errors)
        sums.add_loss(loss)
        return loss

    def _share(self, step: Step, batch: Batch, backward: bool = False) -> Float[Tensor, " n"]:
        """What this process's part of a batch adds to the loss, whether memory ran out, then what it adds to the sums of errors.

        ``backward`` leaves gradients. What does not fit into memory is done in pieces, whose gradients add up to the same.
        """
        errors, known = (
            ErrorSums(target=self.target, sets=len(self.sets)),
            self.processes.sum(self.loss.known(batch)),
        )

        def begin() -> None:
            errors.sums.clear()
            if backward:
                self.optimizers.zero_grad()

        def work(part: Batch) -> None:
            prediction = step(part)
            loss = self.loss(prediction, part, known)
            if backward:
                loss.backward()
            errors.add(prediction, part)
            errors.add_loss(loss)

        if batch.graph.n_structures:
            moved = batch.to(self.potential.device)
            self._limit = in_pieces(self.potential, moved, self._limit, begin, work)
        else:
            begin()
        shrunk = float(self._limit != self.progress.limit)
        return torch.tensor([errors.sums.get("loss", 0.0), shrunk, *errors.numbers()], dtype=torch.float64)

    def _shrink(self) -> None:
        """Remember, in all processes, that memory ran out; the next checkpoint is written at once."""
        p, us = self.progress, self.processes
        limits = torch.zeros(us.count, dtype=torch.float64)
        limits[us.rank] = self._limit or 0
        p.limit = self._limit = int(min(limit for limit in us.sum(limits).tolist() if limit))
        self._saved_at = -math.inf
        self._tell(
            f"memory ran out: batches are done in pieces of at most {p.limit:,} atoms and edges from here on, which gives the "
            "same to rounding but takes longer; a smaller training.batch_size (or batch_atoms, batch_edges) avoids it"
        )

    def _check(self, loss: float, norm: float) -> None:
        """Refuse a step that would spoil the weights."""
        step = self.progress.step + 1
        if not (math.isfinite(loss) and math.isfinite(norm)):
            what = f"the loss is {loss}" if not math.isfinite(loss) else f"the gradient of the loss is {norm}"
            raise self._bad(f"step {step}: {what}", self._suspects())
        if self._watch.is_far(loss) and not self._watch.far:
            # nothing is saved while the loss is far off, so that the last checkpoint is from before
            self._first_far = self._suspects()
            self._save(force=True)
        far = self._watch.sees(loss)
        if far >= PATIENCE:
            first = self._first_far or self._suspects()
            raise self._bad(
                f"the loss exploded at step {first.step}: for {far} steps it has been {FAR:g} times what was usual, "
                f"and is {loss:.3g} now",
                first,
            )

    def _suspects(self) -> Suspects:
        """The batch that is learned from, structure by structure."""
        p = self.progress
        places = self.train.order.epoch(p.epoch)[p.batch] if self.processes.first else []
        batches = [join(self.potential, [self.train.items[k]]).to(self.potential.device) for k in places]
        structures = [self.structures[k] for k in places]
        return suspects(p.step + 1, structures, batches, self.evaluate, self.target)

    def _bad(self, what: str, batch: Suspects) -> HermtkError:
        """What to say of a batch that cannot be learned from; it is written beside the checkpoint."""
        where = ""
        if self.processes.first:
            self._save(force=True)
            where = batch.write(self.folder / "bad_batch.extxyz")
        return self.processes.shared(
            RunError(
                f"{what}. {where}. Weights from before it are in {self.folder / 'checkpoint.pt'}. If these structures are right, "
                "begin again with a smaller training.learning_rate or training.clip: --resume would come to the same step"
            )
        )

    def _validate(self, sums: ErrorSums, record: Record | None) -> None:
        """Measure the averaged weights; remember them if they are the best so far."""
        p, errors = self.progress, ErrorSums(target=self.target, sets=len(self.sets))
        self.potential.eval()
        with self.average.applied():
            shares = [self._share(self.evaluate, batch) for batch in self.validation.in_order()]
        together = self.processes.sum(torch.stack(shares))
        if together[:, 1].any():
            self._shrink()
        for loss, _, *counted in together.tolist():
            errors.add_numbers(counted)
            errors.add_loss(loss)
        score = errors.loss or 0.0
        p.stale += 1
        if score < p.best:
            p.best, p.best_step, p.stale = score, p.step, 0
            p.weights = [weight.clone() for weight in self.average.weights]
        self.schedule.validated(score)
        self._account()
        row = row_of(p, self.optimizers.rate, sums, errors) | set_row(errors, self.sets)
        if record is not None:
            record.add(row)
            p.rows = record.rows
        self.listener.validated(row)

    def _over(self) -> bool:
        """Whether to stop here; all processes agree, so every reason to stop within an epoch has its place here."""
        p, limit = self.progress, self.config.max_minutes
        late = limit is not None and self._clock.seconds >= 60 * limit
        flags = torch.tensor([bool(self._asked.by), late], dtype=torch.float64)
        asked, late = self.processes.sum(flags).tolist()
        if late and not p.finished:
            p.finished = f"the time limit of {limit:g} minutes was reached"
        return bool(p.finished or asked)

    def _stopped(self) -> BaseException:
        by, step = self._asked.by or "a signal to another process", self.progress.step
        return KeyboardInterrupt() if by == "SIGINT" else Stopped(f"stopped by {by} after step {step:,}")

    def _last(self) -> bool:
        return self.progress.step >= self.total

    def _why_finished(self) -> str:
        if self._last():
            return "all steps were done"
        patience = self.config.early_stop
        if patience and self.progress.stale >= patience:
            return f"{patience} validations brought no improvement"
        return ""

    def _save(self, force: bool = False) -> None:
        """Write a checkpoint when it is time, and the best model when it changed; never what may be spoiled."""
        p, now = self.progress, time.monotonic()
        due = force or now - self._saved_at >= 60 * self.config.checkpoint_minutes
        if not due or (self._watch.far and not p.finished):
            return
        self._saved_at = now
        if not self.processes.first:
            return
        self._account()
        p.watch = vars(self._watch)
        save_checkpoint(self.folder / "checkpoint.pt", self.parts, p, self.needs)
        if p.weights is not None and p.best_step != self._kept_at:
            self._kept_at = p.best_step
            self.keep(p)

    def _account(self) -> None:
        """What the run has spent until now."""
        p = self.progress
        p.seconds, p.cpu_seconds = self._clock.seconds, self._clock.cpu_seconds
        p.peak_bytes = max(p.peak_bytes, Before().peak())

    def _tell(self, text: str) -> None:
        """One line for whoever watches, and for the record of the run."""
        self.listener.note(text)
        self.progress.events.append({"step": self.progress.step, "text": text})
        if self.processes.first:
            record_events(self.folder / "run.json", self.progress.events)
