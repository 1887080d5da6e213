"""Processes that train one model together: each takes its share of every batch, and the gradients are summed.

All walk the same batches in the same order and take the same optimiser steps, so nothing but sums ever travels between them.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor, nn

from hermtk.errors import HermtkError, RunError, UnknownName
from hermtk.training.place import place_in

# the longest that the others wait for one of them in a step: the first may compile for minutes
_STEP = timedelta(minutes=10)
# reading data and finding neighbours may take hours; a process that ends meanwhile is noticed at once
_START = timedelta(days=2)

Value = TypeVar("Value")


class ProcessLost(RunError):
    """Another process of the run has ended or does not answer."""


class SaidElsewhere(RunError):
    """The run failed, and another process says why."""


@dataclass(frozen=True)
class Processes:
    """What one process knows of all that train with it; alone it does nothing that a run without it would not do."""

    rank: int = 0
    count: int = 1
    local: int = 0
    # in which one waits for as long as reading data may take
    patient: Any = None

    @property
    def first(self) -> bool:
        """Whether this is the one that writes files and shows progress."""
        return self.rank == 0

    @property
    def in_words(self) -> str:
        """``process 2 of 4``."""
        return f"process {self.rank + 1} of {self.count}"

    def device(self, name: str) -> torch.device:
        """The device to train on; of several GPUs of a machine each process has its own.

        Raises:
            RunError: it cannot be used here; says why.
            UnknownName: torch knows no such device.
        """
        if name.startswith("mps"):
            raise RunError(
                "the device 'mps' cannot be used: it has no float64, in which energies are summed; use cpu"
            )
        if name == "cuda" and self.count > 1 and torch.cuda.device_count() > 1:
            if self.local >= torch.cuda.device_count():
                raise RunError(
                    f"{self.in_words} has no GPU of its own: this machine shows {torch.cuda.device_count()}; "
                    "start as many processes on it"
                )
            name = f"cuda:{self.local}"
        try:
            device = torch.device(name)
        except RuntimeError:
            raise UnknownName("device", name, ["cpu", "cuda"]) from None
        try:
            torch.zeros(1, device=device)
            if device.type == "cuda":
                torch.cuda.set_device(device)
        except (RuntimeError, AssertionError) as problem:
            reason = (str(problem).splitlines() or [""])[0].rstrip(".")
            raise RunError(f"the device {name!r} cannot be used here: {reason}; cpu always can") from None
        return device

    def sum(self, numbers: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
        """Numbers in the main memory summed over all processes: the same on each, bit for bit.

        Raises:
            ProcessLost: another process has ended.
        """
        if self.count > 1:
            with self._watching():
                dist.all_reduce(numbers)
        return numbers

    def any(self, flag: bool) -> bool:
        """Whether it is so on any process."""
        return flag if self.count == 1 else bool(self.sum(torch.tensor([float(flag)])).item())

    def sum_gradients(
        self, parameters: Sequence[nn.Parameter], numbers: Float[Tensor, " n"]
    ) -> Float[Tensor, " n"]:
        """Every parameter gets the sum of its gradients over all processes; so do some numbers in the main memory.

        A parameter that some processes did not use counts zero there; one that none used keeps no gradient, and the optimiser
        leaves it alone as it would in one process.

        Raises:
            ProcessLost: another process has ended.
        """
        if self.count == 1:
            return numbers
        trained = [p for p in parameters if p.requires_grad]
        used = torch.tensor([p.grad is not None for p in trained], dtype=numbers.dtype)
        told = torch.cat([numbers, used])
        with self._watching():
            telling = dist.all_reduce(told, async_op=True)
            for dtype in dict.fromkeys(p.dtype for p in trained):
                _sum_flat([p for p in trained if p.dtype == dtype])
            if telling is not None:
                telling.wait()
        for parameter, uses in zip(trained, told[len(numbers) :].tolist(), strict=True):
            if not uses:
                parameter.grad = None
        return told[: len(numbers)]

    def start_alike(self, data: Any, model: nn.Module, averages: Sequence[Tensor]) -> None:
        """Start with the weights of the first process, on the same data.

        Raises:
            RunError: a process has other data.
        """
        if self.count == 1:
            return
        found: list[Any] = [None] * self.count
        with self._watching():
            dist.all_gather_object(found, data, group=self.patient)
            for tensor in [*model.state_dict().values(), *averages]:
                dist.broadcast(tensor, src=0)
        if strange := [str(rank + 1) for rank, value in enumerate(found) if value != found[0]]:
            raise self.shared(
                RunError(f"process {', '.join(strange)} of {self.count} reads other data than process 1")
            )

    def from_first(self, value: Value) -> Value:
        """What the first process has: a plain value, the same on all."""
        if self.count == 1:
            return value
        box: list[Value] = [value]
        with self._watching():
            dist.broadcast_object_list(box, src=0, group=self.patient)
        return box[0]

    @contextmanager
    def together(self) -> Iterator[None]:
        """What fails in the block on one process fails on all; it is said once, by the first on which it happened.

        Raises:
            SaidElsewhere: on all others.
        """
        if self.count == 1:
            yield
            return
        problem: Exception | None = None
        try:
            yield
        except ProcessLost:
            raise
        except Exception as found:
            problem = found
        failed: list[bool] = [False] * self.count
        with self._watching():
            dist.all_gather_object(failed, problem is not None, group=self.patient)
        if not any(failed):
            return
        speaker = failed.index(True)
        if speaker != self.rank:
            raise SaidElsewhere(f"process {speaker + 1} of {self.count} failed")
        assert problem is not None
        if isinstance(problem, HermtkError) and not self.first:
            raise RunError(f"{self.in_words}: {problem}") from problem
        raise problem

    def shared(self, problem: HermtkError) -> HermtkError:
        """A problem that all processes have at the same time, for the first to say."""
        return problem if self.first else SaidElsewhere(str(problem))

    @contextmanager
    def _watching(self) -> Iterator[None]:
        """While processes wait for each other."""
        try:
            yield
        except RuntimeError as problem:
            reason = (str(problem).splitlines() or [""])[0]
            lost = "timed out" not in reason.lower()
            what = "has ended" if lost else f"has not answered for {_STEP.total_seconds() / 60:.0f} minutes"
            raise ProcessLost(
                f"{self.in_words} stops: another process of the run {what}. Go on from the last checkpoint with --resume"
            ) from problem


ALONE = Processes()


@contextmanager
def processes(environment: Mapping[str, str] = os.environ) -> Iterator[Processes]:
    """The processes that were started together with this one, for the time of a run: it meets them and takes leave of them.

    Numbers in the main memory travel by gloo, gradients on GPUs by NCCL.

    Raises:
        RunError: they do not find each other.
    """
    place = place_in(environment)
    if place is None:
        yield ALONE
        return
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    try:
        dist.init_process_group(
            backend, place.meeting, timeout=_STEP, world_size=place.count, rank=place.rank
        )
        patient = dist.new_group(timeout=_START, backend="gloo")
    except (RuntimeError, ValueError) as problem:
        reason = (str(problem).splitlines() or [""])[0]
        raise RunError(
            f"process {place.rank + 1} of {place.count} did not find the others: {reason}"
        ) from problem
    try:
        yield Processes(place.rank, place.count, place.local, patient)
    finally:
        dist.destroy_process_group()


def _sum_flat(parameters: Sequence[nn.Parameter]) -> None:
    """Gradients of one dtype, summed as one array; zeros where there is none."""
    parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    flat = torch.cat([part.reshape(-1) for part in parts])
    dist.all_reduce(flat)
    for parameter, summed in zip(parameters, flat.split([p.numel() for p in parameters]), strict=True):
        parameter.grad = summed.view_as(parameter)
