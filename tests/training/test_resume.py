"""Whatever stops a run, going on gives what an undisturbed run would have given."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml

CONFIG = {
    "data": {"n_train": 24, "n_validation": 8, "n_test": 4},
    "model": {"variant": "hpnet", "channels": 8, "layers": 2, "n_basis": 7, "cutoff": 3.0},
    "training": {
        "steps": 60,
        "batch_size": 4,
        "checkpoint_minutes": 0.0,
        "warmup_steps": 5,
        "compile": False,
    },
    "threads": 1,
}
TRAIN = """
import sys
from pathlib import Path
from hermtk.training.config import make_config, read_config
from hermtk.training.run import new_run, resume_run

class Silent:
    def stepped(self, progress, total, loss):
        print(progress.step, flush=True)
    def validated(self, row): ...
    def note(self, text): ...

folder = Path(sys.argv[1])
if (folder / "checkpoint.pt").exists():
    run = resume_run(folder, Silent())
else:
    run = new_run(make_config(read_config(Path(sys.argv[2]))), folder, Silent())
run.train()
"""


def start(folder: Path, config: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", TRAIN, str(folder), str(config)],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )


def to_the_end(folder: Path, config: Path) -> None:
    process = start(folder, config)
    process.communicate(timeout=300)
    assert process.returncode == 0


def same_state(one: Path, other: Path) -> bool:
    a = torch.load(one / "checkpoint.pt", weights_only=True)
    b = torch.load(other / "checkpoint.pt", weights_only=True)
    weights = all(torch.equal(a["parts"]["model"][k], b["parts"]["model"][k]) for k in a["parts"]["model"])
    averages = zip(a["parts"]["average"]["weights"], b["parts"]["average"]["weights"], strict=True)
    best = zip(a["progress"]["weights"], b["progress"]["weights"], strict=True)
    return weights and all(torch.equal(x, y) for x, y in [*averages, *best])


def kill_and_resume(tmp_path: Path, cluster_file: Path, kills: int, seed: int) -> bool:
    """Whether a run killed at random moments ends like one that was left alone."""
    config = tmp_path / "config.yaml"
    values = {**CONFIG, "data": {**CONFIG["data"], "train": str(cluster_file)}}
    config.write_text(yaml.safe_dump(values))
    to_the_end(tmp_path / "whole", config)
    rng = random.Random(seed)
    done = 0
    while done < kills:
        process = start(tmp_path / "killed", config)
        assert process.stdout is not None
        steps = rng.randint(1, 6)
        for lines, _ in enumerate(process.stdout, start=1):
            if lines == steps:
                time.sleep(rng.uniform(0, 0.05))
                break
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        done += 1
        if not (tmp_path / "killed" / "checkpoint.pt").exists() and (tmp_path / "killed").exists():
            for left in (tmp_path / "killed").iterdir():
                left.unlink()
    to_the_end(tmp_path / "killed", config)
    metrics = [(tmp_path / name / "metrics.csv").read_text().splitlines() for name in ("whole", "killed")]
    assert len(metrics[0]) == len(metrics[1]), "a validation was recorded twice or lost"
    return same_state(tmp_path / "whole", tmp_path / "killed")


def test_a_run_killed_twice_ends_bit_for_bit_like_one_left_alone(tmp_path: Path, cluster_file: Path) -> None:
    assert kill_and_resume(tmp_path, cluster_file, kills=2, seed=1)


@pytest.mark.slow
def test_a_run_killed_twenty_times_ends_bit_for_bit_like_one_left_alone(
    tmp_path: Path, cluster_file: Path
) -> None:
    assert kill_and_resume(tmp_path, cluster_file, kills=20, seed=2)
