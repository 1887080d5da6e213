"""Recipes: every one is a configuration, and what the user says wins over it."""

import pytest

from hermtk.errors import UnknownName
from hermtk.training.config import make_config
from hermtk.training.presets import find_preset, presets, with_preset

NAMES = [preset.name for preset in presets()]


def test_the_documented_recipes_are_there():
    assert {"fast", "accurate"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_is_part_of_a_configuration(name):
    preset = find_preset(name)
    config = make_config(preset.values).model_dump()
    for section, keys in preset.values.items():
        for key, value in keys.items():
            kept = config[section][key]
            assert ({**kept, **value} if isinstance(value, dict) else value) == kept
    assert "data" not in preset.values
    assert preset.summary
    assert preset.text.startswith(f"# {preset.summary}\n")


def test_what_is_given_wins():
    values = with_preset("accurate", {"training": {"learning_rate": 0.5}, "seed": 7})
    assert values["training"]["learning_rate"] == 0.5
    assert values["seed"] == 7
    assert values["training"]["steps"] == find_preset("accurate").values["training"]["steps"]


def test_options_and_width_of_another_subnet_are_left_behind():
    recipe = find_preset("accurate").values["model"]
    kept = with_preset("accurate", {"model": {"layers": 2}})["model"]
    assert kept == {**recipe, "layers": 2}
    other = with_preset("accurate", {"model": {"subnet": "painn"}})["model"]
    assert other["subnet"] == "painn"
    assert not {"subnet_options", "channels"} & set(other)
    assert find_preset("accurate").values["model"] == recipe


def test_epochs_replace_the_recipe_s_steps():
    values = with_preset("fast", {"training": {"epochs": 3}})
    assert "steps" not in values["training"]
    assert values["training"]["epochs"] == 3


def test_an_unknown_recipe_is_refused_with_the_nearest():
    with pytest.raises(UnknownName, match="accurate"):
        with_preset("acurate", {})
