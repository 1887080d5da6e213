"""`hermtk init`: a config that explains itself."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from hermtk.training.config import RunConfig, make_config, read_config


def keys(section: type[BaseModel], above: str = "") -> dict[str, Any]:
    found = {}
    for name, field in section.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found |= keys(kind, f"{above}{name}.")
        else:
            found[f"{above}{name}"] = field
    return found


def value(values: dict[str, Any], dotted: str) -> Any:
    for name in dotted.split("."):
        values = values[name]
    return values


def test_the_file_holds_every_key_with_its_default(hermtk):
    shown = hermtk("init")
    assert (shown.status, shown.out) == (0, "")
    assert "hermtk validate hermtk.yaml" in shown.err
    values = read_config(Path("hermtk.yaml"))
    assert make_config(values) == RunConfig()
    for name, field in keys(RunConfig).items():
        assert value(values, name) == field.get_default(call_default_factory=True), name


def test_every_description_stands_beside_its_key(hermtk):
    hermtk("init", "my.yaml")
    lines = Path("my.yaml").read_text().splitlines()
    for name, field in keys(RunConfig).items():
        key = name.rpartition(".")[2]
        if field.description:
            assert any(line.lstrip().startswith(f"{key}:") and field.description in line for line in lines), (
                name
            )
    assert any("cosine, plateau, constant" in line for line in lines)


def test_a_file_is_not_overwritten_unless_forced(hermtk):
    Path("my.yaml").write_text("seed: 3\n")
    shown = hermtk("init", "my.yaml")
    assert (shown.status, shown.error) == (
        1,
        "my.yaml exists: choose another file, or replace it with --force",
    )
    assert Path("my.yaml").read_text() == "seed: 3\n"
    assert hermtk("init", "my.yaml", "--force").status == 0
    assert yaml.safe_load(Path("my.yaml").read_text())["seed"] == 0


@pytest.mark.parametrize(
    ("path", "said"), [(".", "is a folder"), ("nowhere/my.yaml", "could not be written")]
)
def test_a_place_that_cannot_be_written_is_refused(hermtk, path, said, unchanged):
    shown = hermtk("init", path)
    assert shown.status == 1
    assert said in shown.error
    assert unchanged()
