"""Named recipes: parts of a configuration whose accuracy and cost were measured (docs/presets.md)."""

from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import yaml

from hermtk.errors import UnknownName

_FOLDER = files("hermtk") / "presets"
_SUFFIX = ".yaml"


@dataclass(frozen=True)
class Preset:
    """A recipe: what it is for, in a line, its file as written and the configuration's keys that it sets."""

    name: str
    summary: str
    text: str
    values: dict[str, Any]


def presets() -> list[Preset]:
    """All recipes, by name."""
    names = sorted(
        file.name.removesuffix(_SUFFIX) for file in _FOLDER.iterdir() if file.name.endswith(_SUFFIX)
    )
    return [_read(name) for name in names]


def find_preset(name: str) -> Preset:
    """A recipe by name.

    Raises:
        UnknownName: there is none of this name; offers the nearest.
    """
    known = {preset.name: preset for preset in presets()}
    if name not in known:
        raise UnknownName("preset", name, list(known))
    return known[name]


def with_preset(name: str, values: dict[str, Any]) -> dict[str, Any]:
    """Nested values over those of a recipe: what is given wins.

    Options and width of the recipe's subnet, or options of its variant, go where another one is given, its number of steps where
    epochs are, and its model where a run begins with one.

    Raises:
        UnknownName: there is no such recipe.
    """
    base = find_preset(name).values
    model, training = dict(base.get("model", {})), dict(base.get("training", {}))
    given, told = values.get("model") or {}, values.get("training") or {}
    for choice, fitted in (("subnet", ("subnet_options", "channels")), ("variant", ("relation_options",))):
        if given.get(choice, model.get(choice)) != model.get(choice):
            model = {key: value for key, value in model.items() if key not in fitted}
    if told.get("epochs") is not None:
        training.pop("steps", None)
    if (values.get("start") or {}).get("model"):
        # and a rate for fresh weights
        model = {}
        training.pop("learning_rate", None)
    return _merged({**base, "model": model, "training": training}, values)


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    both = dict(base)
    for key, value in over.items():
        under = base.get(key)
        both[key] = _merged(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
    return both


def _read(name: str) -> Preset:
    text = (_FOLDER / f"{name}{_SUFFIX}").read_text(encoding="utf-8")
    return Preset(name, text.partition("\n")[0].removeprefix("# "), text, yaml.safe_load(text))
