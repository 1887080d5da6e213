"""Kill training runs with SIGKILL at random moments of their lives, and hold their ends against a run that was left alone.

    python tests/benchmarks/kill_and_resume.py --kills 100 --variant hpnet

A life is begun as a queue would begin it, with ``begin_or_resume``, and killed after a time drawn uniformly: while data are read,
the model is built, a step is made, a checkpoint is written (after every step), or, for one life in ten that starts a new
interpreter instead of a fork of this one, while Python starts. The next life goes on, until the run ends; then its weights, their
average and the best weights must be the same bit for bit, and metrics.csv but for its times.
"""

import argparse
import csv
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from hermtk.data.dataset import write_structures
from hermtk.training.auto import begin_or_resume
from hermtk.training.config import RunConfig, make_config
from hermtk.training.run import Run
from training_world import clusters

# seconds that Python needs to start
_IMPORTED = time.process_time()
# of the lives, those that begin with a new interpreter
_NEW = 0.1
# of the steps of a run, those that a life may live to see
_SHARE = 0.15


class Silent:
    """Nobody watches."""

    def stepped(self, progress, total, loss): ...

    def validated(self, row): ...

    def note(self, text): ...


def configuration(data: Path, options: argparse.Namespace) -> RunConfig:
    """Small, and with a checkpoint after every step."""
    model = {"variant": options.variant, "subnet": options.subnet, "channels": 8, "layers": 2, "cutoff": 3.0}
    return make_config(
        {
            "data": {"train": str(data), "n_train": 24, "n_validation": 8, "n_test": 4},
            "model": model,
            "training": {
                "steps": options.steps,
                "batch_size": 4,
                "checkpoint_minutes": 0.0,
                "warmup_steps": 5,
                "compile": False,
            },
            "threads": 1,
        }
    )


def live(config: RunConfig, folder: Path) -> Run:
    """A life to its end, if nobody kills it."""
    run = begin_or_resume(config, folder, Silent())
    run.train()
    return run


def born(config: RunConfig, folder: Path, options: argparse.Namespace, new: bool) -> int:
    """A life in a process of its own; returns its number."""
    process = os.fork()
    if process:
        return process
    if new:
        os.execv(sys.executable, [sys.executable, __file__, "--live", str(folder), *sys.argv[1:]])
    try:
        live(config, folder)
    except BaseException as problem:
        print(f"a life ended badly: {problem!r}", file=sys.stderr, flush=True)
        os._exit(1)
    os._exit(0)


def killed(process: int, after: float) -> str:
    """Wait, kill; what came of it: ``killed``, ``ended`` where it had lived to its end, ``failed``."""
    time.sleep(after)
    done, status = os.waitpid(process, os.WNOHANG)
    if not done:
        os.kill(process, signal.SIGKILL)
        _, status = os.waitpid(process, 0)
    if os.WIFSIGNALED(status):
        return "killed"
    return "failed" if os.WEXITSTATUS(status) else "ended"


def state(folder: Path) -> dict[str, list[torch.Tensor]]:
    """Weights, average and best weights of the last checkpoint."""
    content = torch.load(folder / "checkpoint.pt", weights_only=True)
    parts, progress = content["parts"], content["progress"]
    return {
        "weights": list(parts["model"].values()),
        "average": parts["average"]["weights"],
        "best weights": progress["weights"],
    }


def metrics(folder: Path) -> list[dict[str, str]]:
    """The rows without their times."""
    with (folder / "metrics.csv").open(newline="") as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def where(folder: Path) -> str:
    """In which part of its life a run was killed."""
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if "checkpoint.pt" not in names:
        return "before the first checkpoint"
    return "while a file was written" if any(name.startswith(".") for name in names) else "elsewhere"


def main() -> None:
    """Kill, go on, compare, say."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--variant", default="hpnet")
    parser.add_argument("--subnet", default="painn")
    parser.add_argument("--live", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.live:
        live(configuration(options.live.parent / "clusters.npz", options), options.live)
        return
    with tempfile.TemporaryDirectory() as place:
        sys.exit(not compare(Path(place), options))


def compare(place: Path, options: argparse.Namespace) -> bool:
    """Whether killed runs end like the one left alone; as soon as one has ended, the next is begun."""
    write_structures(place / "clusters.npz", clusters(36))
    config, rng = configuration(place / "clusters.npz", options), random.Random(options.seed)
    ready, whole = lengths(config, place / "whole", options)
    told: Counter[str] = Counter()
    runs: list[dict[str, bool]] = []
    while told.total() < options.kills:
        folder = place / f"killed-{len(runs)}"
        new = rng.random() < _NEW
        last = ready + _SHARE * (whole - ready) + (_IMPORTED if new else 0)
        fate = killed(born(config, folder, options, new), rng.uniform(0, last))
        if fate == "failed":
            return False
        if fate == "killed":
            told[where(folder)] += 1
        else:
            runs.append(alike(place / "whole", folder))
    last = place / f"killed-{len(runs)}"
    live(config, last)
    runs.append(alike(place / "whole", last))
    say(told, runs, options)
    return all(all(run.values()) for run in runs)


def lengths(config: RunConfig, folder: Path, options: argparse.Namespace) -> tuple[float, float]:
    """Seconds until the first checkpoint of a run that is left alone, and until its end."""
    process, start, ready = born(config, folder, options, new=False), time.monotonic(), 0.0
    while not os.waitpid(process, os.WNOHANG)[0]:
        if not ready and (folder / "checkpoint.pt").exists():
            ready = time.monotonic() - start
        time.sleep(0.005)
    return ready, time.monotonic() - start


def alike(whole: Path, folder: Path) -> dict[str, bool]:
    """What of a run is bit for bit as in the whole one."""
    one, other = state(whole), state(folder)
    return {
        **{part: all(map(torch.equal, one[part], other[part])) for part in one},
        "metrics.csv": metrics(whole) == metrics(folder),
    }


def say(told: Counter[str], runs: list[dict[str, bool]], options: argparse.Namespace) -> None:
    """The summary."""
    times = os.times()
    print(
        f"{options.subnet} x {options.variant}, {options.steps} steps, a checkpoint after each, seed {options.seed}"
    )
    print(f"killed {told.total()} times: " + ", ".join(f"{n} {what}" for what, n in told.most_common()))
    for part in runs[0]:
        same = sum(run[part] for run in runs)
        print(f"{part}: {same} of {len(runs)} killed runs end bit for bit like the one left alone")
    print(f"{sum(times[:4]):.0f} s of CPU time")


if __name__ == "__main__":
    main()
