"""Run what is left of a study: finished runs are kept, interrupted ones go on, failed ones do not stop the others."""

import time
from collections import deque
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from hermtk.ablation.jobs import Job
from hermtk.ablation.running.lock import holding
from hermtk.ablation.running.outcome import Outcome, outcome_of
from hermtk.ablation.running.process import End
from hermtk.ablation.running.progress import Progress, progress_of
from hermtk.errors import HermtkError
from hermtk.training.stopping import Asked, Stopped, listening

# seconds between looks at processes, and at the progress of runs
_LOOK, _TELL = 0.1, 1.0


@runtime_checkable
class Listener(Protocol):
    """Whoever shows a study while it runs."""

    def began(self, job: Job) -> None:
        """A run has been started; on a cluster, its turn has come."""

    def progressed(self, job: Job, progress: Progress) -> None:
        """About once a second for every run that goes."""

    def ended(self, job: Job, outcome: Outcome) -> None:
        """A run has ended, need not be begun, or is not to be begun any more."""

    def note(self, text: str) -> None:
        """Something worth one line."""


@runtime_checkable
class Started(Protocol):
    """A run that was handed over."""

    @property
    def running(self) -> bool:
        """Whether it goes: it may wait for its turn."""
        ...

    def poll(self) -> End | None:
        """How it ended; None while it has not."""

    def stop(self) -> None:
        """Ask it to save itself and end."""

    def kill(self) -> None:
        """End it at once."""


@runtime_checkable
class Executor(Protocol):
    """Where runs run."""

    @property
    def slots(self) -> int:
        """How many are handed over at once."""
        ...

    def start(self, job: Job, locks: Sequence[int]) -> Started:
        """Begin a run, or go on with it; its process keeps ``locks`` open where it is a child of ours."""
        ...


def run_jobs(jobs: Sequence[Job], executor: Executor, listener: Listener) -> dict[str, Outcome]:
    """Run all that is not finished; the outcomes by the names of the runs.

    SIGINT, SIGTERM and SIGUSR1 are passed on to the runs as a request to save themselves, and answered when they have. A
    second SIGINT kills them.

    Args:
        jobs: whose folders stand side by side.
        executor: runs them.
        listener: shows them.

    Raises:
        RunError: another study works in that folder, or nothing can be written there.
        Stopped: a signal asked for it.
        KeyboardInterrupt: the signal was SIGINT.
    """
    if all(job.finished for job in jobs):
        return _Study(executor, listener, Asked()).run(jobs, ())
    with holding(jobs[0].folder.parent, listener.note) as locks, listening() as asked:
        outcomes = _Study(executor, listener, asked).run(jobs, locks)
    if asked.by == "SIGINT":
        raise KeyboardInterrupt
    if asked.by:
        raise Stopped(f"stopped by {asked.by}")
    return outcomes


class _Study:
    """Runs that go on side by side."""

    def __init__(self, executor: Executor, listener: Listener, asked: Asked) -> None:
        self.executor, self.listener, self.asked = executor, listener, asked
        self.outcomes: dict[str, Outcome] = {}
        self.going: list[tuple[Job, Started]] = []
        self.begun: set[str] = set()

    def run(self, jobs: Sequence[Job], locks: Sequence[int]) -> dict[str, Outcome]:
        """Until all have ended, or those that go have been stopped."""
        for job in jobs:
            if job.finished:
                self._ended(job, Outcome("finished", reused=True))
        waiting = deque(job for job in jobs if job.name not in self.outcomes)
        stopping, told = False, 0.0
        try:
            while self.going or (waiting and not self.asked.by):
                while waiting and len(self.going) < self.executor.slots and not self.asked.by:
                    self._start(waiting.popleft(), locks)
                if self.asked.by and not stopping:
                    stopping = True
                    self._stop()
                self._look()
                if time.monotonic() - told > _TELL:
                    told = time.monotonic()
                    self._tell()
                time.sleep(_LOOK)
        finally:
            for _, started in self.going:
                started.kill()
        for job in waiting:
            self._ended(job, Outcome("stopped", "not begun"))
        return self.outcomes

    def _start(self, job: Job, locks: Sequence[int]) -> None:
        try:
            self.going.append((job, self.executor.start(job, locks)))
        except (OSError, HermtkError) as problem:
            self._ended(job, Outcome("failed", f"it could not be started: {problem}"))

    def _look(self) -> None:
        """See which have begun, and which have ended."""
        # none is left out at any moment: an interrupt kills those that go
        for job, started in list(self.going):
            end = started.poll()
            if job.name not in self.begun and (end or started.running):
                self.begun.add(job.name)
                self.listener.began(job)
            if end is not None:
                self.going.remove((job, started))
                self._ended(job, outcome_of(job, end))

    def _tell(self) -> None:
        for job, _ in self.going:
            if job.name in self.begun:
                self.listener.progressed(job, progress_of(job))

    def _stop(self) -> None:
        if self.going:
            self.listener.note(
                f"{self.asked.by}: {len(self.going)} runs save themselves; interrupt again to end them at once"
            )
        for _, started in self.going:
            started.stop()

    def _ended(self, job: Job, outcome: Outcome) -> None:
        self.outcomes[job.name] = outcome
        self.listener.ended(job, outcome)
