"""`hermtk show`: options of components, content of model files."""

import json

import pytest

from hermtk import __version__
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
