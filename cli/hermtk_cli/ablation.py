"""What `hermtk ablate` shows: the runs before they start, the table while they go, the answer."""

import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from hermtk.ablation.findings import Findings
from hermtk.ablation.jobs import Job
from hermtk.ablation.running.local import visible_gpus, workers_for
from hermtk.ablation.running.outcome import Outcome
from hermtk.ablation.running.progress import Progress
from hermtk.data.targets import find_target
from hermtk.memory import available, gib
from hermtk_cli.output import print_json, stderr, stdout
from hermtk_cli.tables import duration, number
from hermtk_cli.training import validation_errors

if TYPE_CHECKING:
    from hermtk.ablation.prepare import Prepared

_MARKS = {
    "finished": ("●", "green"),
    "failed": ("✗", "red"),
    "stopped": ("○", "dim"),
    "running": ("◐", "cyan"),
}
_KINDS = {"better": "green", "worse": "red", "missing": "yellow"}


def workers(prepared: "Prepared", cores: int) -> int:
    """How many runs go at once if nobody says."""
    left = [job for job in prepared.jobs if not job.finished]
    return workers_for(left or prepared.jobs, cores, available(), len(visible_gpus()))


def show_plan(prepared: "Prepared", workers: int, as_json: bool) -> None:
    """The arms with what their runs will need."""
    study, left = prepared.study, [job for job in prepared.jobs if not job.finished]
    total = sum(job.arm.run_seconds or 0.0 for job in left) / workers
    if as_json:
        rows = [
            {"name": arm.name, **{key: value for key, value in arm.facts().items() if key != "config"}}
            | {"channels": arm.config.model.channels, "steps": arm.config.training.steps}
            for arm in prepared.arms
        ]
        print_json(
            {
                "arms": rows,
                "seeds": study.seeds,
                "runs": len(prepared.jobs),
                "left": len(left),
                "workers": workers,
                "seconds": total,
            }
        )
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("arm", no_wrap=True)
    for head in ("channels", "parameters", "steps", "ms/step", "a run", "memory"):
        table.add_column(head, justify="right")
    for arm in prepared.arms:
        steps = arm.config.training.steps
        table.add_row(
            arm.name,
            str(arm.config.model.channels),
            f"{arm.parameters:,}",
            "as the run" if steps is None else f"{steps:,}",
            number(1e3 * arm.step_seconds) if arm.step_seconds else "",
            duration(arm.run_seconds) if arm.run_seconds else "",
            gib(arm.peak) if arm.peak else "",
        )
    stdout().print(table)
    stdout().print(
        f"{len(prepared.jobs)} runs ({len(prepared.arms)} arms, {len(study.seeds)} seeds), {len(left)} to be done; "
        f"{workers} at once: about {duration(total)}. Nothing was begun."
    )


def show_findings(found: Findings, page: Path, as_json: bool) -> None:
    """The verdicts and where the report is."""
    if as_json:
        from hermtk.ablation.report.values import values_of

        print_json(values_of(found))
        return
    for verdict in found.verdicts:
        stdout().print(Text(verdict.text, style=_KINDS.get(verdict.kind, "")), soft_wrap=True)
    stdout().print(f"report: {page}")


class Board:
    """The table of a study while it runs; on a terminal that cannot redraw, a line for each event."""

    def __init__(self, prepared: "Prepared") -> None:
        self.prepared, self.console = prepared, stderr()
        self.states: dict[str, str] = {}
        self.running: dict[str, tuple[Job, Progress]] = {}
        self.began_at, self.done = time.monotonic(), 0
        self.live = Live(console=self.console, refresh_per_second=2, get_renderable=self._table)

    def __enter__(self) -> "Board":
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.console.is_terminal:
            self.live.stop()

    def began(self, job: Job) -> None:
        """A run has been started."""
        self.states[job.name] = "running"
        self.running[job.name] = job, Progress()
        self._line(f"{job.name}: begins")

    def progressed(self, job: Job, progress: Progress) -> None:
        """A run has come so far."""
        self.running[job.name] = job, progress

    def ended(self, job: Job, outcome: Outcome) -> None:
        """A run has ended, or was there already."""
        self.running.pop(job.name, None)
        self.states[job.name] = outcome.state
        self.done += not outcome.reused and outcome.state == "finished"
        how = "finished before" if outcome.reused else outcome.state
        time_taken = f" after {duration(outcome.seconds)}" if outcome.seconds else ""
        self._line(f"{job.name}: {how}{time_taken}{f': {outcome.problem}' if outcome.problem else ''}")

    def note(self, text: str) -> None:
        """One line above the table."""
        self.console.print(f"[yellow]note:[/] {text}", highlight=False)

    def _line(self, text: str) -> None:
        if not self.console.is_terminal:
            self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def _table(self) -> Group:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("arm", no_wrap=True)
        table.add_column("seeds", no_wrap=True)
        table.add_column("running", overflow="ellipsis", no_wrap=True)
        jobs = self.prepared.jobs
        for arm in self.prepared.arms:
            own = [job for job in jobs if job.arm.name == arm.name]
            marks = Text()
            for job in own:
                marks.append(*_MARKS.get(self.states.get(job.name, ""), ("·", "dim")))
            said = [_in_words(*self.running[job.name]) for job in own if job.name in self.running]
            table.add_row(arm.name, marks, "; ".join(said))
        ended = sum(state in ("finished", "failed") for state in self.states.values())
        return Group(table, Text(f"{ended} of {len(jobs)} runs{self._left(len(jobs) - ended)}", style="dim"))

    def _left(self, left: int) -> str:
        """From the runs that this start has finished."""
        if not self.done:
            return ""
        return f", about {duration((time.monotonic() - self.began_at) / self.done * left)} left"


def _in_words(job: Job, progress: Progress) -> str:
    if not progress.step:
        return f"seed {job.seed}"
    share = f"{100 * progress.step / progress.total:.0f} %" if progress.total else f"step {progress.step:,}"
    errors = validation_errors(progress.errors, find_target(job.config.data.target))
    return f"seed {job.seed} {share}{f', {errors}' if errors else ''}"
