"""Batches made ahead of time in processes of their own."""

from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

Made = TypeVar("Made")


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
            persistent_workers=True,
            multiprocessing_context="forkserver",
            # else torch's own random numbers would be drawn from, and a run would depend on the workers
            generator=torch.Generator(),
        )

    def __call__(self, batches: Sequence[np.ndarray]) -> Iterator[Made]:
        """The batches of these structures, one after the other."""
        self._wanted.batches = batches
        return iter(self._loader)


def _as_it_is(batch: Made) -> Made:
    return batch
