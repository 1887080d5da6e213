"""`hermtk show`: the options of a component, or what a model file holds."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hermtk.errors import HermtkError, UnknownName
from hermtk_cli.options import AsJson, open_model

if TYPE_CHECKING:
    from hermtk.models.files import ModelFile
    from hermtk_cli.describe import Component

# a longer table goes on in --json
_MOST_ROWS = 40
# relations named as the least seen in training
_POOREST = 5


def run(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME|MODEL",
            help="Name of a component, variant or preset, a model file, or a run's folder.",
        ),
    ],
    parameters: Annotated[
        bool, typer.Option("--parameters", help="List a model's parameters by name: what `--freeze` means.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show the options of a component with their types and defaults, a preset, or what a model file holds."""
    from hermtk_cli.describe import KINDS, components
    from hermtk_cli.output import print_json

    known = components((*KINDS, "preset"))
    found = [component for component in known if component.name == name]
    if not found and not _looks_like_a_file(name):
        raise UnknownName("component or model file", name, {component.name for component in known})
    usable = [component for component in found if not component.problem]
    if found and not usable:
        raise HermtkError(found[0].problem)
    values = [_component(component) for component in usable] if usable else _model(Path(name))
    if parameters:
        if not isinstance(values, dict):
            raise HermtkError(f"{name} is a component: --parameters lists those of a model file or a run")
        _print_parameters(Path(name), as_json)
    elif as_json:
        print_json(values)
    elif isinstance(values, list):
        for value in values:
            _print_component(value)
    else:
        _print_model(values)


def _looks_like_a_file(name: str) -> bool:
    path = Path(name)
    return path.exists() or path.name != name or bool(path.suffix)


def _component(component: "Component") -> dict[str, Any]:
    from hermtk import registry
    from hermtk.models.variants import variant
    from hermtk.training.presets import find_preset
    from hermtk_cli.describe import options

    values = asdict(component)
    if component.kind == "variant":
        chosen = variant(component.name)
        return {**values, "relation": chosen.relation, "fixed": chosen.options, "options": []}
    if component.kind == "preset":
        preset = find_preset(component.name)
        return {**values, "config": preset.values, "text": preset.text}
    loaded = registry.find(component.kind, component.name)
    return {**values, "options": [asdict(option) for option in options(loaded)]}


def _print_component(values: Mapping[str, Any]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from hermtk_cli.output import stdout

    console = stdout()
    if values["kind"] == "preset":
        console.print(values["text"], end="", markup=False, highlight=False)
        return
    console.print(Text.assemble((f"{values['kind']} {values['name']}", "bold"), f"  {values['summary']}"))
    console.print(f"from {values['distribution']} {values['version']}", style="dim")
    if "relation" in values:
        fixed = ", ".join(f"{key}={value}" for key, value in values["fixed"].items())
        console.print(
            f"relation scheme {values['relation']}{': ' + fixed if fixed else ''}; see `hermtk show {values['relation']}`"
        )
        return
    if not values["options"]:
        console.print("no options")
        return
    table = Table(box=box.SIMPLE_HEAD)
    for title in ("option", "type", "default", ""):
        table.add_column(title, overflow="fold")
    for option in values["options"]:
        default = "required" if option["required"] else repr(option["default"])
        table.add_row(Text(option["name"], style="bold"), option["type"], default, option["doc"])
    console.print(table)


def _model(path: Path) -> dict[str, Any]:
    from hermtk.data.elements import symbols
    from hermtk.models.layers import subnets_in_words
    from hermtk.models.variants import variant

    path, file = open_model(path, "cpu")
    potential = file.model
    return {
        "model": str(path),
        "target": file.target.name,
        "unit": file.target.unit,
        "elements": symbols(potential.elements),
        "subnet": file.config.subnet,
        "subnets": subnets_in_words(file.config),
        "variant": file.config.variant,
        "relation": variant(file.config.variant).relation,
        "relations": list(potential.table.labels),
        "cutoff": potential.cutoff,
        "parameters": sum(weight.numel() for weight in potential.parameters()),
        "config": file.config.model_dump(mode="json"),
        "needs": [dict(need) for need in file.needs],
        "poorest": _poorest(file),
        "facts": dict(file.facts),
    }


def _poorest(file: "ModelFile") -> dict[str, int]:
    """The relations that training saw least, and how often."""
    from hermtk.audit.coverage import seen_in_training

    seen = seen_in_training(file.facts, file.model.table)
    return dict(sorted(seen.items(), key=lambda item: item[1])[:_POOREST])


def _print_model(values: Mapping[str, Any]) -> None:
    from hermtk_cli.output import stdout
    from hermtk_cli.tables import facts

    config = values["config"]
    console = stdout()
    console.print(values["model"], style="bold")
    rows = {
        "target": f"{values['target']} ({values['unit']})" if values["unit"] else values["target"],
        "elements": ", ".join(values["elements"]),
        "subnet": values["subnets"],
        "variant": f"{values['variant']}: {len(values['relations'])} relations ({values['relation']})",
        "readout": config["readout"],
        "cut-off": f"{values['cutoff']:g} Å",
        "size": f"{config['layers']} layers, {config['channels']} channels, {values['parameters']:,} parameters",
        "precision": config["dtype"],
        "short-range repulsion": "ZBL" if config["zbl"] else "none",
        "needs": "\n".join(map(_need, values["needs"])),
    }
    if values["poorest"]:
        rows["least seen"] = ", ".join(f"{name} ({count:,})" for name, count in values["poorest"].items())
    # every pair and triad is for --json
    shown = {name: fact for name, fact in values["facts"].items() if name not in {"seen", "parameters"}}
    sections = {name: fact for name, fact in shown.items() if isinstance(fact, Mapping)}
    if "start" in sections:
        # what the earlier model says of itself is for --json, too
        sections["start"] = {name: fact for name, fact in sections["start"].items() if name != "facts"}
    single = {name: fact for name, fact in shown.items() if name not in sections}
    console.print(facts({**rows, **_flat(single)}))
    for name, section in sections.items():
        console.print(f"\n{name.replace('_', ' ')}", style="bold")
        console.print(facts(_shortened(_flat(section))))


def _print_parameters(path: Path, as_json: bool) -> None:
    from rich import box
    from rich.table import Table

    from hermtk.training.tuning.freeze import parameter_names
    from hermtk_cli.output import print_json, stdout

    _, file = open_model(path, "cpu")
    weights = dict(zip(parameter_names(file.model), file.model.parameters(), strict=True))
    if as_json:
        print_json({name: list(weight.shape) for name, weight in weights.items()})
        return
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("parameter", overflow="fold")
    table.add_column("shape")
    table.add_column("numbers", justify="right")
    for name, weight in weights.items():
        table.add_row(name, " × ".join(map(str, weight.shape)), f"{weight.numel():,}")
    stdout().print(table)


def _need(need: Mapping[str, str]) -> str:
    digest = f", sources {need['sha256'][:12]}" if need.get("sha256") else ""
    return f"{need['distribution']} {need['version']} for the {need['kind']} {need['name']}{digest}"


def _flat(values: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Nested values as one level: ``structures train`` and so on."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        # names of files are left as they are
        label = f"{above} {name.replace('_', ' ') if name.isidentifier() else name}".strip()
        if isinstance(value, Mapping):
            flat.update(_flat(value, label))
        else:
            flat[label] = _text(value)
    return flat


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.8g}" if isinstance(value, float) else str(value)


def _shortened(rows: dict[str, Any]) -> dict[str, Any]:
    if len(rows) <= _MOST_ROWS:
        return rows
    kept = dict(list(rows.items())[: _MOST_ROWS - 1])
    return {**kept, "...": f"{len(rows) - len(kept)} more: see --json"}
