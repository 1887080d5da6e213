"""What all drivers share: the process's settings, the training step around a tool's prediction, timing, the JSON line.

A driver says how its tool predicts (`Peer`); nothing it does by itself is timed. CPU time is user and system time of the
process, so other work on the machine lengthens it by shared caches and memory only.
"""

import argparse
import importlib.util
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from workloads import WORKLOADS, default_job, digest, labels, structures

_PROCESS = Path(__file__).resolve().parents[3] / "cli" / "hermtk_cli" / "process.py"
_WARM_UP, _FEWEST, _MOST = 3, 5, 100

Call = Callable[[], Any]


@dataclass(frozen=True)
class Peer:
    """A tool's model, ready to run on one workload.

    Attributes:
        version: of the tool.
        model: what it is, for the table.
        module: the torch module, whose parameters are counted and trained.
        predict: energies [S] in eV and forces [A, 3] in eV/Angstrom of all frames; differentiable in training. The
            neighbour list is there already.
        note: more for the JSON line.
    """

    version: str
    model: str
    module: Any
    predict: Callable[[], tuple[Any, Any]]
    note: dict[str, Any] = field(default_factory=dict)


Load = Callable[[list[Atoms], str, argparse.Namespace], Peer]


def main(about: str, tool: str, load: Load, options: Callable[[argparse.ArgumentParser], None]) -> None:
    """Read the command line, time one workload, print one JSON line."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("workload", choices=WORKLOADS)
    parser.add_argument(
        "--job", choices=("training", "inference"), help="molecules train, alloys infer by default"
    )
    parser.add_argument("--seconds", type=float, default=10.0, help="CPU seconds to spend on timed calls")
    options(parser)
    chosen = parser.parse_args()
    job = chosen.job or default_job(chosen.workload)
    prepare_process()
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    frames = structures(chosen.workload)
    peer = load(frames, job, chosen)
    module = peer.module.train(job == "training").requires_grad_(job == "training")
    call = training_step(module, peer.predict, frames) if job == "training" else peer.predict
    first, times = cpu_times(call, chosen.seconds)
    record = {
        "tool": tool,
        "version": peer.version,
        "model": peer.model,
        "workload": chosen.workload,
        "job": job,
        "ms": round(1e3 * float(np.median(times)), 2),
        "least_ms": round(1e3 * min(times), 2),
        "calls": len(times),
        "first_call_s": round(first, 2),
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "parameters": sum(p.numel() for p in peer.module.parameters()),
        "structures": digest(frames),
        "torch": torch.__version__,
        "calibration_ms": round(calibration_ms(), 2),
        "load": round(os.getloadavg()[0], 2),
        **peer.note,
    }
    sys.stdout.write(json.dumps(record) + "\n")


def prepare_process() -> None:
    """One thread and the allocator of hermtk's command line, for every tool alike; before torch is loaded.

    The tools' environments hold no hermtk, so the one file is loaded from the source tree.
    """
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"
    spec = importlib.util.spec_from_file_location("process", _PROCESS)
    assert spec is not None
    assert spec.loader is not None
    process = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(process)
    process.prepare_process()


def training_step(module: Any, predict: Callable[[], tuple[Any, Any]], frames: list[Atoms]) -> Call:
    """Forward, forces, loss on energy per atom and force components, backward, Adam; the batch is there already."""
    import torch

    energy, forces = (torch.from_numpy(label) for label in labels(frames))
    atoms = torch.tensor([len(frame) for frame in frames])
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-5, fused=True)

    def step() -> None:
        found, slopes = predict()
        loss = ((found - energy) / atoms).square().mean() + (slopes - forces).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def cpu_times(call: Call, seconds: float) -> tuple[float, list[float]]:
    """CPU seconds of the first call, compilers it started included, and of each call after the warm-up."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    first = timed(call)
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    first += ended.ru_utime + ended.ru_stime - children.ru_utime - children.ru_stime
    for _ in range(_WARM_UP - 1):
        call()
    times = [timed(call) for _ in range(_FEWEST)]
    while len(times) < _MOST and sum(times) < seconds:
        times.append(timed(call))
    return first, times


def timed(call: Call) -> float:
    """CPU seconds of one call."""
    start = time.process_time()
    call()
    return time.process_time() - start


def calibration_ms() -> float:
    """A fixed piece of work that tells how disturbed the machine was: ten products of 384 x 384 and exp of 4 million."""
    import torch

    matrix, many = torch.ones(384, 384), torch.zeros(4_000_000)

    def work() -> None:
        for _ in range(10):
            torch.mm(matrix, matrix)
        many.exp()

    return 1e3 * min(timed(work) for _ in range(5))


def joined(
    per_frame: list[tuple[np.ndarray, np.ndarray, np.ndarray]], frames: list[Atoms]
) -> tuple[np.ndarray, ...]:
    """Neighbour lists of several frames as one batch: centre, neighbour, shift in Angstrom [E, 3], frame of each atom."""
    starts = np.cumsum([0, *map(len, frames)])
    lists = list(zip(per_frame, starts, frames, strict=False))
    center = np.concatenate([pair[0] + start for pair, start, _ in lists])
    neighbor = np.concatenate([pair[1] + start for pair, start, _ in lists])
    offset = np.concatenate([pair[2] @ frame.cell.array for pair, _, frame in lists])
    return center, neighbor, offset, np.repeat(np.arange(len(frames)), [len(frame) for frame in frames])
