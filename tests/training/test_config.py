"""A configuration says what it is, or is refused with the nearest name."""

from pathlib import Path

import pytest
import yaml

from hermtk.errors import ConfigError, HermtkError, UnknownName
from hermtk.training.config import RunConfig, dump_config, make_config, read_config, set_key


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    config = make_config({"model": {"variant": "htnet", "channels": 24}, "seed": 5})
    path = tmp_path / "config.yaml"
    path.write_text(dump_config(config), encoding="utf-8")
    assert make_config(read_config(path)) == config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"trainin": {}}, "Did you mean 'training'"),
        ({"training": {"learning_rat": 1}}, "Did you mean 'learning_rate'"),
        ({"training": {"loss": {"force": 1}}}, "Did you mean 'forces'"),
        ({"model": {"channels": "many"}}, "model.channels"),
        ({"training": {"steps": 0}}, "training.steps"),
        ({"training": {"epochs": 2, "validate_every": 5}}, "never be validated"),
    ],
)
def test_a_wrong_key_or_value_is_named(values: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_config(values)


def test_keys_are_set_by_their_dotted_names() -> None:
    values: dict = {}
    set_key(values, "training.loss.forces", 3)
    set_key(values, "model.subnet_options.hidden", 8)
    set_key(values, "seed", 4)
    assert make_config(values).training.loss.forces == 3
    assert make_config(values).model.subnet_options == {"hidden": 8}
    assert make_config(values).seed == 4


@pytest.mark.parametrize("key", ["training.los.forces", "training.loss.forcs", "sed"])
def test_a_misspelt_dotted_name_is_refused(key: str) -> None:
    with pytest.raises(UnknownName, match="Did you mean"):
        set_key({}, key, 1)


@pytest.mark.parametrize("text", ["a: [1", "- 1\n- 2", "just text"])
def test_a_file_that_is_no_config_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(HermtkError, match=r"config\.yaml"):
        make_config(read_config(path))


def test_an_empty_file_is_the_default_run(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("", encoding="utf-8")
    assert make_config(read_config(path)) == RunConfig()


def test_every_key_explains_itself() -> None:
    def missing(section: type, place: str = "") -> list[str]:
        found = []
        for name, field in section.model_fields.items():
            inner = getattr(field.annotation, "model_fields", None)
            if inner is not None:
                found += missing(field.annotation, f"{place}{name}.")
        return found

    assert missing(RunConfig) == []
    assert yaml.safe_load(dump_config(RunConfig()))["training"]["loss"]["kind"] == "huber"
