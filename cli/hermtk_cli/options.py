"""Arguments and options that several commands share, and what they stand for."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hermtk.errors import ConfigError, DataError, HermtkError, ModelFileError, RunError

if TYPE_CHECKING:
    from hermtk.data.structure import Structure
    from hermtk.data.targets import Target
    from hermtk.evaluation.evaluate import Predictor
    from hermtk.models.files import ModelFile
    from hermtk.models.potential import Potential
    from hermtk.units import Units

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
Data = Annotated[
    Path, typer.Argument(metavar="DATA", help="Structures: a file, a folder, a store, or `builtin`.")
]
Cutoff = Annotated[
    float, typer.Option("--cutoff", min=0.1, help="Angstrom, within which atoms are neighbors.")
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Another seed is another draw.")]
Force = Annotated[bool, typer.Option("--force", help="Replace what exists.")]
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


def declared_units(energy: str | None, length: str | None, stress: str | None) -> "Units | None":
    """What the options say of the units of data, none if nothing.

    Raises:
        UnknownName: a unit that is not known.
    """
    from hermtk.units import Units

    if (energy, length, stress) == (None, None, None):
        return None
    standard = Units()
    return Units(energy or standard.energy, length or standard.length, stress or standard.stress)


def read_data(
    path: Path, format: str | None, energy: str | None, length: str | None, stress: str | None
) -> "list[Structure]":
    """The structures of a file, or those of a name: ``builtin``, ``qm9``.

    Raises:
        DataError: they cannot be read or trusted.
        UnknownName: an unknown format or unit.
    """
    from hermtk.data.dataset import read_structures
    from hermtk.data.sources import data_path

    return read_structures(data_path(path), format=format, units=declared_units(energy, length, stress))


def open_data(
    path: Path,
    format: str | None,
    energy: str | None,
    length: str | None,
    stress: str | None,
    faulty: "Callable[[Structure, DataError], None] | None" = None,
) -> "Sequence[Structure]":
    """As ``read_data``, but a store stays on disk, and ``faulty`` is told of structures that cannot be, which are left out."""
    from hermtk.data.dataset import iterate_structures, open_structures
    from hermtk.data.sources import data_path
    from hermtk.data.store import is_store

    path, units = data_path(path), declared_units(energy, length, stress)
    if is_store(path):
        return open_structures(path, format=format, units=units)
    return list(iterate_structures(path, format=format, units=units, faulty=faulty))


def check_writable(file: Path, force: bool) -> None:
    """Refuse a place where a file cannot be written, before the work rather than after it.

    Raises:
        RunError: a folder of that name, no folder around it, or a file that exists where ``force`` is false.
    """
    if not file.absolute().parent.is_dir():
        raise RunError(f"{file} cannot be written: there is no folder {file.parent}")
    if file.is_dir():
        raise RunError(f"{file} is a folder; give the name of a file")
    if file.exists() and not force:
        raise RunError(f"{file} exists: choose another place, or replace it with --force")


def note_rarely_seen(file: "ModelFile", structures: "Sequence[Structure]") -> dict[str, int]:
    """A line about relations that the structures use and the model's training hardly saw; the relations and how often."""
    from hermtk.audit.coverage import SEEN_ENOUGH, in_words, rarely_seen
    from hermtk_cli.output import note

    rare = rarely_seen(file.facts, file.model.table, structures, file.model.cutoff)
    if rare:
        note(
            f"poorly founded: the model's training saw fewer than {SEEN_ENOUGH} times what these structures use: {in_words(rare)}"
        )
    return rare


def predictor(potential: "Potential", compile: bool) -> "Predictor | None":
    """How to compute a batch: compiled, or None for the plain way."""
    if not compile:
        return None
    from hermtk.physics.compiled import CompiledPotential
    from hermtk_cli.output import note

    return CompiledPotential(potential.requires_grad_(False), note).predict


def refuse_compile(compile: bool, target: "Target") -> None:
    """Models of properties are not compiled.

    Raises:
        ConfigError: it is asked for.
    """
    if compile:
        raise ConfigError(f"a model of {target.name} cannot be compiled: leave --compile out")


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
