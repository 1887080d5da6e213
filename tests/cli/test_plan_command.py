"""`hermtk plan` as a user meets it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from hermtk_cli import group

TINY = ["--n-train", 8, "--n-validation", 2, "--n-test", 2, "--steps", 9]
for assignment in ("model.channels=4", "model.layers=1", "model.n_basis=4", "model.cutoff=3.0"):
    TINY += ["--set", assignment]


def options(command: str) -> set[str]:
    return {option for parameter in group.load(command).params for option in parameter.opts}


def test_what_can_be_trained_can_be_planned():
    assert options("train") - options("plan") == {"--out", "--resume", "--processes", "--report"}


@pytest.fixture(scope="module")
def planned(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Two subnets under two variants, one relation of which has a subnet that the other variant has no relation for."""
    place = tmp_path_factory.mktemp("planned")
    words = [
        "plan",
        "--data",
        data,
        "--variants",
        "homogeneous,hvnet",
        "--subnets",
        "painn,unite",
        "--subnet",
        "H=unite",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "hermtk_cli.main", *map(str, [*words, *TINY, "--minutes", 1, "--json"])],
        cwd=place, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert list(place.iterdir()) == []
    return json.loads(done.stdout)


def test_every_combination_has_its_plan(planned: dict[str, Any]):
    named = [(row["subnet"], row["variant"]) for row in planned["plans"]]
    assert named == [("painn", "homogeneous"), ("painn", "hvnet"), ("unite", "homogeneous"), ("unite", "hvnet")]  # fmt: skip
    assert planned["complete"]
    for row in planned["plans"][1::2]:
        assert row["steps"] == 9
        assert row["structures"] == {"train": 8, "validation": 2, "test": 2}
        assert row["relations"]["number"] == 3
        assert row["seconds"]["step"] > 0
        assert row["steps_in_time"] > 9


def test_a_combination_that_cannot_be_has_its_reason_and_disturbs_no_other(planned: dict[str, Any]):
    for row in planned["plans"][::2]:
        assert "nothing to override" in row["problem"] or "homogeneous" in row["problem"]


def test_a_table_and_what_speaks_against_a_run(hermtk, data: Path, unchanged):
    outcome = hermtk("plan", "--data", data, "--variant", "htnet", *TINY)
    assert outcome.status == 0
    assert unchanged()
    (row,) = [line for line in outcome.out.splitlines() if line.strip().startswith("painn htnet ")]
    assert "of 18" in row
    assert "…" not in outcome.out
    assert "8 train, 2 validation, 2 test; 9 steps, 1 an epoch" in outcome.out
    assert "are never seen in training" in " ".join(outcome.out.split())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--variants", "hvnet,htnett"], "no variant named 'htnett'. Did you mean 'htnet'?"),
        (["--subnets", "pain"], "no subnet named 'pain'. Did you mean 'painn'?"),
        (["--set", "model.chanels=4"], "Did you mean"),
        (["--set", "start.model=x.pt", "--variants", "hvnet"], "leave --subnets and --variants out"),
        (["--data", "nowhere.xyz", "--variant", "hvnet"], "there is no file nowhere.xyz"),
        (["--device", "abacus"], "the device 'abacus' cannot be used here"),
    ],
)
def test_what_cannot_be_planned_is_an_error(hermtk, words: list[str], said: str):
    outcome = hermtk("plan", *words)
    assert outcome.status == 1
    assert said in outcome.error


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_an_interrupt_ends_it_and_what_it_started(data: Path, tmp_path: Path):
    command = [sys.executable, "-m", "hermtk_cli.main", "plan", "--data", data, "--json"]
    process = subprocess.Popen(
        list(map(str, command)), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    # the folder of the trials is there when they begin
    while process.poll() is None and not list(tmp_path.glob("hermtk-trials-*/1/config.yaml")):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert json.loads(out)["complete"] is False
    assert list(tmp_path.iterdir()) == []
