"""`hermtk train` as a user meets it: the whole command in a process of its own."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

from hermtk.data.dataset import write_structures
from hermtk.data.structure import Structure
from training_world import clusters

TINY = [
    "--set",
    "model.channels=8",
    "--set",
    "model.layers=2",
    "--set",
    "model.n_basis=7",
    "--set",
    "model.cutoff=3.0",
]


def hermtk(*words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hermtk_cli.main", *map(str, words)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "140"}
    return subprocess.run(
        command, capture_output=True, text=True, cwd=cwd, env=environment, timeout=300, check=False
    )


def refused(result: subprocess.CompletedProcess[str]) -> str:
    """The message of a command that refused its input as it should."""
    assert result.returncode not in (0, 120), result.stdout
    assert "Traceback" not in result.stderr + result.stdout
    assert "error" in result.stderr.lower()
    return " ".join(result.stderr.split())


def test_one_command_leaves_a_model_its_errors_and_pictures(tmp_path: Path, cluster_file: Path) -> None:
    done = hermtk(
        "train", "--subnet", "painn", "--variant", "htnet", "--data", cluster_file, "--steps", 20,
        "--out", "run", "--json", *TINY, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert results["errors"]["forces"]["mae"] > 0
    run = tmp_path / "run"
    assert {p.name for p in run.iterdir()} >= {
        "config.yaml", "run.json", "metrics.csv", "checkpoint.pt", "model.pt", "results.json", "report",
    }  # fmt: skip
    assert (run / "report" / "report.html").read_text().startswith("<!DOCTYPE html>")
    with (run / "metrics.csv").open() as file:
        steps = [int(row["step"]) for row in csv.DictReader(file)]
    assert steps[-1] == 20


def test_the_config_beside_the_results_reproduces_the_run(tmp_path: Path, cluster_file: Path) -> None:
    first = hermtk(
        "train", "--data", cluster_file, "--steps", 12, "--out", "a", "--json", *TINY, cwd=tmp_path
    )
    again = hermtk("train", "a/config.yaml", "--out", "b", "--json", cwd=tmp_path)
    assert first.returncode == again.returncode == 0, first.stderr + again.stderr
    assert json.loads(first.stdout)["errors"] == json.loads(again.stdout)["errors"]


def test_an_interrupt_ends_cleanly_and_can_be_gone_on_with(tmp_path: Path, cluster_file: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "hermtk_cli.main",
        "train",
        "--data",
        str(cluster_file),
        "--steps",
        "4000",
    ]
    process = subprocess.Popen(
        [*command, "--out", "run", *TINY], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "140"},
    )  # fmt: skip
    metrics = tmp_path / "run" / "metrics.csv"
    # a busy machine takes its time
    for _ in range(2400):
        if metrics.is_file() and len(metrics.read_text().splitlines()) > 3:
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=240)
    assert process.returncode == 130, out + err
    assert "Traceback" not in err
    assert "--resume run" in out + err
    assert (tmp_path / "run" / "model.pt").is_file()
    values = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert values["training"]["steps"] == 4000


def test_a_folder_that_holds_something_is_not_overwritten(tmp_path: Path, cluster_file: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    message = refused(hermtk("train", "--data", cluster_file, "--out", "run", cwd=tmp_path))
    assert "not empty" in message
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["notes.txt"]


def spoiled(tmp_path: Path, **changes: object) -> Path:
    structures = clusters(12)
    values = {
        f: getattr(structures[3], f) for f in ("numbers", "positions", "cell", "pbc", "energy", "forces")
    }
    structures[3] = Structure(**{**values, **changes}, source="x:3")
    path = tmp_path / "spoiled.npz"
    write_structures(path, structures)
    return path


def with_value(array: np.ndarray, value: float) -> np.ndarray:
    changed = array.copy()
    changed[2, 1] = value
    return changed


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("missing", "there is no file"),
        ("empty", "is empty"),
        ("truncated", "clusters.xyz"),
        ("nan position", "spoiled.npz:3"),
        ("nan energy", "spoiled.npz:3"),
        ("infinite force", "spoiled.npz:3"),
        ("same place", "spoiled.npz:3"),
        ("zero volume", "spoiled.npz:3"),
        ("no cell", "spoiled.npz:3"),
        ("no forces", "forces"),
    ],
)
def test_bad_data_are_refused_in_one_paragraph_and_nothing_is_left_behind(
    tmp_path: Path, cluster_file: Path, case: str, expected: str
) -> None:
    good = clusters(4)[3]
    flat = np.diag([5.0, 5.0, 0.0])
    three = np.ones(3, dtype=bool)
    makers = {
        "missing": lambda: tmp_path / "nowhere.xyz",
        "empty": lambda: _text(tmp_path / "empty.xyz", ""),
        "truncated": lambda: _text(tmp_path / "clusters.xyz", cluster_file.read_text()[:-40]),
        "nan position": lambda: spoiled(tmp_path, positions=with_value(good.positions, np.nan)),
        "nan energy": lambda: spoiled(tmp_path, energy=float("nan")),
        "infinite force": lambda: spoiled(tmp_path, forces=with_value(good.forces, np.inf)),
        "same place": lambda: spoiled(
            tmp_path, positions=np.vstack([good.positions[:5], good.positions[:1]])
        ),
        "zero volume": lambda: spoiled(tmp_path, cell=flat, pbc=three),
        "no cell": lambda: spoiled(tmp_path, pbc=three),
        "no forces": lambda: _without_forces(tmp_path / "unlabelled.xyz"),
    }
    path = makers[case]()
    message = refused(hermtk("train", "--data", path, "--out", "run", cwd=tmp_path))
    assert expected in message
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--set", "training.learning_rat=1"], "learning_rate"),
        (["--set", "model.subnet_options={hiden: 4}"], "hidden"),
        (["--subnet", "pain"], "painn"),
        (["--variant", "htnett"], "htnet"),
        (["--set", "data.energy_unit=eVV"], "eV"),
        (["--n-train", "38", "--n-validation", "10"], "larger than the set"),
        (["--device", "tpu9"], "device"),
    ],
)
def test_a_wrong_choice_is_refused_with_the_nearest_right_one(
    tmp_path: Path, cluster_file: Path, words: list[str], expected: str
) -> None:
    message = refused(hermtk("train", "--data", cluster_file, "--out", "run", *words, cwd=tmp_path))
    assert expected in message
    assert not (tmp_path / "run").exists()


def _text(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def _without_forces(path: Path) -> Path:
    bare = [Structure(s.numbers, s.positions, energy=s.energy, source=s.source) for s in clusters(12)]
    write_structures(path, bare)
    return path
