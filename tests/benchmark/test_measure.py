"""Samples of time, by a clock that the tests move."""

import gc
from collections.abc import Callable
from itertools import islice

import pytest
import torch

from hermtk.benchmark.measure import (
    Reading,
    by_turns,
    calls_per_sample,
    clock_that_counts,
    clocks,
    sample,
    summary,
    threads,
)


class Clock:
    """Time passes only in calls; CPU time half as fast as that on the wall."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> Reading:
        return Reading(0.5 * self.now, self.now)

    def lasting(self, seconds: float, trace: list[float] | None = None) -> Callable[[], None]:
        """A call that takes so long."""

        def call() -> None:
            self.now += seconds
            if trace is not None:
                trace.append(seconds)

        return call


def test_calls_are_taken_by_turns_after_one_that_does_not_count():
    clock, trace = Clock(), []
    calls = [clock.lasting(seconds, trace) for seconds in (1.0, 2.0, 4.0)]
    found = list(by_turns(calls, [1, 2, 1], 3, clock))
    assert trace == [1.0, 1.0, 2.0, 2.0, 2.0, 4.0, 4.0] * 3
    assert [which for which, _ in found] == [0, 1, 2] * 3
    assert [reading.wall for _, reading in found] == pytest.approx([1.0, 2.0, 4.0] * 3)
    assert [reading.cpu for _, reading in found] == pytest.approx([0.5, 1.0, 2.0] * 3)


def test_whoever_stops_keeps_what_came_until_then():
    clock = Clock()
    rounds = by_turns([clock.lasting(1.0), clock.lasting(2.0)], [1, 1], 1000, clock)
    assert [which for which, _ in islice(rounds, 3)] == [0, 1, 0]
    assert clock.now == pytest.approx(108.0)


@pytest.mark.parametrize(("seconds", "calls"), [(1.0, 1), (0.02, 1), (0.006, 4), (0.0002, 100)])
def test_short_calls_are_repeated_within_a_sample(seconds: float, calls: int):
    clock = Clock()
    assert calls_per_sample(clock.lasting(seconds), clock, shortest=0.0199) == calls


def test_the_first_call_decides_nothing():
    clock, durations = Clock(), iter([50.0, 0.001])

    def call() -> None:
        clock.now += next(durations)

    assert calls_per_sample(call, clock, shortest=0.0099) == 10


def test_no_garbage_is_collected_within_a_sample_but_afterwards_again():
    seen = []

    def call() -> None:
        seen.append(gc.isenabled())
        raise RuntimeError

    with pytest.raises(RuntimeError):
        sample(call, 1, Clock())
    assert seen == [False]
    assert gc.isenabled()


def test_the_real_clocks_go_forward_and_work_counts_for_both():
    read = clocks()
    before = read()
    sum(range(10**6))
    after = read()
    assert after.cpu > before.cpu
    assert after.wall > before.wall


@pytest.mark.parametrize(
    ("device", "n", "clock"), [("cpu", 1, "cpu"), ("cpu", 2, "wall"), ("cuda", 1, "wall"), ("mps", 1, "wall")]
)
def test_cpu_time_counts_where_one_thread_does_all_the_work(device: str, n: int, clock: str):
    assert clock_that_counts(device, n) == clock


def test_a_summary_is_in_ms():
    found = summary([0.002, 0.001, 0.009])
    assert found == {
        "median_ms": pytest.approx(2.0),
        "min_ms": pytest.approx(1.0),
        "max_ms": pytest.approx(9.0),
    }


def test_the_number_of_threads_is_put_back():
    before = torch.get_num_threads()
    with threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
