import csv
import json
import sys
from pathlib import Path

import ase.io
import pytest

sys.path.append(str(Path(__file__).parents[1] / "ablation"))
from synthetic import structures

MODEL = [f"model.{key}" for key in ("layers=1", "channels=4", "n_basis=4", "cutoff=4.0")]
QUICK = [word for key in [*MODEL, "training.warmup_steps=1"] for word in ("--set", key)]


@pytest.fixture(scope="module")
def clusters_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("clusters") / "clusters.xyz"
    ase.io.write(path, structures(30, typed=True, seed=1), format="extxyz")
    return path


def arguments(data, *more):
    sizes = ("--n-train", 10, "--n-validation", 4, "--n-test", 6)
    return ("ablate", "--data", data, "--variants", "homogeneous,hvnet", "--steps", 4, *sizes, *QUICK, *more)


def test_a_study_is_run_compared_and_reported_and_goes_on_where_it_was(hermtk, clusters_file):
    done = hermtk(*arguments(clusters_file, "--seeds", 2, "--jobs", 2, "--out", "study"))
    assert done.status == 0
    assert "painn-hvnet against painn-homogeneous" in done.out or "painn-hvnet" in done.out
    assert "report: study/report/report.html" in done.out
    assert "painn-hvnet seed 1: finished after" in done.err
    with Path("study/report/errors.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {(row["arm"], row["seed"]) for row in rows} == {
        (f"painn-{variant}", seed) for variant in ("homogeneous", "hvnet") for seed in "01"
    }
    # finished runs are kept, a seed more is all that is done
    before = {path: path.stat().st_mtime_ns for path in Path("study/runs").glob("*/results.json")}
    more = hermtk("ablate", "study/study.yaml", "--seeds", 3, "--out", "study", "--json")
    assert more.status == 0
    assert more.err.count("finished before") == 4
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert len(list(Path("study/runs").glob("*/results.json"))) == 6
    assert json.loads(more.out)["seeds"] == [0, 1, 2]


def test_a_dry_run_shows_time_and_memory_and_begins_nothing(hermtk, clusters_file):
    matched = ("--match", "params", "--set", "model.channels=24", "--out", "study")
    shown = hermtk(*arguments(clusters_file, "--seeds", 2, "--dry-run", "--json", *matched))
    assert shown.status == 0
    said = json.loads(shown.out)
    assert said["runs"] == said["left"] == 4
    for arm in said["arms"]:
        assert arm["run_seconds"] > 0
        assert arm["peak"] > 0
        assert arm["parameters"] > 0
    assert not Path("study").exists()


def test_a_run_that_fails_is_named_and_the_others_are_compared(hermtk, clusters_file):
    Path("study.yaml").write_text(
        "variants: [homogeneous, hvnet, hpnet]\n"
        "seeds: 1\n"
        "run: {model: {layers: 1, channels: 4, n_basis: 4, cutoff: 4.0}, training: {steps: 4, warmup_steps: 1}}\n"
    )
    options = ("--data", clusters_file, "--n-train", 10, "--n-validation", 4, "--out", "study")
    assert hermtk("ablate", "study.yaml", *options, "--dry-run").status == 0
    # an arm whose loss explodes at once
    broken = hermtk("ablate", "study.yaml", *options, "--set", "training.learning_rate=1e30")
    assert broken.status == 1
    assert "failed with seed 0" in broken.out
    assert "No run has finished" in broken.out
    assert Path("study/report/report.html").is_file()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--variants", "homogenous"), "Did you mean 'homogeneous'"),
        (("--subnets", "pain"), "Did you mean 'painn'"),
        (("--seeds", "two"), "--seeds wants whole numbers"),
        (("--match", "width"), "match"),
        (("--control", "htnet"), "the control htnet is not among the variants"),
        (("--cluster", "gpu"), "--cluster wants KEY=VALUE"),
        (("--set", "trainig.steps=3"), "Did you mean 'training'"),
        (("--data", "nowhere.xyz"), "nowhere.xyz"),
        (("--n-train", 4000), "4000"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_begun(hermtk, clusters_file, words, said):
    assert said in hermtk(*arguments(clusters_file, "--out", "study", *words)).error
    assert not Path("study/runs").exists()
