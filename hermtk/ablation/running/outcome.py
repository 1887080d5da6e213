"""How the runs of a study end, and what they say of it."""

import re
import signal
from dataclasses import dataclass
from typing import Literal

from hermtk.ablation.jobs import Job
from hermtk.ablation.running.process import End

# what asks a run to save itself and end, and how the command line exits after an interrupt
_ASKING = {-getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1")} | {0, 130}
_ERROR = re.compile(r"error: |[\w.]+(Error|Exception)\b")
_LONGEST = 600


@dataclass(frozen=True)
class Outcome:
    """What became of a run.

    Attributes:
        state: finished: its results are there; stopped: it goes on where it was when the study is started again.
        problem: what it said last, or what killed it; empty where all went well.
        reused: it was finished before.
        seconds, cpu_seconds: of this start; None where it was not started, or is not known.
    """

    state: Literal["finished", "failed", "stopped"]
    problem: str = ""
    reused: bool = False
    seconds: float | None = None
    cpu_seconds: float | None = None


def outcome_of(job: Job, end: End) -> Outcome:
    """What the end of its process means for a run."""
    if job.finished:
        # a report, say, that could not be written
        state, problem = "finished", _problem(end) if end.status else ""
    elif end.status in _ASKING:
        state, problem = "stopped", "stopped before it was done"
    else:
        state, problem = "failed", _problem(end)
    return Outcome(state, problem, seconds=end.seconds, cpu_seconds=end.cpu_seconds)


def last_words(said: str) -> str:
    """The last error in what a command wrote, on one line; else its last line."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [number for number, line in enumerate(lines) if _ERROR.match(line)]
    first = errors[-1] if errors else len(lines) - 1
    return " ".join(lines[max(first, 0) :][:3]).removeprefix("error: ")[:_LONGEST]


def _problem(end: End) -> str:
    if end.status >= 0:
        return last_words(end.said) or f"ended with exit status {end.status} and said nothing"
    if end.memory:
        return "out of memory: the system killed it; smaller batches, or fewer runs at once, need less"
    number = -end.status
    # the system need not tell why
    hint = ", as the system does when memory runs out" if number == signal.SIGKILL else ""
    return f"killed by signal {number} ({signal.Signals(number).name}){hint}"
