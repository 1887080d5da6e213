"""It keeps every law under every variant, and is found under its name."""

import pkgutil
import tomllib
from pathlib import Path

from hermtk.testing import Law, Subject, subjects
from hermtk.testing.parametrize import parametrize_laws

from hermtk_example.subnet import Example

PROJECT = Path(__file__).parents[1] / "pyproject.toml"


@parametrize_laws(subjects(Example))
def test_it_keeps_the_law(law: Law, subject: Subject) -> None:
    law(subject)


def test_the_entry_point_names_it() -> None:
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    points = project["entry-points"]["hermtk.subnets"]
    assert pkgutil.resolve_name(points["example"]) is Example


def test_the_option_sets_the_width_of_the_networks() -> None:
    layer = Example(8, 3, 6, hidden=5)
    assert layer.source.first.weight.shape == (3, 8, 5)
    assert layer.update.second.weight.shape == (3, 5, 8)
