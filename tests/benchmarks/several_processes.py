"""What several processes on one machine gain: CPU and wall time per step of a run in one process and in several.

    python tests/benchmarks/several_processes.py DATA [--subnet unite] [--variant hvnet] [--processes 2] [--set KEY=VALUE ...]

``share`` is the CPU time of the busiest process against that of the single one: its inverse is the gain where every process has
a core to itself. Wall times mean something on an idle machine only.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from hermtk.training.config import make_config, set_key
from hermtk.training.processes import processes
from hermtk.training.run import new_run
from hermtk_cli.launch import _free_port
from hermtk_cli.process import prepare_process

# steps before the clocks are read
WARM_UP = 5


class Clock:
    """Both clocks at every step."""

    def __init__(self) -> None:
        self.read: list[tuple[float, float]] = []
        self.losses: list[float] = []

    def stepped(self, progress: object, total: int, loss: float) -> None:
        self.read.append((time.process_time(), time.perf_counter()))
        self.losses.append(loss)

    def validated(self, row: dict[str, float]) -> None: ...

    def note(self, text: str) -> None: ...


def one_of_several(values: dict[str, Any], folder: Path) -> None:
    """What each process does."""
    clock = Clock()
    with processes() as us:
        with us.together():
            run = new_run(make_config(values), folder / "run", clock, processes=us)
        run.train()
        (cpu, wall), (cpu_end, wall_end) = clock.read[WARM_UP], clock.read[-1]
        steps = len(clock.read) - 1 - WARM_UP
        found = {"cpu": (cpu_end - cpu) / steps, "wall": (wall_end - wall) / steps, "losses": clock.losses}
        (folder / f"{us.rank}.json").write_text(json.dumps(found))


def measured(count: int, values: dict[str, Any]) -> list[dict[str, Any]]:
    """What each of ``count`` processes has found."""
    shared = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": _free_port()}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--inside", folder, json.dumps(values)]
        environment = {**os.environ, **shared}
        places = [{"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(count)]
        running = [subprocess.Popen(command, env={**environment, **place}) for place in places]
        if sum(process.wait() for process in running):
            raise SystemExit("a process failed")
        return [json.loads((Path(folder) / f"{rank}.json").read_text()) for rank in range(count)]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data")
    parser.add_argument("--subnet", default="painn")
    parser.add_argument("--variant", default="hvnet")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument(
        "--losses", action="store_true", help="print every loss, of one process and of several"
    )
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE")
    chosen = parser.parse_args()
    values: dict[str, Any] = {
        "data": {"train": chosen.data},
        "model": {"subnet": chosen.subnet, "variant": chosen.variant},
        # no validation among the steps that are timed
        "training": {
            "steps": chosen.steps,
            "compile": False,
            "validate_every": 1000,
            "checkpoint_minutes": 100.0,
        },
        "threads": 1,
    }
    for assignment in chosen.set:
        key, _, text = assignment.partition("=")
        set_key(values, key, yaml.safe_load(text))
    (alone,), several = measured(1, values), measured(chosen.processes, values)
    each = [f"{1e3 * found['cpu']:.0f}" for found in several]
    busiest = max(found["cpu"] for found in several)
    difference = max(abs(a - b) / abs(a) for a, b in zip(alone["losses"], several[0]["losses"], strict=True))
    if chosen.losses:
        for a, b in zip(alone["losses"], several[0]["losses"], strict=True):
            print(f"{a:.10g} {b:.10g}")
    print(
        f"{chosen.subnet} {chosen.variant}, {Path(chosen.data).name}, {chosen.steps} steps: one process "
        f"{1e3 * alone['cpu']:.0f} ms CPU, {1e3 * alone['wall']:.0f} ms wall per step; {chosen.processes} processes "
        f"{', '.join(each)} ms CPU, {1e3 * several[0]['wall']:.0f} ms wall; "
        f"share {busiest / alone['cpu']:.2f}; largest relative difference of a loss {difference:.1e}"
    )


if __name__ == "__main__":
    if "--inside" in sys.argv:
        prepare_process()
        one_of_several(json.loads(sys.argv[3]), Path(sys.argv[2]))
    else:
        main()
