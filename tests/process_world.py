"""Training in several processes on one machine, as torchrun would start them, without the cost of new interpreters."""

import json
import multiprocessing
import os
import signal
import socket
import sys
import time
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["hermtk.training.run", "hermtk.physics.derivatives"])


class Told:
    """A listener that keeps every loss, and says how far it is in a file."""

    def __init__(self, far: Path | None = None) -> None:
        self.losses: list[float] = []
        self.notes: list[str] = []
        self.far = far

    def stepped(self, progress: Any, total: int, loss: float) -> None:
        self.losses.append(loss)
        if self.far:
            self.far.write_text(str(progress.step))

    def validated(self, row: dict[str, float]) -> None: ...

    def note(self, text: str) -> None:
        self.notes.append(text)


def place(rank: int, count: int, port: int) -> None:
    """Set what torchrun would set."""
    names = {
        "RANK": rank,
        "LOCAL_RANK": rank,
        "WORLD_SIZE": count,
        "MASTER_PORT": port,
        "MASTER_ADDR": "127.0.0.1",
    }
    os.environ.update({name: str(value) for name, value in names.items()})
    torch.set_num_threads(1)


def train(rank: int, count: int, port: int, folder: Path, values: dict[str, Any]) -> None:
    """One process of a run, fresh or resumed; what it has in the end stands in ``NAME.RANK.json`` and ``.pt``."""
    from hermtk.errors import HermtkError
    from hermtk.training.config import make_config
    from hermtk.training.processes import processes
    from hermtk.training.run import new_run, resume_run

    place(rank, count, port)
    told = Told(folder.with_name(f"{folder.name}.{rank}.step"))
    said, status = "", 0
    try:
        with processes() as us:
            with us.together():
                if (folder / "checkpoint.pt").exists():
                    run = resume_run(folder, told, us)
                else:
                    run = new_run(make_config(values), folder, told, processes=us)
            run.train()
            torch.save(run.trainer.potential.state_dict(), folder.with_name(f"{folder.name}.{rank}.pt"))
    except HermtkError as problem:
        said, status = f"{type(problem).__name__}: {problem}", 1
    found = {"losses": told.losses, "notes": told.notes, "said": said}
    folder.with_name(f"{folder.name}.{rank}.json").write_text(json.dumps(found))
    sys.exit(status)


def started(count: int, target: Any, *arguments: Any) -> list[BaseProcess]:
    """Processes that run ``target(rank, count, port, *arguments)``."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    running: list[BaseProcess] = [
        CONTEXT.Process(target=target, args=(rank, count, port, *arguments), daemon=True)
        for rank in range(count)
    ]
    for process in running:
        process.start()
    return running


def ended(running: list[BaseProcess], seconds: float) -> list[int | None]:
    """Their exit statuses once all have ended, or after so many seconds: then the rest is killed and has none."""
    end = time.monotonic() + seconds
    for process in running:
        process.join(max(0.0, end - time.monotonic()))
    statuses = [process.exitcode for process in running]
    for process in running:
        process.kill()
    return statuses


def kill_at(process: BaseProcess, folder: Path, rank: int, step: int) -> None:
    """Kill a process once it has done so many steps."""
    far, end = folder.with_name(f"{folder.name}.{rank}.step"), time.monotonic() + 120
    while not far.is_file() or int(far.read_text() or 0) < step:
        assert process.is_alive()
        assert time.monotonic() < end
        time.sleep(0.01)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)


def outcome(folder: Path, rank: int) -> dict[str, Any]:
    """What a process of ``train`` left."""
    return json.loads(folder.with_name(f"{folder.name}.{rank}.json").read_text())


def weights(folder: Path, rank: int) -> dict[str, torch.Tensor]:
    """The weights with which it ended."""
    return torch.load(folder.with_name(f"{folder.name}.{rank}.pt"), weights_only=True)
