"""Hold `hermtk plan` against the runs that it speaks of: parameters, steps, CPU time, memory, size of the checkpoint.

Every run is trained to its end in a process of its own, on one thread:

    python tests/benchmarks/plan_against_run.py --steps 300
    python tests/benchmarks/plan_against_run.py train.xyz --variants hvnet,htnet --subnets painn,unite --steps 200
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


def plans(words: list[str]) -> list[dict[str, Any]]:
    """What `hermtk plan` says."""
    command = [sys.executable, "-m", "hermtk_cli.main", "plan", *words, "--no-compile", "--json"]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)["plans"]


def train(words: list[str]) -> dict[str, Any]:
    """The same run, trained: CPU seconds from reading data to the last step, and the most memory of the process."""
    done = subprocess.run(
        [sys.executable, __file__, "run", *words], stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def run(values: dict[str, Any]) -> None:
    from hermtk_cli.process import prepare_process

    prepare_process()
    from hermtk.training.config import make_config
    from hermtk.training.loop import Listener
    from hermtk.training.run import new_run

    class Silent(Listener):
        def stepped(self, progress, total, loss): ...
        def validated(self, row): ...
        def note(self, text): ...

    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        started = new_run(make_config(values), Path(folder) / "run", Silent())
        progress = started.train()
        seconds = time.process_time() - began
        status = Path("/proc/self/status").read_text()
        peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        found = {
            "steps": progress.step,
            "parameters": started.facts["parameters"],
            "seconds": seconds,
            "mib": int(peak.split()[1]) / 1024,
            "checkpoint_mib": (Path(folder) / "run" / "checkpoint.pt").stat().st_size / 2**20,
        }
    print(json.dumps(found))


def main() -> None:
    if sys.argv[1:2] == ["run"]:
        run(json.loads(sys.argv[2]))
        return
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="?", default="builtin")
    parser.add_argument("--variants", default="all")
    parser.add_argument("--subnets", default="painn")
    parser.add_argument("--steps", type=int, default=300)
    asked = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    words = ["--data", asked.data, "--variants", asked.variants]
    words += ["--subnets", asked.subnets, "--steps", str(asked.steps)]
    print(
        "| model | parameters | steps | s planned | s | MiB planned | MiB | checkpoint planned, MiB | MiB |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for plan in plans(words):
        values = {
            "data": {"train": asked.data},
            "model": {"subnet": plan["subnet"], "variant": plan["variant"]},
            "training": {"steps": asked.steps, "compile": False},
        }
        real = train([json.dumps(values)])
        same = (plan["parameters"], plan["steps"]) == (real["parameters"], real["steps"])
        print(
            f"| {plan['subnet']} {plan['variant']} | {plan['parameters']:,} | {plan['steps']} {'' if same else '(not the same)'}"
            f"| {plan['seconds']['run']:.1f} | {real['seconds']:.1f} | {plan['bytes']['peak'] / 2**20:.0f} | {real['mib']:.0f} "
            f"| {plan['bytes']['checkpoint'] / 2**20:.1f} | {real['checkpoint_mib']:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
