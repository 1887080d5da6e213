"""Times of calls, taken by turns so that what disturbs one disturbs all.

The clock is the CPU time of the process where all work is done by one thread of it: what else runs on the machine then hardly
counts. With more threads, or on an accelerator, it is the time on the wall after all work has ended.
"""

import gc
import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch

# seconds that a sample lasts at least: shorter calls are repeated within it
SHORTEST = 0.02


class Reading(NamedTuple):
    """CPU time of the process and time on the wall, seconds; of a sample, per call."""

    cpu: float
    wall: float


Clocks = Callable[[], Reading]


def clocks(device: str = "cpu") -> Clocks:
    """Both clocks, read when the device has done what it was given."""
    accelerator = torch.device(device).type

    def read() -> Reading:
        if accelerator == "cuda":
            torch.cuda.synchronize(device)
        elif accelerator == "mps":
            torch.mps.synchronize()
        return Reading(time.process_time(), time.perf_counter())

    return read


def clock_that_counts(device: str, threads: int) -> str:
    """``cpu`` or ``wall``."""
    return "cpu" if torch.device(device).type == "cpu" and threads == 1 else "wall"


def calls_per_sample(call: Callable[[], Any], read: Clocks, shortest: float = SHORTEST) -> int:
    """Warm up by two calls; how many make a sample that lasts ``shortest`` seconds."""
    call()
    return max(1, math.ceil(shortest / max(sample(call, 1, read).wall, 1e-9)))


def by_turns(
    calls: Sequence[Callable[[], Any]],
    counts: Sequence[int],
    repeats: int,
    read: Clocks,
) -> Iterator[tuple[int, Reading]]:
    """A sample of each, then another of each, ``repeats`` times: which call, and seconds per call.

    The first call of a sample is not counted: it finds the caches full of what the call before it has left. Whoever stops in
    the middle keeps what came until then.
    """
    for _ in range(repeats):
        for which, (call, count) in enumerate(zip(calls, counts, strict=True)):
            call()
            yield which, sample(call, count, read)


def sample(call: Callable[[], Any], count: int, read: Clocks) -> Reading:
    """Seconds per call over ``count`` calls in a row; Python's garbage collector waits until they are done."""
    gc.disable()
    try:
        begin = read()
        for _ in range(count):
            call()
        end = read()
    finally:
        gc.enable()
    return Reading((end.cpu - begin.cpu) / count, (end.wall - begin.wall) / count)


def summary(seconds: Sequence[float]) -> dict[str, float]:
    """Median, smallest and largest of the samples, in ms."""
    return {
        "median_ms": 1e3 * statistics.median(seconds),
        "min_ms": 1e3 * min(seconds),
        "max_ms": 1e3 * max(seconds),
    }


@contextmanager
def threads(n: int) -> Iterator[None]:
    """So many CPU threads inside the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)
