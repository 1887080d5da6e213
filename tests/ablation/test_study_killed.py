"""A study that is killed again and again ends with the numbers of one that was left alone."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

OPTIONS = [
    *("--variants", "homogeneous,hvnet", "--seeds", "2", "--jobs", "2", "--steps", "200"),
    *("--n-train", "24", "--n-validation", "6", "--n-test", "10"),
    *("--set", "model.layers=1", "--set", "model.channels=8", "--set", "model.cutoff=4.0"),
    *("--set", "training.warmup_steps=5", "--set", "training.checkpoint_minutes=0.01"),
]


def started(data, folder):
    command = [
        sys.executable,
        "-m",
        "hermtk_cli.main",
        "ablate",
        "--data",
        str(data),
        *OPTIONS,
        "--out",
        str(folder),
    ]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def numbers(folder):
    found = json.loads((folder / "report" / "results.json").read_text())
    return [(table["metric"], table["errors"], table["differences"]) for table in found["tables"]]


@pytest.mark.slow
def test_a_study_killed_at_any_moment_ends_with_the_same_numbers(clusters_file, tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert started(clusters_file, whole).wait() == 0
    moments = random.Random(0)
    kept: dict[str, int] = {}
    for _ in range(4):
        study = started(clusters_file, broken)
        time.sleep(moments.uniform(5, 25))
        if study.poll() is not None:
            break
        os.kill(study.pid, signal.SIGKILL)
        study.wait()
        results = {str(path): path.stat().st_mtime_ns for path in broken.glob("runs/*/results.json")}
        # what was finished was not done again
        assert {name: results[name] for name in kept} == kept
        kept = results
    last = started(clusters_file, broken)
    assert last.wait() == 0
    assert numbers(broken) == numbers(whole)
    assert {name: os.stat(name).st_mtime_ns for name in kept} == kept
