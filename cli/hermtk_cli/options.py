"""Arguments and options that several commands share, and what they stand for."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hermtk.errors import HermtkError, ModelFileError

if TYPE_CHECKING:
    from hermtk.data.structure import Structure
    from hermtk.evaluation.evaluate import Predictor
    from hermtk.models.files import ModelFile
    from hermtk.models.potential import Potential

Model = Annotated[Path, typer.Argument(metavar="MODEL", help="Model file, or the folder of a run.")]
Format = Annotated[
    str | None,
    typer.Option("--format", help="Format of the data (see `hermtk list format`); recognised if absent."),
]
EnergyUnit = Annotated[
    str | None,
    typer.Option("--energy-unit", help="Unit of the data's energies: eV, meV, Ha, Ry, kcal/mol, kJ/mol."),
]
LengthUnit = Annotated[
    str | None, typer.Option("--length-unit", help="Unit of the data's lengths: Angstrom, Bohr, nm.")
]
StressUnit = Annotated[
    str | None,
    typer.Option("--stress-unit", help="Unit of the data's stresses: eV/Angstrom^3, GPa, kbar, Ha/Bohr^3."),
]
BatchSize = Annotated[int, typer.Option("--batch-size", min=1, help="The most structures computed at once.")]
Device = Annotated[str, typer.Option("--device", help="cpu, cuda or mps.")]
Compile = Annotated[
    bool,
    typer.Option("--compile", help="Compile the model first: about a minute, then faster; for large sets."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print only JSON, on standard output.")]


def open_model(path: Path, device: str) -> "tuple[Path, ModelFile]":
    """The model file at ``path``, or of the run in that folder.

    Raises:
        ModelFileError: it is missing or cannot be used.
        HermtkError: there is no such device.
    """
    from hermtk.models.files import load_model

    if path.is_dir():
        if not (path / "model.pt").is_file():
            raise ModelFileError(f"the folder {path} holds no model.pt")
        path = path / "model.pt"
    check_device(device)
    return path, load_model(path, device)


def read_data(
    path: Path, format: str | None, energy: str | None, length: str | None, stress: str | None
) -> "list[Structure]":
    """The structures of a file, or the embedded set for the name ``builtin``.

    Raises:
        DataError: they cannot be read or trusted.
        UnknownName: an unknown format or unit.
    """
    from hermtk.data.dataset import builtin_path, read_structures
    from hermtk.units import Units

    standard = Units()
    units = Units(energy or standard.energy, length or standard.length, stress or standard.stress)
    declared = any(unit is not None for unit in (energy, length, stress))
    embedded = str(path) == "builtin" and not path.exists()
    return read_structures(
        builtin_path() if embedded else path, format=format, units=units if declared else None
    )


def predictor(potential: "Potential", compile: bool) -> "Predictor | None":
    """How to compute a batch: compiled, or None for the plain way."""
    if not compile:
        return None
    from hermtk.physics.compiled import CompiledPotential
    from hermtk_cli.output import note

    return CompiledPotential(potential.requires_grad_(False), note).predict


def check_device(name: str) -> None:
    """Refuse a device that this machine or this torch does not have.

    Raises:
        HermtkError: with torch's reason.
    """
    import torch

    try:
        torch.zeros(1, device=name)
    # torch raises an assertion where it was built without the device
    except (RuntimeError, AssertionError) as problem:
        reason = str(problem).splitlines()[0]
        raise HermtkError(f"the device {name!r} cannot be used here: {reason}") from None
