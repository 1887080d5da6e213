"""Studies whose runs take no time: a script stands for ``hermtk train``, and does what the given file says."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hermtk.ablation.arms import Arm
from hermtk.ablation.jobs import Job
from hermtk.ablation.running.local import Local
from hermtk.ablation.running.outcome import Outcome
from hermtk.ablation.running.progress import Progress
from hermtk.training.config import make_config

STEPS = 5
TRAIN = """
import json, os, signal, sys, time
from pathlib import Path

given, folder = Path(sys.argv[2]), Path(sys.argv[4])
what, asked = json.loads(given.read_text()), []
folder.mkdir(exist_ok=True)
signal.signal(signal.SIGTERM, signal.SIG_IGN if what.get("deaf") else lambda *_: asked.append(1))
with (folder / "starts").open("a") as file:
    file.write(f"{os.getpid()} {os.getsid(0)}\\n")
print("threads", os.environ["OMP_NUM_THREADS"], os.environ["MKL_NUM_THREADS"], os.environ.get("RANK"), flush=True)
if what.get("fail"):
    sys.exit(what["fail"])
if what.get("signal"):
    os.kill(os.getpid(), what["signal"])
metrics, results, checkpoint = (folder / name for name in ("metrics.csv", "results.json", "checkpoint"))
step = int(checkpoint.read_text()) if checkpoint.is_file() else 0
if not step:
    metrics.write_text("epoch,step,validation_forces_mae\\n")
while step < what.get("steps", 5):
    if asked:
        checkpoint.write_text(str(step))
        print("stopped", flush=True)
        sys.exit(0)
    time.sleep(what.get("pause", 0.01))
    step += 1
    with metrics.open("a") as file:
        file.write(f"{step},{step},{1 / step}\\n")
results.write_text(json.dumps({"steps": step}))
print("done")
sys.exit(what.get("status", 0))
"""


def job(
    folder: Path, seed: int = 0, *, peak: int | None = None, config: dict[str, Any] | None = None, **what: Any
) -> Job:
    """A run that does ``what``: ``fail`` with words, ``signal`` itself, be ``deaf``, ``pause`` in each of ``steps``."""
    runs = folder / "runs"
    runs.mkdir(exist_ok=True)
    given = runs / f"{seed}.yaml"
    given.write_text(json.dumps(what))
    whole = make_config(config or {"training": {"steps": STEPS}})
    return Job(Arm("painn", "hvnet", None, whole, 100, peak=peak), seed, whole, runs / f"run-{seed}", given)


def local(folder: Path, workers: int = 2, cores: int = 2) -> Local:
    """The executor whose command is the script."""
    script = folder / "train.py"
    script.write_text(TRAIN)
    return Local((sys.executable, "-I", "-S", str(script)), workers, cores)


def starts(job: Job) -> list[int]:
    """The processes that a run has had."""
    return [int(line.split()[0]) for line in (job.folder / "starts").read_text().splitlines()]


def until(true: Callable[[], Any], seconds: float = 60) -> None:
    """Wait for something."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def lives(pid: int) -> bool:
    """Whether a process is there, and not only its entry."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


class Told:
    """A listener that keeps what it is told; ``on`` is called with each kind of event and the name of its run."""

    def __init__(self, on: Callable[[str, str], None] = lambda kind, name: None) -> None:
        self.events: list[tuple[str, str]] = []
        self.progress: dict[str, list[Progress]] = {}
        self.outcomes: dict[str, Outcome] = {}
        self.notes: list[str] = []
        self.on = on

    def _told(self, kind: str, name: str) -> None:
        self.events.append((kind, name))
        self.on(kind, name)

    def began(self, job: Job) -> None:
        self._told("began", job.name)

    def progressed(self, job: Job, progress: Progress) -> None:
        self.progress.setdefault(job.name, []).append(progress)
        self._told("progressed", job.name)

    def ended(self, job: Job, outcome: Outcome) -> None:
        self.outcomes[job.name] = outcome
        self._told("ended", job.name)

    def note(self, text: str) -> None:
        self.notes.append(text)
        self._told("note", text)


def interrupt(number: int = signal.SIGINT) -> None:
    """Send this process a signal."""
    os.kill(os.getpid(), number)
