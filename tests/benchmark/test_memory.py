"""Peak memory: of calls whose need is known, and of cases in the helper process."""

import signal
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from hermtk.benchmark import memory
from hermtk.benchmark.cases import Case, Settings, Workload, workload
from hermtk.benchmark.memory import MemoryMeter, can_measure, peak_of
from hermtk.benchmark.systems import alloy
from hermtk.errors import HermtkError

MIB = 2**20
TINY = Settings(channels=16, layers=1, cutoff=4.0)
CASE = Case("painn", "hvnet", alloy(32, 2), "training")

pytestmark = pytest.mark.skipif(not can_measure("cpu"), reason="resident memory is measured on Linux only")


@pytest.fixture(scope="module")
def meter():
    with MemoryMeter(TINY) as found:
        yield found


@pytest.mark.parametrize("held", [0, 160])
def test_the_peak_is_what_a_call_needs_for_a_moment_whatever_is_there_already(held: int):
    kept = torch.ones(held * MIB // 4)

    def call() -> None:
        for size in (80, 120, 40):
            torch.ones(size * MIB // 4)

    work = workload(replace(CASE, system=alloy(4, 1)), TINY)
    assert peak_of(Workload(work.potential, 0, call)) / MIB == pytest.approx(120, abs=4)
    assert kept.numel() == held * MIB // 4


def test_the_peak_grows_with_the_system_and_comes_out_the_same_again(meter: MemoryMeter):
    # in equal steps; the smallest is not of size zero
    small, middle, large, again = (
        (meter.peak(replace(CASE, system=alloy(n, 2))) or 0) / MIB for n in (100, 500, 900, 500)
    )
    assert 0 < small < middle
    assert large - middle == pytest.approx(middle - small, rel=0.5)
    assert again == pytest.approx(middle, abs=1)


def test_a_case_that_cannot_be_built_is_an_error_and_the_next_one_is_measured(meter: MemoryMeter):
    with pytest.raises(HermtkError, match="UnknownName: no subnet named 'pain'"):
        meter.peak(replace(CASE, subnet="pain"))
    assert meter.peak(CASE)


KILLED = """
import os, signal
from hermtk.benchmark import memory
memory._answer = lambda question: os.kill(os.getpid(), signal.SIGKILL)
print(memory._in_a_fork({})["problem"])
"""


def test_a_case_that_is_killed_is_an_error():
    # stands for the machine that kills what needs too much memory; not here, a fork of the tests would inherit their threads
    command = [sys.executable, "-W", "ignore", "-c", KILLED]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "it was killed by signal 9, as for too much memory\n"


def test_the_helper_ends_with_the_block_and_its_death_is_said():
    with MemoryMeter(TINY) as own:
        assert own.peak(replace(CASE, system=alloy(4, 1))) is not None
        helper = own._helper
        assert helper is not None
        helper.kill()
        helper.wait()
        with pytest.raises(HermtkError, match="has ended"):
            own.peak(CASE)
    with MemoryMeter(TINY) as own:
        own._helper = memory._start()
    assert own._helper.returncode == -signal.SIGKILL


def test_where_nothing_can_be_measured_nothing_is_started(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(memory, "_RESET", memory.Path("/nowhere/clear_refs"))
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with MemoryMeter(TINY) as own:
        assert own.peak(CASE) is None
    with MemoryMeter(replace(TINY, device="mps")) as own:
        assert own.peak(CASE) is None
