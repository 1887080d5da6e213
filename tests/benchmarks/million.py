"""A million small molecules: written, checked, indexed, measured, audited and streamed, each in a process of its own.

    python tests/benchmarks/million.py --folder /tmp/million [--structures 1000000] [--phases write index ...] [--keep]

The molecules have 5 to 20 atoms of H, C, N, O, F on a rattled grid. A phase prints one line: CPU seconds, peak of its process's
resident memory, and what it found. ``speed`` compares the loader with what small models consume, in turns. The folder needs
some 900 bytes a structure and is removed at the end.
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hermtk.data.store import Store
from hermtk.data.structure import Structure

CUTOFF = 5.0
ELEMENTS = (1, 6, 7, 8, 9)
ENERGIES: dict[int, float] = dict(zip(ELEMENTS, (-13.6, -1029.0, -1485.0, -2041.0, -2713.0), strict=True))
BATCH_ATOMS = 400
ROUNDS, BATCHES = 5, 20


def molecules(n: int, seed: int = 0) -> Iterator[Structure]:
    """Molecules with made-up energies and forces."""
    rng = np.random.default_rng(seed)
    grid = 1.4 * np.stack(np.meshgrid(*[np.arange(3.0)] * 3), axis=-1).reshape(-1, 3)
    shares = np.zeros(10)
    shares[list(ELEMENTS)] = list(ENERGIES.values())
    for first in range(0, n, 1000):
        count = min(1000, n - first)
        sizes = rng.integers(5, 21, count)
        places = np.argsort(rng.random((count, 27)), axis=1)
        rattle, forces = rng.normal(scale=0.1, size=(count, 20, 3)), rng.normal(size=(count, 20, 3))
        numbers = rng.choice(ELEMENTS, (count, 20))
        for k, size in enumerate(sizes):
            z = numbers[k, :size]
            yield Structure(
                z,
                grid[places[k, :size]] + rattle[k, :size],
                energy=float(shares[z].sum() + rng.normal()),
                forces=forces[k, :size] - forces[k, :size].mean(axis=0),
                source=f"generated:{first + k}",
            )


def write(path: Path, n: int) -> dict[str, Any]:
    """Every structure checked and added to the store."""
    from hermtk.data.storing import write_store

    write_store(path, molecules(n))
    size = sum(file.stat().st_size for file in path.iterdir())
    return {"bytes per structure": size / n}


def verify(path: Path, n: int) -> dict[str, Any]:
    """Opened, every byte compared with what was written."""
    store = Store(path)
    store.verify()
    return {"atoms": int(store.sizes.sum())}


def read(path: Path, n: int) -> dict[str, Any]:
    """Every structure made once."""
    return {"structures": sum(1 for _ in Store(path))}


def index(path: Path, n: int) -> dict[str, Any]:
    """Neighbour lists of all."""
    from hermtk.graph.cache import neighbor_lists

    edges = neighbor_lists(Store(path), CUTOFF).edges(np.arange(n))
    size = sum(file.stat().st_size for file in (path / "neighbors").rglob("*.npy"))
    return {"edges per structure": float(edges.mean()), "bytes per structure": size / n}


def measure(path: Path, n: int) -> dict[str, Any]:
    """All that a run does before its first step: labels, split, references, scale, neighbours, coverage, the model."""
    from hermtk.training.config import make_config
    from hermtk.training.run import new_run

    class Silent:
        def stepped(self, progress: Any, total: int, loss: float) -> None: ...
        def validated(self, row: dict[str, float]) -> None: ...
        def note(self, text: str) -> None: ...

    config = make_config({"data": {"train": str(path)}, "model": {"cutoff": CUTOFF}})
    run = new_run(config, path.parent / "run", Silent())
    return {"train": len(run.data.train), "scale": run.data.scale, "coverage": run.facts["coverage"]}


def audit(path: Path, n: int) -> dict[str, Any]:
    """Every check of ``hermtk data audit``."""
    from hermtk.audit.run import audit as every_check

    report = every_check({"train": Store(path)}, CUTOFF)
    return {"findings": sorted({finding.name for finding in report.findings})}


def stream(path: Path, n: int) -> dict[str, Any]:
    """One epoch of batches in random order."""
    batches = _batches(path)
    largest = count = 0
    for batch in batches.epoch(0):
        largest, count = max(largest, batch.graph.n_atoms), count + 1
    return {"batches": count, "most atoms": largest}


def speed(path: Path, n: int) -> dict[str, Any]:
    """Structures a CPU second: of the loader, and of two models' inference with forces and training, in turns."""
    from hermtk.physics.derivatives import predict
    from hermtk.training.config import LossConfig, TrainingConfig
    from hermtk.training.loss import Loss
    from hermtk.training.optimise import make_optimizers
    from hermtk.training.step import make_step

    coming = _batches(path).epoch(0)
    loaded: list[Any] = []
    loss = Loss(LossConfig(), 0.0)

    def load() -> None:
        loaded[:] = [next(coming) for _ in range(BATCHES)]

    def users(model: Any) -> tuple[Callable[[], None], Callable[[], None]]:
        step = make_step(model, forces=True, stress=False, compiled=False, note=print)
        optimizers = make_optimizers(model, TrainingConfig(optimizer="adamw"))

        def infer() -> None:
            for batch in loaded:
                predict(model, batch.graph, batch.union)

        def learn() -> None:
            for batch in loaded:
                optimizers.zero_grad()
                loss(step(batch), batch).backward()
                optimizers.step()

        return infer, learn

    ways: dict[str, Callable[[], None]] = {"loader": load}
    for layers, channels in ((3, 64), (1, 16)):
        infer, learn = users(_model(layers, channels))
        size = f"{layers} x {channels}"
        ways |= {f"inference {size}": infer, f"training {size}": learn}
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS + 1):
        for name, way in ways.items():
            began = time.process_time()
            way()
            spent = time.process_time() - began
            found[name].append(sum(batch.graph.n_structures for batch in loaded) / spent)
    # the first round finds cold caches
    rates = {name: float(np.median(rates[1:])) for name, rates in found.items()}
    return {name: [round(rate), round(rates["loader"] / rate, 1)] for name, rate in rates.items()}


PHASES = {f.__name__: f for f in (write, verify, read, index, measure, stream, speed, audit)}


def _model(layers: int, channels: int) -> Any:
    from hermtk.models.build import build_model
    from hermtk.models.config import ModelConfig

    torch.manual_seed(0)
    config = ModelConfig(
        subnet="painn", variant="homogeneous", channels=channels, layers=layers, n_basis=7, cutoff=CUTOFF
    )
    return build_model(config, ELEMENTS, reference=ENERGIES, mean_neighbors=13.0)


def _batches(path: Path) -> Any:
    from hermtk.training.data.batches import Batches
    from hermtk.training.data.order import Budget
    from hermtk.training.data.stored import prepare_store

    return Batches(_model(1, 16), prepare_store(Store(path), CUTOFF), Budget(atoms=BATCH_ATOMS), 0)


def one(phase: str, path: Path, n: int) -> None:
    """Run a phase in this process and print what it took."""
    torch.set_num_threads(1)
    began = time.process_time()
    found = PHASES[phase](path, n)
    spent = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        json.dumps({"phase": phase, "cpu_s": round(spent, 1), "peak_mib": round(peak), **found}), flush=True
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--structures", type=int, default=1_000_000)
    parser.add_argument("--phases", nargs="+", default=list(PHASES), choices=list(PHASES))
    parser.add_argument("--keep", action="store_true", help="leave the folder")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    a = parser.parse_args()
    path = a.folder / "molecules.store"
    if a.one:
        return one(a.one, path, a.structures)
    a.folder.mkdir(parents=True, exist_ok=True)
    for phase in a.phases:
        options = ["--folder", str(a.folder), "--structures", str(a.structures), "--one", phase]
        subprocess.run([sys.executable, __file__, *options], check=False)
    if not a.keep:
        shutil.rmtree(a.folder)
    return None


if __name__ == "__main__":
    main()
