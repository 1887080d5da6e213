"""`hermtk data subset`: fewer structures, drawn at random or far from each other."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hermtk.errors import UnknownName
from hermtk_cli.options import (
    AsJson,
    Cutoff,
    Data,
    EnergyUnit,
    Force,
    Format,
    LengthUnit,
    Seed,
    StressUnit,
    check_writable,
    open_data,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hermtk.data.structure import Structure

METHODS = ("random", "farthest")


def run(
    data: Data,
    count: Annotated[int, typer.Argument(metavar="N", help="How many structures.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="File to write; its suffix says the format.")],
    method: Annotated[
        str,
        typer.Option(help="random, or farthest: each as different in geometry as can be from those before."),
    ] = "random",
    seed: Seed = 0,
    cutoff: Cutoff = 5.0,
    force: Force = False,
    format: Format = None,
    energy_unit: EnergyUnit = None,
    length_unit: LengthUnit = None,
    stress_unit: StressUnit = None,
    as_json: AsJson = False,
) -> None:
    """Take N structures of a set; farthest-point structures come in the order of choice, so that any beginning is a subset."""
    from hermtk.data.dataset import write_structures
    from hermtk.data.subsets import farthest_subset, random_subset
    from hermtk_cli.output import note, print_json

    if method not in METHODS:
        raise UnknownName("method", method, METHODS)
    check_writable(out, force)
    structures = open_data(data, format, energy_unit, length_unit, stress_unit)
    result: dict[str, Any] = {"data": str(data), "method": method, "seed": seed, "file": str(out)}
    if method == "random":
        chosen = random_subset(len(structures), count, seed)
    else:
        chosen, far = farthest_subset(_descriptors(structures, cutoff), count, seed)
        result["distances"] = [None, *far[1:].tolist()]
    write_structures(out, (structures[k] for k in chosen.tolist()))
    if as_json:
        print_json({**result, "structures": chosen.tolist()})
        return
    note(f"wrote {out}: {count} of {len(structures)} structures")


def _descriptors(structures: "Sequence[Structure]", cutoff: float) -> Any:
    import numpy as np

    from hermtk.audit.fingerprint import WIDTH, fingerprint
    from hermtk.audit.views import views
    from hermtk_cli.output import progress

    rows = np.empty((len(structures), WIDTH), dtype=np.float32)
    with progress("looking at structures", len(structures)) as advance:
        for _, index, seen in views({"": structures}, cutoff, advance):
            rows[index] = fingerprint(seen)
    return rows
