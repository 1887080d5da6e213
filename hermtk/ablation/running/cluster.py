"""Runs as jobs of a cluster, through submitit."""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from signal import SIGKILL, SIGTERM
from sys import maxsize
from types import ModuleType
from typing import Any

from hermtk.ablation.jobs import RESULTS, Job
from hermtk.ablation.running.local import log_of
from hermtk.ablation.running.process import End
from hermtk.ablation.running.task import Task
from hermtk.errors import HermtkError, UnknownName

# "local" is submitit's own stand-in for a cluster, on this machine
_ENGINES = {"slurm": "SlurmExecutor", "local": "LocalExecutor"}
# of a job that its time limit ends: it goes on from its checkpoint, as often as it takes
_REQUEUES = 100
# what SLURM says of a job that it has, or will have again
_WITH_SLURM = ("PENDING", "RUNNING", "REQUEUED", "PREEMPTED", "SUSPENDED", "CONFIGURING")


class Cluster:
    """One job for every run, all handed over at once: the engine decides when each has its turn."""

    slots = maxsize

    def __init__(
        self, command: Sequence[str], folder: Path, options: Mapping[str, Any], engine: str = "slurm"
    ) -> None:
        """See that there is a cluster, and that it can be asked for this.

        Args:
            command: that ``Job.arguments`` are given to.
            folder: for what submitit writes; every node must see it.
            options: of every job, by their names in sbatch (partition, time in minutes, mem, gpus_per_node, account, ...).
            engine: ``slurm``, or ``local`` for tests.

        Raises:
            UnknownName: of an engine or an option.
            HermtkError: submitit or SLURM is missing, or an option cannot be what it is.
        """
        submitit = _submitit()
        if engine not in _ENGINES:
            raise UnknownName("engine", engine, _ENGINES)
        kind = getattr(submitit, _ENGINES[engine])
        self.command, self.engine, self.folder = list(command), engine, folder.absolute()
        if engine == "slurm":
            _check(options, kind._valid_parameters())
        try:
            self._executor = kind(self.folder, max_num_timeout=_REQUEUES)
            self._executor.update_parameters(**options)
        except (RuntimeError, ValueError, AssertionError) as problem:
            raise HermtkError(f"no jobs can be given to {engine}: {problem}") from None
        self._options = dict(options)

    def start(self, job: Job, locks: Sequence[int]) -> "Submitted":
        """Hand over a run, unless an earlier start of this study has and its job is still there.

        Raises:
            HermtkError: the engine refuses it.
            OSError: a file cannot be written.
        """
        number, far = job.folder.with_name(f"{job.folder.name}.job"), self.engine != "local"
        if (there := self._handed_over(number)) is not None:
            return Submitted(job, there, far)
        threads = job.config.threads or self._options.get("cpus_per_task") or 1
        if far:
            name = {"job_name": job.name.replace(" ", "-"), "cpus_per_task": threads}
            self._executor.update_parameters(**{**name, **self._options})
        command = [*self.command, *job.arguments]
        task = Task(command, job.folder.absolute() / RESULTS, log_of(job).absolute(), Path.cwd(), threads)
        try:
            handed = self._executor.submit(task)
        except RuntimeError as problem:
            raise HermtkError(" ".join(str(problem).split())) from None
        number.write_text(handed.job_id, encoding="utf-8")
        return Submitted(job, handed, far)

    def _handed_over(self, number: Path) -> Any:
        """The job whose number was noted, as long as SLURM has it; None else."""
        if self.engine == "local" or not number.is_file():
            return None
        job = _submitit().SlurmJob(self.folder, number.read_text(encoding="utf-8"))
        state = job.get_info(mode="force").get("State", "")
        return job if state.split(" ")[0] in _WITH_SLURM else None


class Submitted:
    """A run that was handed over to the engine."""

    def __init__(self, job: Job, handed: Any, far: bool) -> None:
        """``handed``: as submitit knows it; ``far``: its end may be heard of minutes later."""
        self._job, self._handed = job, handed
        self._stopped, self._far = False, far

    @property
    def running(self) -> bool:
        """Whether its turn has come."""
        return self._handed.state.upper().startswith(("RUNNING", "COMPLETING"))

    def poll(self) -> End | None:
        """How it ended; None while it waits or goes. One that was cancelled saves itself in its own time."""
        if self._stopped and (self._far or self._handed.done()):
            return End(-SIGTERM)
        if not self._handed.done():
            return None
        # lets a network file system look again
        with suppress(OSError):
            os.listdir(self._job.folder)
        # waits a while for what a network file system does not show yet
        problem = self._handed.exception()
        return self._handed.result() if problem is None else self._lost(str(problem))

    def stop(self) -> None:
        """Cancel it: the engine asks it to save itself, and ends it after a while."""
        self._handed.cancel(check=False)
        self._stopped = True

    kill = stop

    def _lost(self, problem: str) -> End:
        """The end of a job that told us nothing."""
        state = self._handed.state.upper()
        if state.startswith("CANCELLED"):
            return End(-SIGTERM)
        if state.startswith("OUT_OF_ME"):
            return End(-SIGKILL, memory=True)
        lines = problem.rstrip("-\n ").splitlines()
        told = [line for line in lines if not line.startswith(("You can check", "  - ", "---"))]
        return End(1, f"error: job {self._handed.job_id} ended as {state}: {' '.join(told[-1:])}")


def _submitit() -> ModuleType:
    try:
        import submitit
    except ImportError:
        raise HermtkError(
            "running on a cluster needs submitit, which is not installed: pip install 'hermtk[cluster]'"
        ) from None
    return submitit


def _check(options: Mapping[str, Any], known: set[str]) -> None:
    """Refuse what SLURM, or submitit, would take for something else."""
    for name in options:
        if name not in known:
            raise UnknownName("option of a SLURM job", name, known)
    minutes = options.get("time")
    if not isinstance(minutes, int):
        given = "missing" if minutes is None else repr(minutes)
        raise HermtkError(
            f"time is {given}: the minutes of a SLURM job, a whole number such as 240; a run that needs longer is queued again"
        )
    if options.get("ntasks_per_node", 1) != 1 or options.get("nodes", 1) != 1:
        raise HermtkError("nodes and ntasks_per_node: every run of a study is one process, leave them out")
