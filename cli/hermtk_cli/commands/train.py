"""`hermtk train`: from data to a model, one command."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from hermtk.errors import ConfigError


def run(
    config: Annotated[
        Path | None, typer.Argument(help="YAML file of a run (see `hermtk init`); options below override it.")
    ] = None,
    subnet: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME|RELATION=NAME",
            help="Sub-network: painn ... (see `hermtk list`). Again for single relations: --subnet Pt=unite.",
        ),
    ] = None,
    variant: Annotated[
        str | None, typer.Option(help="What weights depend on: homogeneous, hvnet, hpnet, htnet.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(help="Structures to train on, or qm9; the embedded ethanol set if not given."),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="What to learn: energy (with forces, stress), mu, alpha, homo, lumo, gap, r2, zpve, U0, U, H, G, cv, or another "
            "number that each structure has.",
        ),
    ] = None,
    allow_missing: Annotated[
        bool | None,
        typer.Option(
            "--allow-missing/--require-labels",
            help="Train on structures that lack some labels too; what is missing is left out of the loss.",
        ),
    ] = None,
    validation: Annotated[
        str | None, typer.Option(help="Structures to validate on; taken from --data if not given.")
    ] = None,
    test: Annotated[
        str | None, typer.Option(help="Structures to test on; what --data leaves over if not given.")
    ] = None,
    n_train: Annotated[int | None, typer.Option(help="How many structures to train on.")] = None,
    n_validation: Annotated[int | None, typer.Option(help="How many structures to validate on.")] = None,
    n_test: Annotated[int | None, typer.Option(help="How many structures to test on.")] = None,
    steps: Annotated[int | None, typer.Option(help="Optimiser steps of the whole run.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the data, instead of steps.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of weights and batch order.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or mps.")] = None,
    compile_: Annotated[
        bool | None,
        typer.Option("--compile/--no-compile", help="Compile the model; decided by length if not given."),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Any key of the config: --set training.loss.forces=10."
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run; runs/NAME-TIME if not given.")] = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Go on with an interrupted run, exactly where it was.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print only the results, as JSON.")] = False,
) -> None:
    """Train a potential, or a model of another target, and test it. Without --data it learns the embedded ethanol set."""
    from hermtk_cli.training import show_run

    overrides = {
        "model.subnet": _own_subnet(subnet or []),
        "model.variant": variant,
        "data.train": data,
        "data.target": target,
        "data.allow_missing": allow_missing,
        "data.validation": validation,
        "data.test": test,
        "data.n_train": n_train,
        "data.n_validation": n_validation,
        "data.n_test": n_test,
        "training.steps": steps,
        "training.epochs": epochs,
        "training.compile": compile_,
        "seed": seed,
        "device": device,
    }
    given = {key: value for key, value in overrides.items() if value is not None}
    if steps is not None and epochs is None:
        given["training.epochs"] = None
    if resume is not None:
        _refuse_with_resume({**given, **_overrides(subnet or [])}, set_, config, out)
        show_run(resume, None, as_json)
        return
    values = _values(config, given, _overrides(subnet or []), set_ or [])
    folder = out or Path("runs") / f"{_name(values)}-{datetime.now().strftime('%Y%m%d-%H%M%S')}"
    show_run(folder, values, as_json)


def _refuse_with_resume(
    given: dict[str, Any], assignments: list[str] | None, config: Path | None, out: Path | None
) -> None:
    if given or assignments or config or out:
        raise ConfigError(
            "--resume goes on with the run exactly as it was: no other option can be given with it"
        )


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


def _values(
    config: Path | None, given: dict[str, Any], overrides: dict[str, str], assignments: list[str]
) -> dict[str, Any]:
    """The nested values of the run: file, then options, then --set."""
    import yaml

    from hermtk.training.config import read_config, set_key

    values = read_config(config) if config else {}
    for key, value in given.items():
        set_key(values, key, value)
    for relation, name in overrides.items():
        set_key(values, f"model.subnet_overrides.{relation}", name)
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise ConfigError(f"--set wants KEY=VALUE, it was given {assignment!r}")
        set_key(values, key.strip(), yaml.safe_load(text))
    return values


def _name(values: dict[str, Any]) -> str:
    model, data = values.get("model") or {}, values.get("data") or {}
    source = Path(str(data.get("train") or "ethanol")).stem
    subnets = [model.get("subnet", "painn"), *sorted(set((model.get("subnet_overrides") or {}).values()))]
    target = str(data.get("target") or "energy")
    source = source if target == "energy" else f"{source}-{target}"
    return f"{source}-{'+'.join(map(str, subnets))}-{model.get('variant', 'hvnet')}"
