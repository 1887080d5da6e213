"""`hermtk predict`: structures in, structures labelled by a model out."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hermtk.errors import RunError
from hermtk_cli.options import (
    BatchSize,
    Compile,
    Device,
    EnergyUnit,
    Format,
    LengthUnit,
    Model,
    note_rarely_seen,
    open_model,
    predictor,
    read_data,
    refuse_compile,
)

if TYPE_CHECKING:
    from hermtk.data.structure import Structure
    from hermtk.models.files import ModelFile


def run(
    model: Model,
    structures: Annotated[Path, typer.Argument(metavar="IN", help="Structures, with or without labels.")],
    labelled: Annotated[
        Path, typer.Argument(metavar="OUT", help="File to write; .extxyz, .npz ... say the format.")
    ],
    format: Format = None,
    energy_unit: EnergyUnit = None,
    length_unit: LengthUnit = None,
    batch_size: BatchSize = 64,
    device: Device = "cpu",
    compile: Compile = False,
    force: Annotated[bool, typer.Option("--force", help="Replace OUT if it exists.")] = False,
) -> None:
    """Label structures with a model's energies, forces and, where a cell repeats, stresses; or with its other target.

    Labels that the structures had are replaced. OUT is in eV and Angstrom, and is written whole or not at all.
    """
    from hermtk.data.dataset import write_structures
    from hermtk_cli.output import note, progress

    _check_target(structures, labelled, force)
    path, file = open_model(model, device)
    given = read_data(structures, format, energy_unit, length_unit, None)
    note_rarely_seen(file, given)
    found = []
    with progress("predicting", len(given)) as advance:
        for structure in _predicted(file, given, batch_size, compile):
            found.append(structure)
            advance(1)
    write_structures(labelled, found)
    note(f"wrote {labelled}: {len(found)} structures labelled by {path}")


def _predicted(
    file: "ModelFile", given: "list[Structure]", batch_size: int, compile: bool
) -> "Iterator[Structure]":
    from hermtk.evaluation.evaluate import predict_structures
    from hermtk.evaluation.properties import predict_property
    from hermtk.models.property import Property

    if isinstance(file.model, Property):
        refuse_compile(compile, file.target)
        return predict_property(file.model, given, batch_size=batch_size)
    return predict_structures(
        file.potential, given, batch_size=batch_size, predictor=predictor(file.potential, compile)
    )


def _check_target(source: Path, target: Path, force: bool) -> None:
    """Refuse a place that cannot be written, before the work rather than after it."""
    if target.is_dir():
        raise RunError(f"{target} is a folder; OUT is the file to write")
    if not target.absolute().parent.is_dir():
        raise RunError(f"{target} cannot be written: there is no folder {target.parent}")
    if target.exists() and source.exists() and target.samefile(source):
        raise RunError(f"{target} is the input; its labels would be lost: choose another file")
    if target.exists() and not force:
        raise RunError(f"{target} exists: choose another file, or replace it with --force")
