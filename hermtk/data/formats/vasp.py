"""VASP's vasprun.xml and OUTCAR, also compressed: every ionic step, read by ASE."""

import warnings
from collections.abc import Iterator
from io import BufferedIOBase
from pathlib import Path
from typing import IO, Any, cast
from xml.parsers import expat

from ase import Atoms
from ase.io import iread
from ase.io.vasp_parsers.vasp_outcar_parsers import OutcarHeaderParser, outcarchunks

from hermtk.data.atoms import from_atoms
from hermtk.data.formats import _guards
from hermtk.data.formats.base import Format
from hermtk.data.structure import Structure
from hermtk.errors import DataError
from hermtk.units import Units

# bytes; VASP's own lines are far shorter
LONGEST_LINE = 2**20


class VASP(Format):
    """Every ionic step of a run, in eV and Angstrom by definition.

    VASP prints two energies. With smearing, the forces and the stress are derivatives of the free energy (``TOTEN``,
    ``e_fr_energy``), which therefore is the label; the energy extrapolated to zero smearing (``energy(sigma->0)``,
    ``e_0_energy``), which is nearer to the ground state but not what the forces are slopes of, is kept in ``info`` as
    ``energy_sigma0``. Stress comes in kbar, positive under compression, and in OUTCAR in the order xx yy zz xy yz zx; ASE makes
    it ours. ``info["converged"]`` says whether the electrons converged: in OUTCAR VASP says it, in vasprun.xml they did when
    they took fewer steps than NELM. A file that ends within a step is refused; files are not written.
    """

    @classmethod
    def recognises(cls, path: Path) -> bool:
        if "OUTCAR" in path.name:
            return b" vasp." in _guards.beginning(path, 512)
        name = path.name.lower()
        return "vasp" in name and ".xml" in name and b"<modeling" in _guards.beginning(path, 4096)

    def read(self, path: Path, units: Units | None = None) -> Iterator[Structure]:
        if units not in (None, Units()):
            raise DataError(
                f"{path}: VASP's files are in eV and Angstrom by definition; leave their units out"
            )
        with _guards.opened(path) as file:
            steps = _xml(path, file) if _guards.is_xml(path) else _outcar(path, file)
            frame = 0
            while (step := _next(path, steps, frame)) is not None:
                yield _structure(f"{path}:{frame}", *step)
                frame += 1


def _structure(source: str, atoms: Atoms, converged: bool) -> Structure:
    results: dict[str, Any] = getattr(atoms.calc, "results", {})
    if "free_energy" not in results:
        raise DataError(f"{source}: this ionic step has no energy")
    if "energy" in results:
        results["energy_sigma0"] = results.pop("energy")
    results["energy"] = results.pop("free_energy")
    results["converged"] = converged
    return from_atoms(atoms, source)


def _next(path: Path, steps: Iterator[tuple[Atoms, bool]], frame: int) -> tuple[Atoms, bool] | None:
    try:
        # a stress that is printed as stars is a warning of ASE's
        with _guards.bounded_memory(path), warnings.catch_warnings():
            warnings.simplefilter("error")
            return next(steps, None)
    except DataError:
        raise
    # ASE's parsers raise whatever a damaged file makes them stumble over
    except Exception as cause:
        raise DataError(
            f"{path}:{frame}: this ionic step cannot be read, the file is damaged or cut: {_guards.short(cause)}"
        ) from cause


def _xml(path: Path, file: BufferedIOBase) -> Iterator[tuple[Atoms, bool]]:
    _guards.check_xml(path, file, doctype=False)
    taken, most = _electronic_steps(path, file)
    file.seek(0)
    images = iread(cast(IO[bytes], file), index=":", format="vasp-xml")
    for atoms, steps in zip(images, taken, strict=True):
        yield atoms, most is None or steps < most


def _electronic_steps(path: Path, file: BufferedIOBase) -> tuple[list[int], int | None]:
    """The electronic steps of each ionic step, and NELM, the most there may be; reads the whole file.

    Raises:
        DataError: the file is cut or damaged, which ASE would not say.
    """
    taken: list[int] = []
    most: list[str] = []
    complete, inside = 0, False

    def begin(tag: str, attributes: dict[str, str]) -> None:
        nonlocal inside
        inside = tag == "i" and attributes.get("name") == "NELM"
        if inside:
            most.clear()
        if tag == "calculation":
            taken.append(0)
        elif tag == "scstep" and taken:
            taken[-1] += 1

    def end(tag: str) -> None:
        nonlocal complete, inside
        inside = False
        complete += tag == "calculation"

    def text(words: str) -> None:
        if inside:
            most.append(words)

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = begin, end, text
    try:
        parser.ParseFile(file)
    except expat.ExpatError as cause:
        raise DataError(
            f"{path}:{complete}: the file is cut or damaged in this ionic step: {cause}"
        ) from None
    words = "".join(most).split()
    return taken, int(words[0]) if words and words[0].isdecimal() else None


def _outcar(path: Path, file: BufferedIOBase) -> Iterator[tuple[Atoms, bool]]:
    lines = _Lines(path, file)
    # without a folder: ASE would look into CONTCAR and POSCAR beside the file, for constraints
    for chunk in outcarchunks(lines, header_parser=OutcarHeaderParser()):  # pyright: ignore[reportArgumentType]
        if not chunk.lines[-1].endswith("\n"):
            raise ValueError("its last line has no end")
        lines.begun = False
        yield chunk.build(), any("EDIFF is reached" in line for line in chunk.lines)
    if lines.begun:
        raise ValueError("it ends before the energy of the step")


class _Lines:
    """The lines of an OUTCAR; ``begun`` says whether an ionic step has begun since it was last set."""

    def __init__(self, path: Path, file: BufferedIOBase) -> None:
        self.name = str(path)
        self.begun = False
        self._file = file

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._file.readline(LONGEST_LINE)
        if not line:
            raise StopIteration
        if len(line) == LONGEST_LINE:
            raise ValueError(f"a line has more than {LONGEST_LINE:,} bytes")
        self.begun = self.begun or b"Iteration" in line
        return line.decode("utf-8", "replace")
