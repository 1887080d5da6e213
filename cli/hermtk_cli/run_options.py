"""The options that say what a run is, for every command that begins or plans runs, and the configuration they make."""

from pathlib import Path
from typing import Annotated, Any

import typer

from hermtk.errors import ConfigError

Config = Annotated[
    Path | None, typer.Argument(help="YAML file of a run (see `hermtk init`); options below override it.")
]
Subnet = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME|RELATION=NAME",
        help="Sub-network: painn ... (see `hermtk list`). Again for single relations: --subnet Pt=unite.",
    ),
]
Preset = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="Start from a recipe: see `hermtk list preset`; the rest overrides it."
    ),
]
Variant = Annotated[
    str | None, typer.Option(help="What weights depend on: homogeneous, hvnet, hpnet, htnet.")
]
Data = Annotated[
    list[str] | None,
    typer.Option(
        help="Structures to train on, or qm9; the embedded ethanol set if not given. Again for further sets, trained on "
        "together."
    ),
]
Start = Annotated[
    Path | None,
    typer.Option(metavar="MODEL|RUN", help="Begin with the weights of this model: fine-tuning."),
]
Freeze = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATTERN",
        help="With --start: parameters that stay as they are, as embedding, layers.0 or `*.bias`. Again for more.",
    ),
]
NewReferences = Annotated[
    bool | None,
    typer.Option(
        "--new-references/--keep-references",
        help="With --start: fit what the data's energies differ by, per element, for data of another method.",
    ),
]
Target = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="What to learn: energy (with forces, stress), mu, alpha, homo, lumo, gap, r2, zpve, U0, U, H, G, cv, or another "
        "number that each structure has.",
    ),
]
AllowMissing = Annotated[
    bool | None,
    typer.Option(
        "--allow-missing/--require-labels",
        help="Train on structures that lack some labels too; what is missing is left out of the loss.",
    ),
]
Validation = Annotated[
    str | None, typer.Option(help="Structures to validate on; taken from --data if not given.")
]
Test = Annotated[
    str | None, typer.Option(help="Structures to test on; what --data leaves over if not given.")
]
NTrain = Annotated[int | None, typer.Option(help="How many structures to train on.")]
NValidation = Annotated[int | None, typer.Option(help="How many structures to validate on.")]
NTest = Annotated[int | None, typer.Option(help="How many structures to test on.")]
Steps = Annotated[int | None, typer.Option(help="Optimiser steps of the whole run.")]
Epochs = Annotated[int | None, typer.Option(help="Passes over the data, instead of steps.")]
Seed = Annotated[int | None, typer.Option(help="Seed of weights and batch order.")]
Device = Annotated[str | None, typer.Option(help="cpu or cuda.")]
Compile = Annotated[
    bool | None,
    typer.Option("--compile/--no-compile", help="Compile the model; decided by length if not given."),
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Any key of the config: --set training.loss.forces=10."),
]

_KEYS = {
    "variant": "model.variant",
    "target": "data.target",
    "allow_missing": "data.allow_missing",
    "validation": "data.validation",
    "test": "data.test",
    "n_train": "data.n_train",
    "n_validation": "data.n_validation",
    "n_test": "data.n_test",
    "steps": "training.steps",
    "epochs": "training.epochs",
    "compile_": "training.compile",
    "freeze": "start.freeze",
    "seed": "seed",
    "device": "device",
}


# and those that say more than one key
_NAMES = (*_KEYS, "subnet", "data", "start", "new_references")


def chosen(arguments: dict[str, Any]) -> dict[str, Any]:
    """Of a command's arguments (its ``locals()`` at the start) those that say what a run is; None what it does not have."""
    return {name: arguments.get(name) for name in _NAMES}


def names(words: str | None, kind: str) -> list[str]:
    """The names of a list, ``hvnet,hpnet``; all that are installed for ``all``."""
    from hermtk import registry
    from hermtk.models.variants import VARIANTS

    found = [word.strip() for word in (words or "").split(",") if word.strip()]
    if found == ["all"]:
        return list(VARIANTS) if kind == "variant" else sorted(registry.entries(kind))
    return list(dict.fromkeys(found))


def values(
    options: dict[str, Any], config: Path | None, preset: str | None, assignments: list[str]
) -> dict[str, Any]:
    """The nested values of a run: preset, then file, then options, then --set.

    Args:
        options: as ``chosen``; None where not given.
        config: a YAML file.
        preset: the name of a recipe.
        assignments: KEY=VALUE.

    Raises:
        ConfigError: the file cannot be read, or an option says two things.
        UnknownName: a key or a preset that does not exist.
    """
    from hermtk.training.config import read_config

    return over(read_config(config) if config else {}, options, preset, assignments)


def over(
    nested: dict[str, Any], options: dict[str, Any], preset: str | None, assignments: list[str]
) -> dict[str, Any]:
    """The same over the nested values of a file."""
    import yaml

    from hermtk.training.config import set_key
    from hermtk.training.presets import with_preset

    for key, value in _by_key(options).items():
        set_key(nested, key, value)
    for relation, name in _overrides(options["subnet"] or []).items():
        set_key(nested, f"model.subnet_overrides.{relation}", name)
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise ConfigError(f"--set wants KEY=VALUE, it was given {assignment!r}")
        set_key(nested, key.strip(), yaml.safe_load(text))
    return with_preset(preset, nested) if preset else nested


def _by_key(options: dict[str, Any]) -> dict[str, Any]:
    """What was given, by key of the configuration."""
    data, start = options["data"], options["start"]
    found = {
        "model.subnet": _own_subnet(options["subnet"] or []),
        "data.train": data[0] if data and len(data) == 1 else data or None,
        "start.model": None if start is None else str(start),
        "start.references": {True: "new", False: "keep", None: None}[options["new_references"]],
        **{key: options[name] for name, key in _KEYS.items()},
    }
    given = {key: value for key, value in found.items() if value not in (None, [])}
    if options["steps"] is not None and options["epochs"] is None:
        given["training.epochs"] = None
    return given


def _own_subnet(words: list[str]) -> str | None:
    """The subnet that is named without a relation."""
    names = [word for word in words if "=" not in word]
    if len(names) > 1:
        raise ConfigError(
            f"two subnets are given, {names[0]!r} and {names[1]!r}: "
            f"say which relation the other is for, as in --subnet Pt={names[1]}"
        )
    return names[0] if names else None


def _overrides(words: list[str]) -> dict[str, str]:
    """The subnets of single relations, by relation."""
    found: dict[str, str] = {}
    for word in words:
        relation, equals, name = (part.strip() for part in word.partition("="))
        if not equals:
            continue
        if not (relation and name):
            raise ConfigError(f"--subnet wants NAME or RELATION=NAME, it was given {word!r}")
        if found.get(relation, name) != name:
            raise ConfigError(f"two subnets are given for {relation}: {found[relation]!r} and {name!r}")
        found[relation] = name
    return found
