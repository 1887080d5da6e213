"""Batches made ahead of time in processes of their own."""

import signal
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Generic, TypeVar

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

Made = TypeVar("Made")

# seconds
_LONGER = 30


class _Making(Dataset, Generic[Made]):
    """What the processes run: from the places of a batch's structures to the batch."""

    def __init__(self, make: Callable[[np.ndarray], Made]) -> None:
        self.make = make

    def __getitem__(self, places: np.ndarray) -> Made:
        return self.make(places)


class _Wanted(Sampler[np.ndarray]):
    """The batches to be made next."""

    def __init__(self) -> None:
        self.batches: Sequence[np.ndarray] = ()

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


class Ahead(Generic[Made]):
    """Makes batches in ``workers`` processes that stay, two in advance each, and hands them over in the order asked for.

    The processes are started clean (forkserver), so ``make`` is sent to them and must be something that can be.
    """

    def __init__(self, make: Callable[[np.ndarray], Made], workers: int) -> None:
        self._wanted = _Wanted()
        self._loader = DataLoader(
            _Making(make),
            batch_size=None,
            sampler=self._wanted,
            num_workers=workers,
            collate_fn=_as_it_is,
            worker_init_fn=_outlive,
            persistent_workers=True,
            multiprocessing_context="forkserver",
            # else torch's own random numbers would be drawn from, and a run would depend on the workers
            generator=torch.Generator(),
        )

    def __call__(self, batches: Sequence[np.ndarray]) -> Iterator[Made]:
        """The batches of these structures, one after the other."""
        self._wanted.batches = batches
        return iter(self._loader)


def _outlive(worker: int) -> None:
    """Signals that are sent to all processes of a job are the run's to answer: it still wants the batches of its last step."""
    for name in ("SIGINT", "SIGUSR1"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    if hasattr(signal, "alarm"):
        signal.signal(signal.SIGTERM, _end_later)


def _end_later(number: int, frame: FrameType | None) -> None:
    """Wait for the run to end, not for ever; whoever asks twice does not want to wait."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.alarm(_LONGER)


def _as_it_is(batch: Made) -> Made:
    return batch
