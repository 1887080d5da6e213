"""Runs as processes of this machine."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from hermtk.ablation.jobs import Job
from hermtk.ablation.running.process import Process

# of the memory that is free when the study starts
_SHARE = 0.9


@dataclass(frozen=True)
class Local:
    """As many runs at once as asked for.

    Attributes:
        command: that ``Job.arguments`` are given to, such as ``("hermtk",)``.
        workers: runs at once.
        cores: that they share, where the configuration of a run has no number of threads.
    """

    command: Sequence[str]
    workers: int
    cores: int

    @property
    def slots(self) -> int:
        """Runs at once."""
        return self.workers

    def start(self, job: Job, locks: Sequence[int]) -> Process:
        """Begin a run, or go on with it.

        Raises:
            OSError: its process cannot be started, or its log not be written.
        """
        threads = job.config.threads or max(1, self.cores // self.workers)
        return Process([*self.command, *job.arguments], log_of(job), threads, locks)


def log_of(job: Job) -> Path:
    """What a run wrote, over all its starts."""
    return job.folder.with_name(f"{job.folder.name}.log")


def workers_for(jobs: Sequence[Job], cores: int, memory: int | None) -> int:
    """How many of these runs may go on at once, whichever they are; at least one.

    Args:
        jobs: that are still to be run.
        cores: of this machine that may be used.
        memory: free bytes; None where the system does not say.
    """
    # a device holds one
    if any(job.config.device != "cpu" for job in jobs):
        return 1
    limits = [_fitting([job.config.threads or 1 for job in jobs], cores)]
    # an arm that was not measured is taken for the largest of those that were
    largest = max((job.arm.peak or 0 for job in jobs), default=0)
    if memory is not None and largest:
        limits.append(_fitting([job.arm.peak or largest for job in jobs], int(_SHARE * memory)))
    return max(1, min(limits))


def _fitting(needs: Sequence[int], limit: int) -> int:
    """How many of the greediest fit together."""
    return sum(total <= limit for total in accumulate(sorted(needs, reverse=True)))
