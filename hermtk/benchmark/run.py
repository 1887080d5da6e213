"""The benchmark: time and memory of every case, group after group; what was measured is kept whenever it is stopped."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import torch

from hermtk import __version__
from hermtk.benchmark.cases import Case, Settings, Workload, workload
from hermtk.benchmark.machine import machine
from hermtk.benchmark.measure import (
    Clocks,
    Reading,
    by_turns,
    calls_per_sample,
    clock_that_counts,
    clocks,
    sample,
    summary,
    threads,
)
from hermtk.benchmark.memory import MemoryMeter
from hermtk.benchmark.systems import System, structures
from hermtk.errors import HermtkError
from hermtk.graph.build import build_graph

MIB = 2**20


@dataclass
class Measured:
    """A case and what is known of it.

    Attributes:
        case: what was run.
        group: cases with the same number were measured by turns.
        relations, parameters: of the model.
        edges: of the system.
        calls: how many make a sample.
        samples: seconds per call.
        peak: bytes; None where it is not known.
        problem: why it could not be run; empty where it could.
    """

    case: Case
    group: int
    relations: int = 0
    parameters: int = 0
    edges: int = 0
    calls: int = 0
    samples: list[Reading] = field(default_factory=list)
    peak: int | None = None
    problem: str = ""


@dataclass
class Benchmark:
    """``run`` measures, ``results`` says what has been measured so far.

    Attributes:
        groups: cases, those of a group are measured by turns.
        settings: what they share.
        repeats: samples per case.
        measured: grows while it runs.
        neighbor_lists: ms by name of the system, with its edges and atoms.
        complete: whether all was measured.
    """

    groups: Sequence[Sequence[Case]]
    settings: Settings
    repeats: int
    measured: list[Measured] = field(default_factory=list)
    neighbor_lists: dict[str, dict[str, Any]] = field(default_factory=dict)
    complete: bool = False

    @property
    def steps(self) -> int:
        """How often ``run`` reports that it goes on: preparing, each sample and the memory of every case."""
        return sum(len(group) for group in self.groups) * (self.repeats + 2)

    def run(
        self,
        on_step: Callable[[int], None] = lambda done: None,
        on_group: Callable[[], None] = lambda: None,
    ) -> None:
        """Measure everything; an interrupt keeps what there is.

        Args:
            on_step: told how many of ``steps`` were done since it was last called.
            on_group: called after each group.
        """
        with threads(self.settings.threads), MemoryMeter(self.settings) as meter:
            for number, group in enumerate(self.groups):
                self._run_group(number, group, meter, on_step)
                on_group()
        self.complete = True

    def _run_group(
        self, number: int, group: Sequence[Case], meter: MemoryMeter, on_step: Callable[[int], None]
    ) -> None:
        read = clocks(self.settings.device)
        members: list[Measured] = []
        calls: list[Callable[[], Any]] = []
        for case in group:
            self._time_neighbor_list(case.system, read)
            measured = Measured(case, number)
            self.measured.append(measured)
            if work := self._prepare(measured, read):
                members.append(measured)
                calls.append(work.call)
            on_step(1 if work else self.repeats + 2)
        for which, reading in by_turns(calls, [m.calls for m in members], self.repeats, read):
            members[which].samples.append(reading)
            on_step(1)
        # models and compiled steps of this group are not needed any more
        calls.clear()
        if any(case.compiled for case in group):
            torch.compiler.reset()
        for measured in members:
            try:
                measured.peak = meter.peak(measured.case)
            except HermtkError as problem:
                measured.problem = f"memory could not be measured: {problem}"
            on_step(1)

    def _prepare(self, measured: Measured, read: Clocks) -> Workload | None:
        try:
            work = workload(measured.case, self.settings)
            measured.calls = calls_per_sample(work.call, read)
        # a case that this machine cannot run, by memory or by its compiler, must not cost the others' results
        except (HermtkError, MemoryError, RuntimeError) as problem:
            measured.problem = (str(problem).splitlines() or [type(problem).__name__])[0]
            return None
        measured.relations = len(work.potential.table)
        measured.parameters = sum(p.numel() for p in work.potential.parameters())
        measured.edges = work.n_edges
        return work

    def _time_neighbor_list(self, system: System, read: Clocks) -> None:
        if system.name in self.neighbor_lists:
            return
        made = structures(system)

        def build() -> Any:
            return build_graph(made, self.settings.cutoff)

        graph, count = build(), calls_per_sample(build, read)
        readings = [sample(build, count, read) for _ in range(self.repeats)]
        self.neighbor_lists[system.name] = {
            "atoms": graph.n_atoms,
            "edges": graph.n_edges,
            # built on the CPU, on any device
            **summary([reading.cpu for reading in readings]),
        }

    def results(self) -> dict[str, Any]:
        """Machine, settings and every figure, for JSON."""
        clock = clock_that_counts(self.settings.device, self.settings.threads)
        return {
            "hermtk": __version__,
            "date": datetime.now().astimezone().isoformat(timespec="seconds"),
            "complete": self.complete,
            "machine": machine(self.settings.device),
            "settings": {**asdict(self.settings), "repeats": self.repeats, "clock": clock},
            "neighbor_lists": self.neighbor_lists,
            "cases": [self._row(measured, clock) for measured in self.measured],
        }

    def _row(self, measured: Measured, clock: str) -> dict[str, Any]:
        case, edges = measured.case, measured.edges
        row: dict[str, Any] = {
            "group": measured.group,
            "job": case.job,
            "kind": case.system.kind,
            "system": case.system.name,
            "elements": case.system.n_elements,
            "subnet": case.subnet,
            "variant": case.variant,
            "how": case.how,
            "atoms": self.neighbor_lists[case.system.name]["atoms"],
            "edges": edges,
            "relations": measured.relations,
            "parameters": measured.parameters,
            "problem": measured.problem,
        }
        if measured.samples:
            time = summary([getattr(reading, clock) for reading in measured.samples])
            row |= time
            row["us_per_atom"] = 1e3 * time["median_ms"] / row["atoms"]
            row["us_per_edge"] = 1e3 * time["median_ms"] / edges if edges else None
            reference = self._reference(measured)
            if reference is not None and reference.samples:
                of_reference = summary([getattr(reading, clock) for reading in reference.samples])
                row["compared_with"] = f"{reference.case.how} {reference.case.variant}"
                row["ratio"] = time["median_ms"] / of_reference["median_ms"]
        if measured.peak is not None:
            row["peak_mib"] = measured.peak / MIB
            row["bytes_per_atom"] = measured.peak / row["atoms"]
            row["bytes_per_edge"] = measured.peak / edges if edges else None
        return row | {
            "calls_per_sample": measured.calls,
            "cpu_ms": [1e3 * reading.cpu for reading in measured.samples],
            "wall_ms": [1e3 * reading.wall for reading in measured.samples],
        }

    def _reference(self, measured: Measured) -> Measured | None:
        """What a case is compared with: its looped form where that is measured, else the first case of its group."""
        group = [other for other in self.measured if other.group == measured.group]
        own = (measured.case.subnet, measured.case.variant, measured.case.system)
        twins = [m for m in group if m.case.looped and (m.case.subnet, m.case.variant, m.case.system) == own]
        return next(iter(twins or group), None)
