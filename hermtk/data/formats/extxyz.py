"""Extended XYZ, the text format of most data sets: eV and Angstrom unless declared otherwise."""

import warnings
from collections.abc import Iterable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any, ClassVar, TextIO

from ase import Atoms
from ase.io.extxyz import key_val_str_to_dict, read_xyz, write_xyz

from hermtk.data.atoms import from_atoms, to_atoms
from hermtk.data.formats.base import Format
from hermtk.data.structure import Structure
from hermtk.errors import DataError
from hermtk.units import Units

# characters; the line of key=value of a Hessian of 100 atoms has some two million
LONGEST_LINE = 4 * 2**20


class ExtXYZ(Format):
    """Extended XYZ: frames of a count, a line of ``key=value`` and one line per atom.

    Frames are cut apart here and parsed by ASE, which by itself ends silently at a blank line.
    """

    suffixes: ClassVar[tuple[str, ...]] = (".extxyz", ".xyz")

    def read(self, path: Path, units: Units | None = None) -> Iterator[Structure]:
        with path.open(encoding="utf-8") as file:
            frame = 0
            try:
                while lines := _frame(file, f"{path}:{frame}"):
                    yield from_atoms(_parsed(lines, f"{path}:{frame}"), f"{path}:{frame}", units)
                    frame += 1
            except UnicodeDecodeError:
                raise DataError(f"{path}:{frame}: this is not text, so it is no extended XYZ file") from None

    def write(self, path: Path, structures: Iterable[Structure]) -> None:
        """Write with 8 decimals of positions and forces; values of ``info`` that text cannot hold are left out."""
        with path.open("w", encoding="utf-8") as file, warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Skipping unhashable information")
            for structure in structures:
                try:
                    write_xyz(file, [to_atoms(structure)])
                except (KeyError, TypeError, ValueError) as cause:
                    raise DataError(
                        f"{structure.source} cannot be written as extended XYZ: {cause}"
                    ) from cause


def _frame(file: TextIO, source: str) -> list[str]:
    """The lines of the next frame; none at the end of the file, where blank lines may stand."""
    first = _line(file, source)
    if not first.strip():
        rest = next((line for line in file if line.strip()), None)
        if rest is not None:
            raise DataError(
                f"{source}: expected the number of atoms, found a blank line before {rest.strip()[:40]!r}"
            )
        return []
    try:
        count = int(first)
    except ValueError:
        raise DataError(f"{source}: expected the number of atoms, found {first.strip()[:40]!r}") from None
    if count < 0:
        raise DataError(f"{source}: expected the number of atoms, found {count}")
    lines = [first]
    # an announced count is not believed: reading ends with the file
    while len(lines) < count + 2 and (line := _line(file, source)):
        lines.append(line)
    present = sum(1 for line in lines[2:] if line.strip())
    if present < count:
        raise DataError(
            f"{source}: {count} atoms are announced, {present} lines of atoms follow; the file seems cut"
        )
    if not lines[-1].endswith("\n") and _may_be_cut(lines[2:]):
        raise DataError(
            f"{source}: the last line has no end and its last number is shorter than the others, so it may be cut: "
            f"{lines[-1][-40:]!r}; end the line if the file is whole"
        )
    return lines


def _line(file: TextIO, source: str) -> str:
    line = file.readline(LONGEST_LINE)
    if len(line) == LONGEST_LINE:
        raise DataError(f"{source}: a line has more than {LONGEST_LINE:,} characters; is this extended XYZ?")
    return line


def _may_be_cut(lines: list[str]) -> bool:
    *before, last = [word for line in lines for word in line.split()[-3:]]
    return _decimals(last) < max((_decimals(word) for word in before), default=0)


def _decimals(word: str) -> int:
    return len(word.partition(".")[2])


def _parsed(lines: list[str], source: str) -> Atoms:
    widest = max((len(line.split()) for line in lines[2:]), default=0)

    def known(comment: str) -> dict[str, Any]:
        found = key_val_str_to_dict(comment)
        if _announced(found.get("Properties", "")) > widest:
            raise DataError(
                f"{source}: this frame cannot be read, 'Properties' announces more columns than the {widest} that there are"
            )
        return found

    try:
        return next(read_xyz(StringIO("".join(lines)), 0, properties_parser=known))
    except DataError:
        raise
    except KeyError as cause:
        raise DataError(f"{source}: no element named {cause}") from cause
    # ASE's parser raises whatever a damaged line makes it stumble over
    except Exception as cause:
        raise DataError(f"{source}: this frame cannot be read, {_columns(lines) or cause}") from cause


def _announced(properties: Any) -> int:
    """The columns of ``name:type:columns:...``, which ASE would lay out before it looks at a line."""
    try:
        return sum(max(0, int(word)) for word in str(properties).split(":")[2::3])
    except ValueError:
        # ASE says what is wrong with it
        return 0


def _columns(lines: list[str]) -> str:
    widths = [len(line.split()) for line in lines[2:]]
    odd = next((atom for atom, width in enumerate(widths) if width != widths[0]), None)
    if odd is None:
        return ""
    return f"the line of atom {odd} has {widths[odd]} columns, that of atom 0 has {widths[0]}: {lines[odd + 2].strip()!r}"
