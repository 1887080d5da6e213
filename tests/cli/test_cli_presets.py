"""Recipes on the command line: listed, shown, written into a file, trained from."""

import json
from pathlib import Path

import yaml

from hermtk.data.dataset import write_structures
from hermtk.training.config import make_config, read_config
from hermtk.training.presets import find_preset, presets
from training_world import clusters

TINY = [
    "--set",
    "model.channels=8",
    "--set",
    "model.layers=1",
    "--set",
    "model.cutoff=3.0",
    "--set",
    "training.compile=false",
]


def test_recipes_are_listed_and_shown(hermtk):
    listed = json.loads(hermtk("list", "preset", "--json").out)
    assert [entry["name"] for entry in listed] == [preset.name for preset in presets()]
    assert all(entry["summary"] for entry in listed)
    assert yaml.safe_load(hermtk("show", "accurate").out) == find_preset("accurate").values
    assert json.loads(hermtk("show", "accurate", "--json").out)[0]["config"] == find_preset("accurate").values


def test_a_file_is_written_from_a_recipe(hermtk):
    assert hermtk("init", "mine.yaml", "--preset", "accurate").status == 0
    assert make_config(read_config(Path("mine.yaml"))) == make_config(find_preset("accurate").values)
    assert "'accurate'" in hermtk("init", "other.yaml", "--preset", "acurate").error
    assert not Path("other.yaml").exists()


def test_a_run_starts_from_a_recipe_and_the_rest_overrides_it(hermtk):
    write_structures("clusters.xyz", clusters(20))
    done = hermtk(
        "train", "--preset", "accurate", "--data", "clusters.xyz", "--steps", 2, "--out", "run", *TINY
    )
    assert done.status == 0, done.err
    config = yaml.safe_load(Path("run/config.yaml").read_text())
    recipe = find_preset("accurate").values
    assert config["model"]["subnet"] == recipe["model"]["subnet"]
    assert config["training"]["learning_rate"] == recipe["training"]["learning_rate"]
    assert (config["training"]["steps"], config["model"]["channels"]) == (2, 8)


def test_an_unknown_recipe_stops_before_anything_is_made(hermtk):
    assert "Did you mean 'fast'" in hermtk("train", "--preset", "fats", "--out", "run").error
    assert not Path("run").exists()
