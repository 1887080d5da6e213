"""`hermtk show`: options of components, content of model files."""

import json

import pytest

from hermtk import __version__
from hermtk.models.build import build_model
from hermtk.models.config import ModelConfig
from hermtk.models.files import save_model
from hermtk_cli.describe import option_docs


def test_options_have_type_default_and_meaning(hermtk):
    (found,) = json.loads(hermtk("show", "painn", "--json").out)
    options = {option["name"]: option for option in found["options"]}
    assert options["hidden"]["type"] == "int | None"
    assert options["hidden"]["default"] is None
    assert not options["hidden"]["required"]
    assert "width of the two node networks" in options["hidden"]["doc"]
    shown = hermtk("show", "painn").out
    assert "hidden" in shown
    assert f"from hermtk {__version__}" in shown


def test_a_variant_shows_its_relation_scheme(hermtk):
    (found,) = json.loads(hermtk("show", "htnet", "--json").out)
    assert (found["kind"], found["relation"]) == ("variant", "triad")
    assert "relation scheme triad" in hermtk("show", "htnet").out


def test_a_model_file_shows_what_it_holds(hermtk, models, model):
    found = json.loads(hermtk("show", model, "--json").out)
    assert found["elements"] == ["H", "C", "O"]
    assert (found["subnet"], found["variant"], found["cutoff"]) == ("painn", "hpnet", 3.0)
    assert len(found["relations"]) == 9
    assert found["parameters"] > 100
    assert found["facts"]["coverage"] == {"H-C": 120, "C-H": 130}
    assert found["config"]["channels"] == 4
    shown = hermtk("show", models)
    assert (shown.status, shown.err) == (0, "")
    for text in ("H, C, O", "hpnet: 9 relations (pair)", "3 Å", "2026-11-21", "coverage", "H-C", "130"):
        assert text in shown.out


def test_an_unknown_name_is_refused_with_the_nearest(hermtk):
    shown = hermtk("show", "pain")
    assert shown.status == 1
    assert "no component or model file named 'pain'" in shown.error
    assert "Did you mean" in shown.error


@pytest.mark.parametrize("name", ["model.pt", "runs/model", "there.is.none"])
def test_a_name_of_a_file_is_taken_for_a_model_file(hermtk, name):
    shown = hermtk("show", name)
    assert (shown.status, shown.error) == (1, f"there is no model file {name}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("``cutoff`` in Angstrom.", {"cutoff": "in Angstrom"}),
        (
            "``a``: one thing, ``other`` if not given; ``b``: two.",
            {"a": "one thing, `other` if not given", "b": "two"},
        ),
        ("Words about a: b. ``a``: first.\n\nMore words.", {"a": "first"}),
        (
            "What it is.\n\nArgs:\n    a: first, over\n        two lines.\n    b: second.",
            {"a": "first, over two lines", "b": "second"},
        ),
        ("Nothing of either.", {}),
    ],
)
def test_the_meaning_of_an_option_is_found_in_a_docstring(text, said):
    assert option_docs(text, ["a", "b", "cutoff"]) == said


def test_without_options_no_meaning_is_looked_for():
    assert option_docs("a: b", []) == {}


@pytest.fixture
def plugged(world, tmp_path):
    """A model made with the subnet of a plugin."""
    world.install("mine", "1.0", subnets="damped = mine.module")
    config = ModelConfig(subnet="damped", channels=4, layers=1, n_basis=3, cutoff=3.0)
    save_model(tmp_path / "plugged.pt", build_model(config, (1, 8)), config)
    return tmp_path / "plugged.pt"


def test_a_model_file_shows_the_plugins_it_needs(hermtk, plugged):
    needs = json.loads(hermtk("show", plugged, "--json").out)["needs"]
    assert [(n["distribution"], n["version"], n["name"]) for n in needs] == [
        ("mine", "1.0", "damped"),
        ("hermtk", __version__, "center"),
        ("hermtk", __version__, "energy"),
    ]
    shown = hermtk("show", plugged)
    assert shown.err == ""
    assert f"mine 1.0 for the subnet damped, sources {needs[0]['sha256'][:12]}" in shown.out
    assert f"hermtk {__version__} for the readout energy" in shown.out


@pytest.mark.filterwarnings("always::hermtk.errors.PluginChanged")
def test_a_changed_plugin_is_a_line_beside_the_result(hermtk, plugged, world):
    world.install("mine", "1.1", subnets="damped = mine.module")
    shown = hermtk("show", plugged, "--json")
    assert shown.status == 0
    assert json.loads(shown.out)["subnet"] == "damped"
    said = f"warning: {plugged}: made with mine 1.0, installed is mine 1.1: results may differ\n"
    assert shown.err == said


def test_a_missing_plugin_is_an_error_that_says_what_to_install(hermtk, plugged, world):
    world.uninstall("mine")
    shown = hermtk("show", plugged)
    assert shown.status == 1
    assert (
        "needs the subnet 'damped' of mine 1.0, which is not installed: install it by `pip install mine==1.0`"
        in (shown.error)
    )


def test_a_disabled_component_is_shown_with_the_reason(hermtk, world):
    world.install("first", "1.0", subnets="damped = first.module\npainn = first.module")
    world.install("second", "2.0", subnets="damped = second.module")
    assert "is disabled: second 2.0 has a subnet of that name too" in hermtk("show", "damped").error
    assert "from hermtk" in hermtk("show", "painn").out
