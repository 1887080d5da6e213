"""One JSON object a line: easy to write from any language."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar

from hermtk.data.assemble import assemble
from hermtk.data.elements import number_of, symbols
from hermtk.data.formats.base import Format
from hermtk.data.structure import Structure
from hermtk.errors import DataError
from hermtk.units import Units

LABELS = ("energy", "forces", "stress")


class JsonLines(Format):
    """Lines with ``symbols``, ``positions`` and, where there are any, ``cell``, ``pbc``, ``energy``, ``forces``, ``stress``.

    The file does not say its units: eV and Angstrom unless declared otherwise.
    """

    suffixes: ClassVar[tuple[str, ...]] = (".jsonl",)

    def read(self, path: Path, units: Units | None = None) -> Iterator[Structure]:
        with path.open(encoding="utf-8") as file:
            for frame, line in enumerate(file):
                source = f"{path}:{frame}"
                yield assemble(source, **_arguments(line, source), units=units)

    def write(self, path: Path, structures: Iterable[Structure]) -> None:
        with path.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(_values(structure)) + "\n" for structure in structures)


def _arguments(line: str, source: str) -> dict[str, Any]:
    try:
        values = json.loads(line)
        numbers = [number_of(symbol) for symbol in values["symbols"]]
        known = {name: values[name] for name in ("cell", "pbc", *LABELS) if name in values}
        return {"numbers": numbers, "positions": values["positions"], **known}
    except (json.JSONDecodeError, KeyError, TypeError) as cause:
        raise DataError(f"{source}: this line is no structure: {cause!r}") from None


def _values(structure: Structure) -> dict[str, Any]:
    labels = {name: getattr(structure, name) for name in LABELS}
    arrays = {"positions": structure.positions, "cell": structure.cell, "pbc": structure.pbc, **labels}
    plain = {name: value.tolist() if hasattr(value, "tolist") else value for name, value in arrays.items()}
    return {
        "symbols": symbols(structure.numbers.tolist()),
        **{n: v for n, v in plain.items() if v is not None},
    }
