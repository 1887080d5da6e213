"""`hermtk validate`: everything that training would refuse, found in seconds."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hermtk_cli.options import check_device

if TYPE_CHECKING:
    from hermtk.training.data.prepare import Prepared


def run(config: Annotated[Path, typer.Argument(metavar="CONFIG", help="YAML file of a run.")]) -> None:
    """Check a config and its data without training: keys, options, labels, split, elements."""
    from hermtk.data.targets import find_target
    from hermtk.models.build import build_for
    from hermtk.models.layers import subnets_in_words
    from hermtk.training.config import make_config, read_config
    from hermtk.training.data.prepare import prepare_run
    from hermtk.training.loggers import check_loggers
    from hermtk.training.resolve import build_options
    from hermtk.training.tuning.start import open_start
    from hermtk_cli.output import stdout
    from hermtk_cli.tables import facts

    checked = make_config(read_config(config))
    check_device(checked.device)
    check_loggers(checked.training.loggers)
    start = open_start(checked)
    checked = start.adopted(checked) if start else checked
    # components and their options, before the data, which may take a while to read
    target = find_target(checked.data.target)
    build_options(checked, target)
    build_for(target, checked.model.model_copy(update={"subnet_overrides": {}, "override_options": {}}), (1,))
    data = prepare_run(checked, start and start.statistics)
    potential = build_for(target, checked.model, data.elements, reference=data.reference, scale=data.scale)
    console = stdout()
    console.print(facts(_data_rows(data)))
    model = checked.model
    parameters = sum(weight.numel() for weight in potential.parameters())
    size = f"{len(potential.table)} relations, {parameters:,} parameters"
    console.print(facts({"model": f"{subnets_in_words(model)} × {model.variant}: {size}"}))
    console.print(f"\n{config} can be trained: hermtk train {config}", soft_wrap=True)


def _data_rows(data: "Prepared") -> dict[str, Any]:
    from hermtk.data.elements import symbols

    sets = {"training": data.train, "validation": data.validation, "test": data.test}
    rows = {name: _set_row(structures, data.target.name) for name, structures in sets.items()}
    names = symbols(data.elements)
    energies = ", ".join(
        f"{name} {data.reference[number]:.4f}" for name, number in zip(names, data.elements, strict=True)
    )
    return {
        **rows,
        "elements": ", ".join(names),
        "target": data.target.written,
        "references": f"{energies} {data.target.unit}".strip(),
        "neighbors per atom": f"{data.mean_neighbors:.1f}",
    }


def _set_row(structures: Sequence[Any], target: str) -> str:
    if not structures:
        return "none"
    sizes = sorted({len(s) for s in structures})
    atoms = f"{sizes[0]} atoms each" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]} atoms"
    labels = {
        name: sum(getattr(s, name) is not None for s in structures) for name in ("energy", "forces", "stress")
    }
    labels = {target if name == "energy" else name: n for name, n in labels.items()}
    said = [name if n == len(structures) else f"{name} in {n}" for name, n in labels.items() if n]
    return f"{len(structures)} structures, {atoms}, with {', '.join(said) or 'no labels'}"
