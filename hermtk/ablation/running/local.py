"""Runs as processes of this machine."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path

import torch

from hermtk.ablation.jobs import Job
from hermtk.ablation.running.process import Process

# of the memory that is free when the study starts
_SHARE = 0.9
# a device that may be any GPU
_ANY = "cuda"
_VISIBLE = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True)
class Local:
    """As many runs at once as asked for; of several GPUs each run sees the one with the fewest runs.

    Attributes:
        command: that ``Job.arguments`` are given to, such as ``("hermtk",)``.
        workers: runs at once.
        cores: that they share, where the configuration of a run has no number of threads.
        gpus: for runs on ``cuda``, as CUDA_VISIBLE_DEVICES calls them.
    """

    command: Sequence[str]
    workers: int
    cores: int
    gpus: Sequence[str] = ()
    _taken: list[tuple[str, Process]] = field(default_factory=list)

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
        command = [*self.command, *job.arguments]
        if job.config.device != _ANY or len(self.gpus) < 2:
            return Process(command, log_of(job), threads, locks)
        gpu = min(self.gpus, key=lambda name: sum(one == name and run.running for one, run in self._taken))
        process = Process(command, log_of(job), threads, locks, {_VISIBLE: gpu})
        self._taken.append((gpu, process))
        return process


def log_of(job: Job) -> Path:
    """What a run wrote, over all its starts."""
    return job.folder.with_name(f"{job.folder.name}.log")


def visible_gpus(environment: Mapping[str, str] = os.environ) -> list[str]:
    """The GPUs that runs may use, as CUDA_VISIBLE_DEVICES calls them."""
    number = torch.cuda.device_count()
    named = environment.get(_VISIBLE, "").split(",")
    return [name.strip() for name in named][:number] if named != [""] else [str(k) for k in range(number)]


def workers_for(jobs: Sequence[Job], cores: int, memory: int | None, gpus: int = 0) -> int:
    """How many of these runs may go on at once, whichever they are; at least one.

    Args:
        jobs: that are still to be run.
        cores: of this machine that may be used.
        memory: free bytes; None where the system does not say.
        gpus: of this machine; each holds one run.
    """
    devices = {job.config.device for job in jobs} - {"cpu"}
    if devices:
        return max(1, gpus) if devices == {_ANY} else 1
    limits = [_fitting([job.config.threads or 1 for job in jobs], cores)]
    # an arm that was not measured is taken for the largest of those that were
    largest = max((job.arm.peak or 0 for job in jobs), default=0)
    if memory is not None and largest:
        limits.append(_fitting([job.arm.peak or largest for job in jobs], int(_SHARE * memory)))
    return max(1, min(limits))


def _fitting(needs: Sequence[int], limit: int) -> int:
    """How many of the greediest fit together."""
    return sum(total <= limit for total in accumulate(sorted(needs, reverse=True)))
