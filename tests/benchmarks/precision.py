"""What bfloat16 costs in force accuracy and saves in time: short trainings under autocast against float32.

Run by hand: ``python tests/benchmarks/precision.py [--steps 300] [--subnets painn unite]``; the figures stand in
docs/decisions/0011-processes.md.
"""

import argparse
import tempfile
import time
from pathlib import Path

import torch

from hermtk.errors import HermtkError
from hermtk.physics.derivatives import Prediction
from hermtk.training.config import make_config
from hermtk.training.data.batches import Batch
from hermtk.training.run import Run, new_run
from hermtk.training.step import Step


class Silent:
    def stepped(self, progress: object, total: int, loss: float) -> None: ...

    def validated(self, row: dict[str, float]) -> None:
        self.row = row

    def note(self, text: str) -> None: ...


def halved(step: Step) -> Step:
    """The same with matrix products in bfloat16."""

    def inner(batch: Batch) -> Prediction:
        with torch.autocast("cpu", torch.bfloat16):
            return step(batch)

    return inner


def train(subnet: str, dtype: str, steps: int, seed: int) -> None:
    config = make_config(
        {
            "model": {"subnet": subnet, "variant": "hvnet"},
            "training": {"steps": steps, "compile": False, "warmup_steps": 30},
            "seed": seed,
            "threads": 1,
        }
    )
    listener = Silent()
    with tempfile.TemporaryDirectory() as folder:
        run: Run = new_run(config, Path(folder) / "run", listener)
        if dtype == "bfloat16":
            run.trainer.step = halved(run.trainer.step)
        began = time.process_time()
        try:
            run.train()
        except (HermtkError, RuntimeError) as problem:
            print(f"{subnet:8} {dtype:9} fails: {str(problem).splitlines()[0]}", flush=True)
            return
        spent = time.process_time() - began
    rounding = "" if dtype == "bfloat16" else f", bfloat16 changes its forces by {1e3 * noise(run):.2f} meV/A"
    forces, energy = listener.row["validation_forces_mae"], listener.row["validation_energy_per_atom_mae"]
    print(
        f"{subnet:8} {dtype:9} seed {seed}: {1e3 * spent / steps:7.1f} ms CPU per step, "
        f"forces {1e3 * forces:6.1f} meV/A, energy {1e3 * energy:6.2f} meV/atom{rounding}",
        flush=True,
    )


def noise(run: Run) -> float:
    """Mean absolute difference of the forces of the same weights, eV/Angstrom."""
    batch = next(iter(run.trainer.validation.in_order()))
    exact, rounded = (step(batch).forces for step in (run.trainer.step, halved(run.trainer.step)))
    assert exact is not None
    assert rounded is not None
    return (exact - rounded).abs().mean().item()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--subnets", nargs="+", default=["painn", "unite"])
    parser.add_argument("--seeds", type=int, default=1)
    chosen = parser.parse_args()
    for name in chosen.subnets:
        for number in range(chosen.seeds):
            for precision in ("float32", "bfloat16"):
                train(name, precision, chosen.steps, number)
