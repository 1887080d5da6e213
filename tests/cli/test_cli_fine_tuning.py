"""`hermtk train --start` and several `--data` as a user meets them."""

import json
from pathlib import Path

import pytest

from hermtk.data.dataset import write_structures
from training_world import clusters

TINY = [f"--set=model.{key}" for key in ("channels=4", "layers=1", "n_basis=4", "cutoff=3.0")]


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two data sets."""
    folder = tmp_path_factory.mktemp("sets")
    paths = [folder / "old.xyz", folder / "new.xyz"]
    for seed, path in enumerate(paths):
        write_structures(path, clusters(30, seed=seed))
    return paths


def test_a_run_begins_with_a_model_and_says_where(hermtk, model, sets):
    done = hermtk(
        "train", "--start", model, "--data", sets[0], "--steps", 6, "--freeze", "embedding", "--freeze", "*.bias",
        "--new-references", "--no-compile", "--out", "tuned",
    )  # fmt: skip
    assert done.status == 0, done.err
    assert f"are those of {model} to the last bit, but for the new references" in done.out
    assert "parameters frozen" in done.out
    shown = hermtk("show", "tuned").out
    assert str(model) in shown
    facts = json.loads(hermtk("show", "tuned", "--json").out)["facts"]
    assert facts["start"]["facts"]["made"] == "2026-11-21"
    assert facts["start"]["references"] == "new"


def test_the_names_that_can_be_frozen_are_shown(hermtk, model):
    assert "embedding.weight" in hermtk("show", model, "--parameters").out
    shapes = json.loads(hermtk("show", model, "--parameters", "--json").out)
    assert shapes["embedding.weight"] == [3, 4]
    assert "painn is a component" in hermtk("show", "painn", "--parameters").error


def test_several_sets_are_trained_on_together_and_tested_apart(hermtk, sets):
    words = [word for path in sets for word in ("--data", path)]
    done = hermtk("train", *words, "--steps", 4, "--no-compile", "--out", "both", *TINY, "--json")
    assert done.status == 0, done.err
    assert "of these 3 of new: MAE E" in done.err
    results = json.loads(done.out)
    parts = [results["sets"][name] for name in ("old", "new")]
    assert [part["structures"] for part in parts] == [3, 3]
    for quantity in ("energy", "forces"):
        expected = sum(part[quantity]["mae"] for part in parts) / 2
        assert results["errors"][quantity]["mae"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--start", "MODEL", "--set", "model.channels=16"], "model.channels is 16, but"),
        (["--start", "MODEL", "--freeze", "embeding"], "Did you mean 'embedding'"),
        (["--freeze", "embedding"], "give start.model (--start) too"),
        (["--new-references"], "give start.model (--start) too"),
        (["--start", "nothing.pt"], "there is no model file nothing.pt"),
    ],
)
def test_what_cannot_be_is_refused(hermtk, model, sets, words, message):
    words = [str(model) if word == "MODEL" else word for word in words]
    assert message in hermtk("train", "--data", sets[0], "--out", "run", *words).error
    assert not Path("run").exists()


def test_a_config_that_fine_tunes_is_validated(hermtk, model, sets):
    train = f"[{sets[0]}, {{file: {sets[1]}, weight: 3}}]"
    Path("tune.yaml").write_text(f"data:\n  train: {train}\nstart:\n  model: {model}\n")
    done = hermtk("validate", "tune.yaml")
    assert done.status == 0, done.err
    assert "hvnet" not in done.out
    assert "can be trained" in done.out


def test_a_preset_for_fresh_weights_changes_neither_architecture_nor_rate(hermtk, model, sets):
    done = hermtk(
        "train",
        "--preset",
        "fast",
        "--start",
        model,
        "--data",
        sets[0],
        "--steps",
        2,
        "--no-compile",
        "--out",
        "run",
    )
    assert done.status == 0, done.err
    assert "learning_rate: 0.001\n" in Path("run/config.yaml").read_text()
