"""The benchmark as a whole: what is recorded, what it is compared with, and what is kept when it is stopped."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from hermtk.benchmark import measure, run
from hermtk.benchmark.cases import Case, Settings, cases_of
from hermtk.benchmark.memory import MemoryMeter
from hermtk.benchmark.run import Benchmark
from hermtk.benchmark.systems import alloy, ethanols
from hermtk.errors import HermtkError

TINY = Settings(channels=4, layers=1, cutoff=3.0)
SIZES = [[alloy(4, 1), alloy(4, 2)], [ethanols(2)]]
BOTH = ("training", "inference")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> list[Case]:
    """Samples of one call, and a memory meter without a helper process; the cases that it was asked for."""
    asked: list[Case] = []

    class Meter(MemoryMeter):
        def peak(self, case: Case) -> int:
            asked.append(case)
            return 3 * run.MIB

    monkeypatch.setattr(run, "MemoryMeter", Meter)
    monkeypatch.setattr(run, "calls_per_sample", lambda call, read: measure.calls_per_sample(call, read, 0.0))
    return asked


def made(groups: Sequence[Sequence[Case]] | None = None, repeats: int = 3) -> Benchmark:
    return Benchmark(groups or cases_of(["painn"], ["homogeneous", "htnet"], SIZES, BOTH), TINY, repeats)


def as_json(benchmark: Benchmark) -> dict[str, Any]:
    return json.loads(json.dumps(benchmark.results(), allow_nan=False))


def test_every_case_has_its_samples_and_figures():
    benchmark = made()
    benchmark.run()
    found = as_json(benchmark)
    assert found["complete"]
    assert len(found["cases"]) == 12
    for row in found["cases"]:
        assert row["problem"] == ""
        assert len(row["cpu_ms"]) == len(row["wall_ms"]) == 3
        assert row["min_ms"] <= row["median_ms"] <= row["max_ms"]
        assert row["median_ms"] == sorted(row["cpu_ms"])[1]
        assert row["us_per_atom"] == pytest.approx(1e3 * row["median_ms"] / row["atoms"])
        assert row["us_per_edge"] == pytest.approx(1e3 * row["median_ms"] / row["edges"])
        assert row["peak_mib"] == 3
        assert row["bytes_per_edge"] == pytest.approx(3 * 2**20 / row["edges"])
        assert row["parameters"] > 0
    relations = {(r["system"], r["elements"], r["variant"]): r["relations"] for r in found["cases"]}
    assert relations["alloy of 4 atoms", 2, "htnet"] == 6
    assert relations["2 ethanols", 3, "htnet"] == 18
    assert relations["2 ethanols", 3, "homogeneous"] == 1


def test_the_machine_the_settings_and_the_neighbor_lists_are_recorded():
    benchmark = made()
    benchmark.run()
    found = as_json(benchmark)
    assert found["settings"] == {
        "channels": 4,
        "layers": 1,
        "cutoff": 3.0,
        "dtype": "float32",
        "device": "cpu",
        "threads": 1,
        "repeats": 3,
        "clock": "cpu",
    }
    assert {"processor", "cores", "torch", "python"} <= set(found["machine"])
    assert set(found["neighbor_lists"]) == {"alloy of 4 atoms", "2 ethanols"}
    lists = found["neighbor_lists"]["2 ethanols"]
    assert lists["atoms"] == 18
    assert lists["edges"] == {row["edges"] for row in found["cases"] if row["system"] == "2 ethanols"}.pop()
    assert lists["median_ms"] > 0


def test_the_cases_of_a_group_are_measured_by_turns(monkeypatch: pytest.MonkeyPatch):
    order: list[int] = []

    def traced(calls, counts, repeats, read):
        for which, reading in measure.by_turns(calls, counts, repeats, read):
            order.append(which)
            yield which, reading

    monkeypatch.setattr(run, "by_turns", traced)
    made(cases_of(["painn"], ["homogeneous", "htnet"], SIZES[:1], ["inference"])).run()
    assert order == [0, 1, 2, 3] * 3


def test_a_ratio_is_to_the_first_case_of_the_same_job_and_geometry():
    benchmark = made()
    benchmark.run()
    rows = as_json(benchmark)["cases"]
    for group in range(4):
        first, *others = [row for row in rows if row["group"] == group]
        assert first["ratio"] == 1
        for row in others:
            assert row["compared_with"] == "grouped homogeneous"
            assert row["ratio"] == pytest.approx(row["median_ms"] / first["median_ms"])


def test_against_looped_a_ratio_is_to_the_looped_form_of_the_same_case():
    benchmark = made(cases_of(["painn"], ["hvnet", "htnet"], SIZES[:1], ["inference"], against_looped=True))
    benchmark.run()
    rows = as_json(benchmark)["cases"]
    for grouped, looped in zip(rows[::2], rows[1::2], strict=True):
        assert (grouped["how"], looped["how"]) == ("grouped", "looped")
        assert (grouped["variant"], grouped["elements"]) == (looped["variant"], looped["elements"])
        assert grouped["compared_with"] == f"looped {looped['variant']}"
        assert grouped["ratio"] == pytest.approx(grouped["median_ms"] / looped["median_ms"])
        assert looped["ratio"] == 1


def test_every_step_is_reported_and_every_group(quick: list[Case]):
    benchmark, steps, groups = made(), [], []
    benchmark.run(steps.append, lambda: groups.append(len(benchmark.measured)))
    assert sum(steps) == benchmark.steps == 12 * 5
    assert groups == [4, 6, 10, 12]
    assert quick == [case for group in benchmark.groups for case in group]


@pytest.mark.parametrize("after", [1, 4, 7, 15, 21, 33])
def test_an_interrupt_keeps_what_was_measured(after: int):
    benchmark, steps = made(), []

    def step(done: int) -> None:
        steps.append(done)
        if len(steps) == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        benchmark.run(step)
    found = as_json(benchmark)
    assert not found["complete"]
    # each of four cases is prepared, then sampled three times, then its memory measured: 20 steps, then two cases' 10
    samples = {1: 0, 4: 0, 7: 3, 15: 11, 21: 12, 33: 18}[after]
    assert sum(len(row["cpu_ms"]) for row in found["cases"]) == samples
    assert all(("median_ms" in row) == bool(row["cpu_ms"]) for row in found["cases"])


def test_a_case_that_cannot_be_run_says_why_and_costs_the_others_nothing(monkeypatch: pytest.MonkeyPatch):
    real = run.workload

    def workload(case: Case, settings: Settings):
        if case.variant == "htnet":
            raise RuntimeError("out of memory: 9 GiB\nand more")
        return real(case, settings)

    monkeypatch.setattr(run, "workload", workload)
    benchmark, steps = made(), []
    benchmark.run(steps.append)
    found = as_json(benchmark)
    assert found["complete"]
    assert sum(steps) == benchmark.steps
    for row in found["cases"]:
        assert row["problem"] == ("out of memory: 9 GiB" if row["variant"] == "htnet" else "")
        assert ("median_ms" in row) == ("peak_mib" in row) == (row["variant"] != "htnet")


def test_memory_that_cannot_be_measured_leaves_the_time(monkeypatch: pytest.MonkeyPatch):
    def refuse(self: object, case: Case) -> int:
        raise HermtkError("it was killed")

    monkeypatch.setattr(run.MemoryMeter, "peak", refuse)
    benchmark = made(cases_of(["painn"], ["hvnet"], SIZES[:1], ["inference"]))
    benchmark.run()
    for row in as_json(benchmark)["cases"]:
        assert row["problem"] == "memory could not be measured: it was killed"
        assert row["median_ms"] > 0
        assert "peak_mib" not in row
