"""`hermtk data split`: one set made three."""

from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hermtk.errors import DataError, UnknownName
from hermtk.files import make_folder
from hermtk_cli.options import (
    AsJson,
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
    from hermtk.data.splits import Parts, Sizes
    from hermtk.data.structure import Structure

WAYS = ("random", "group", "composition", "block", "element")


def run(
    data: Data,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder for train, validation and test files.")],
    train: Annotated[
        str, typer.Option(help="Share (0.8) or number (950) of structures to train on.")
    ] = "0.8",
    validation: Annotated[str, typer.Option(help="Share or number for validation.")] = "0.1",
    test: Annotated[str, typer.Option(help="Share or number for the test.")] = "0.1",
    by: Annotated[
        str,
        typer.Option(
            help="random; group or composition: those alike stay together; block: trajectories are cut; "
            "element: each set of elements in all parts."
        ),
    ] = "random",
    key: Annotated[
        str | None, typer.Option(help="Value of the frames that names group or trajectory.")
    ] = None,
    gap: Annotated[int, typer.Option(min=0, help="Frames left out between blocks.")] = 0,
    seed: Seed = 0,
    to: Annotated[str, typer.Option(metavar="FORMAT", help="Format to write.")] = "extxyz",
    force: Force = False,
    format: Format = None,
    energy_unit: EnergyUnit = None,
    length_unit: LengthUnit = None,
    stress_unit: StressUnit = None,
    as_json: AsJson = False,
) -> None:
    """Divide a set into training, validation and test: at random, by groups, by blocks of trajectories, by elements.

    Structures that no size asks for are left out.
    """
    from hermtk.data.dataset import write_structures
    from hermtk.registry import find
    from hermtk_cli.output import note, print_json

    if by not in WAYS:
        raise UnknownName("way to split", by, WAYS)
    suffix = find("format", to)().suffixes[0]
    sizes = _size("train", train), _size("validation", validation), _size("test", test)
    structures = open_data(data, format, energy_unit, length_unit, stress_unit)
    found = _parts(structures, sizes, by, key, gap, seed)
    parts: dict[str, Any] = dict(zip(("train", "validation", "test"), found, strict=True))
    places = {name: out / f"{name}{suffix}" for name, part in parts.items() if len(part)}
    make_folder(out)
    for place in places.values():
        check_writable(place, force)
    for name, place in places.items():
        write_structures(place, (structures[k] for k in sorted(parts[name].tolist())), format=to)
    left = len(structures) - sum(map(len, parts.values()))
    if as_json:
        written = {
            name: {"file": str(place), "structures": len(parts[name])} for name, place in places.items()
        }
        print_json({"data": str(data), "by": by, "seed": seed, "sets": written, "left_out": left})
        return
    for name, place in places.items():
        note(f"wrote {place}: {len(parts[name])} structures")
    if left:
        note(f"{left} of {len(structures)} structures are in none")


def _parts(
    structures: "Sequence[Structure]",
    sizes: "Sizes",
    by: str,
    key: str | None,
    gap: int,
    seed: int,
) -> "Parts":
    from hermtk.data import splits

    if by == "group" and key is None:
        raise DataError("a split by group needs the name of the value that says the group: --key NAME")
    if by == "random":
        return splits.split_random(len(structures), splits.whole_sizes(len(structures), sizes), seed)
    if by == "composition":
        return splits.split_groups([splits.composition_of(s) for s in structures], sizes, seed)
    if by == "element":
        return splits.split_stratified([splits.elements_key(s) for s in structures], sizes, seed)
    keys = [0] * len(structures) if key is None else [_value(s, key) for s in structures]
    return splits.split_groups(keys, sizes, seed) if by == "group" else splits.split_blocks(keys, sizes, gap)


def _value(structure: "Structure", key: str) -> Hashable:
    if key not in structure.info:
        raise UnknownName(f"value of {structure.source}", key, structure.info)
    value = structure.info[key]
    return value.item() if hasattr(value, "item") and getattr(value, "size", 0) == 1 else str(value)


def _size(name: str, text: str) -> int | float:
    """``950`` as a number, ``0.8`` and ``1.0`` as a share."""
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        raise DataError(
            f"--{name} {text} is neither a share (0.8) nor a number of structures (950)"
        ) from None
