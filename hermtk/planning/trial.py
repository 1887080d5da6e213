"""The first steps of a run, measured: time, memory, files.

The run begins in a folder that is thrown away, by the way that `hermtk train` takes, and is stopped when enough steps were seen;
then a batch is made larger until memory grows with it.
"""

import io
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from hermtk.audit.coverage import Coverage
from hermtk.memory import Before, device_limit, device_peak, is_shortage
from hermtk.training.checkpoint import Progress
from hermtk.training.config import RunConfig
from hermtk.training.data.batches import join, together
from hermtk.training.data.prepare import Prepared
from hermtk.training.errors import ErrorSums
from hermtk.training.resolve import resolved
from hermtk.training.run import Run, new_run

# (seconds, steps): enough was seen when both are reached; a step of seconds must not be waited for a dozen times
_ENOUGH = ((2.0, 12), (6.0, 5), (12.0, 2))
_MOST_STEPS = 200
_WARM_UP = 3
# a larger batch is tried until memory has grown by so many bytes and once more, or a step takes so many seconds
_GROWN, _LONG, _LARGEST = 2**24, 2.0, 256


@dataclass(frozen=True)
class Trial:
    """What was seen of a run's first steps. Bytes and seconds.

    Attributes:
        config: what training would write to config.yaml.
        elements: atomic numbers.
        structures: of training, validation and test.
        parameters: of the model.
        relations: how often the training set shows each relation of the model.
        seen: the counts that these come from (``Coverage.facts``).
        steps: of the whole run.
        batches: of an epoch.
        samples: seconds and edges of each step that counts.
        mean_edges: of a batch.
        structures_per_batch: on average.
        clock: cpu or wall.
        preparation: making the model and counting relations; from ``Trials`` reading the data too.
        compiling: the first step, where it compiled the model.
        evaluation: seconds per structure.
        peak: the most resident memory of the process, torch and data in it.
        device_peak: the most that torch's allocator gave out on the device.
        states: weights, gradients, optimiser, the average and the best weights.
        data: resident memory that reading the data took.
        growth: edges of a batch, and the peak with it, where its step is computed.
        limit: what a run can have there.
        checkpoint, model: sizes of the files.
        notes: what the run said.
    """

    config: dict[str, Any]
    elements: list[int]
    structures: dict[str, int]
    parameters: int
    relations: dict[str, int]
    seen: dict[str, Any]
    steps: int
    batches: int
    samples: list[tuple[float, int]]
    mean_edges: float
    structures_per_batch: float
    clock: str
    preparation: float
    compiling: float | None
    evaluation: float
    peak: int
    device_peak: int | None
    states: int
    data: int | None
    growth: list[tuple[int, int]]
    limit: int | None
    checkpoint: int
    model: int
    notes: list[str]


class Enough(BaseException):
    """Stops a run as an interrupt would, but is none."""


class _Watch:
    """The listener of a run: notes the time of every step, and stops the run when enough were seen."""

    def __init__(self) -> None:
        self.read: Callable[[], float] = time.perf_counter
        self.steps: list[tuple[float, int, int]] = []
        self.notes: list[str] = []
        self._began = self._last = 0.0

    def begin(self, read: Callable[[], float]) -> None:
        """From now on, by this clock."""
        self.read = read
        self._last = read()

    def stepped(self, progress: Progress, total: int, loss: float) -> None:
        """Since the last event, with the place of the batch: epoch and number."""
        self.steps.append((self.read() - self._last, progress.epoch, progress.batch - 1))
        n = len(self.steps)
        if n == 1:
            # it may have compiled the model
            self._began = self.read()
        passed = self.read() - self._began
        if n >= _MOST_STEPS or any(passed > seconds and n >= steps for seconds, steps in _ENOUGH):
            raise Enough
        self._last = self.read()

    def validated(self, row: dict[str, float]) -> None:
        """What a validation took is no part of the next step."""
        self._last = self.read()

    def note(self, text: str) -> None:
        """Kept."""
        self.notes.append(text)


def trial(config: RunConfig, data: Prepared | None, compiled: bool, folder: Path, before: Before) -> Trial:
    """Begin a run in ``folder`` and measure it; for a process that then ends.

    Args:
        config: as it would be given to the run.
        data: of the run, if they were read already.
        compiled: compile the model if the run would.
        folder: for what the run writes.
        before: what the process needed until now.

    Raises:
        HermtkError: as ``new_run``.
    """
    began = time.perf_counter()
    watch = _Watch()
    # where it is left open the run decides
    compiling = config.training.compile if compiled else False
    training = config.training.model_copy(update={"compile": compiling, "loggers": []})
    run = new_run(config.model_copy(update={"training": training}), folder, watch, data)
    trainer, device = run.trainer, run.potential.device
    compiled = bool(run.config.training.compile)
    preparation = time.perf_counter() - began
    # the wall where it compiles, as other processes do that
    clock, read = ("wall", time.perf_counter) if compiled else _clock(run.config, device)
    watch.begin(read)
    with suppress(Enough):
        run.train()
    seconds = [step[0] for step in watch.steps]
    warm = min(_WARM_UP, len(seconds) // 2)
    order = trainer.train.order
    edges = [int(order.edges[order.epoch(epoch)[batch]].sum()) for _, epoch, batch in watch.steps]
    evaluation = _evaluation(run, read)
    progress = trainer.progress
    progress.weights = progress.weights or [weight.clone() for weight in trainer.average.weights]
    checkpoint = _checkpoint_size(run)
    run.keep(progress)
    peak, given = before.peak(), device_peak(device)
    _, epoch, batch = watch.steps[max(range(len(edges)), key=edges.__getitem__)]
    growth = list(_growth(run, order.epoch(epoch)[batch], before))
    first = order.epoch(0)
    return Trial(
        config=_planned(config, run).model_dump(mode="json"),
        elements=list(run.potential.elements),
        structures=run.facts["data"]["structures"],
        parameters=run.facts["parameters"],
        relations=Coverage.from_facts(run.facts["seen"]).relations(run.potential.table),
        seen=run.facts["seen"],
        steps=trainer.total,
        batches=len(first),
        samples=list(zip(seconds[warm:], edges[warm:], strict=True)),
        mean_edges=float(order.edges.sum()) / len(first),
        structures_per_batch=len(order.edges) / len(first),
        clock=clock,
        preparation=preparation,
        compiling=seconds[0] if compiled and not watch.notes else None,
        evaluation=evaluation,
        peak=peak,
        device_peak=given,
        states=_states(run),
        data=before.data,
        growth=growth,
        limit=before.limit if device.type == "cpu" else device_limit(device),
        checkpoint=checkpoint,
        model=run.model_path.stat().st_size,
        notes=watch.notes,
    )


def _planned(config: RunConfig, run: Run) -> RunConfig:
    """What training would write to config.yaml: as this run, but for what a trial leaves out."""
    left_out = {name: getattr(config.training, name) for name in ("compile", "loggers")}
    whole = run.config.model_copy(update={"training": run.config.training.model_copy(update=left_out)})
    return resolved(whole, run.data)


def _clock(config: RunConfig, device: torch.device) -> tuple[str, Callable[[], float]]:
    """CPU time of the process where one thread of it does all work: what else runs on the machine hardly counts then."""
    if device.type == "cpu" and config.threads == 1 and not config.training.workers:
        return "cpu", time.process_time

    def read() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    return "wall", read


def _growth(run: Run, places: Int[np.ndarray, " some"], before: Before) -> Iterator[tuple[int, int]]:
    """Edges and peaks of one batch, taken once, twice, four times ... until memory has grown with it twice."""
    trainer, device = run.trainer, run.potential.device
    one = together(run.data.items, places)
    limit = before.limit if device.type == "cpu" else device_limit(device)
    peaks: list[int] = []
    run.potential.train()
    while 2 ** len(peaks) <= _LARGEST:
        began = time.perf_counter()
        try:
            batch = join(run.potential, [one] * 2 ** len(peaks)).to(device)
            trainer.optimizers.zero_grad()
            trainer.loss(trainer.step(batch), batch).backward()
        except Exception as problem:
            if is_shortage(problem):
                return
            raise
        peaks.append(device_peak(device) or before.peak())
        yield batch.graph.n_edges, peaks[-1]
        # the first growth begins below what validation needed
        grown = len(peaks) > 1 and peaks[-2] - peaks[0] > _GROWN
        # twice as much must surely fit
        if grown or time.perf_counter() - began > _LONG or (limit is not None and 3 * peaks[-1] > limit):
            return


def _evaluation(run: Run, read: Callable[[], float]) -> float:
    """Seconds per structure of validation, as the loop does it."""
    trainer = run.trainer
    errors, taken = ErrorSums(target=trainer.target), []
    run.potential.eval()
    began = time.perf_counter()
    for batch in islice(trainer.validation.in_order(), 4):
        since = read()
        moved = batch.to(run.potential.device)
        prediction = trainer.evaluate(moved)
        errors.add(prediction, moved)
        errors.add_loss(trainer.loss(prediction, moved).detach())
        taken.append((read() - since, moved.graph.n_structures))
        if time.perf_counter() - began > 1:
            break
    counted = taken[1:] or taken
    return sum(seconds for seconds, _ in counted) / max(sum(structures for _, structures in counted), 1)


def _states(run: Run) -> int:
    """Bytes that stay from step to step."""
    weights = list(run.potential.parameters())
    gradients = [w.grad for w in weights if w.grad is not None]
    # the averaged weights, and the best of them
    averages = 2 * list(run.trainer.average.weights)
    return _bytes_of([weights, gradients, averages, run.trainer.optimizers.state_dict()])


def _bytes_of(value: Any) -> int:
    if isinstance(value, Tensor):
        return value.numel() * value.element_size()
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return sum(_bytes_of(part) for part in inner)


def _checkpoint_size(run: Run) -> int:
    """What is written for a checkpoint, put together in memory as then."""
    buffer = io.BytesIO()
    parts = {name: part.state_dict() for name, part in run.trainer.parts.items()}
    torch.save({"parts": parts, "weights": run.trainer.progress.weights}, buffer)
    return buffer.tell()
