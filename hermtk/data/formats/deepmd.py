"""Systems of DeePMD-kit: folders of numpy arrays or of plain text, eV and Angstrom by definition."""

import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np

from hermtk.data.assemble import assemble
from hermtk.data.elements import SYMBOLS, number_of
from hermtk.data.formats._npy import opened
from hermtk.data.formats.base import Format
from hermtk.data.structure import Structure
from hermtk.errors import DataError, UnknownName
from hermtk.units import Units

# the columns of each array of a set; of N atoms where None stands
COLUMNS: dict[str, int | None] = {"coord": None, "box": 9, "energy": 1, "force": None, "virial": 9}
# a real atom of no type: the place is empty
PADDING = -1
# frames of a set that is written, and of all systems together that wait to be
SET_FRAMES, WAITING_FRAMES = 2000, 20_000

Arrays = dict[str, np.ndarray]


class DeePMD(Format):
    """Folders of DeePMD-kit: ``type.raw`` and ``type_map.raw`` say the elements, every ``set.*`` holds frames.

    A set has ``coord.npy`` [F, 3N], ``box.npy`` [F, 9] and where there are any ``energy.npy`` [F], ``force.npy`` [F, 3N]
    and ``virial.npy`` [F, 9]; with ``real_atom_types.npy`` [F, N] every frame has its own elements (-1 is an empty place).
    Without sets the same arrays are text, ``coord.raw`` and so on, a frame per line. An empty file ``nopbc`` says that
    nothing repeats. A folder that holds systems, at most two folders down, is one data set, in the order of their paths.
    Source: the pages "System" and "Formats of a system" of DeePMD-kit's documentation. Virial = -stress * volume.
    """

    folder: ClassVar[bool] = True

    @classmethod
    def recognises(cls, path: Path) -> bool:
        return bool(_systems(path))

    def read(self, path: Path, units: Units | None = None) -> Iterator[Structure]:
        if units not in (None, Units()):
            raise DataError(
                f"{path}: systems of DeePMD-kit are in eV and Angstrom by definition; leave the units out"
            )
        systems = _systems(path)
        if not systems:
            raise DataError(
                f"{path} is no system of DeePMD-kit and holds none: there is no type.raw in it, nor in a folder below"
            )
        for system in systems:
            yield from _read_system(system)

    def write(self, path: Path, structures: Iterable[Structure]) -> None:
        """One system per order of atoms, kind of boundary and set of labels; a single one is ``path`` itself.

        Structures keep their order within a system, and float64 throughout. What ``info`` holds is not written.

        Raises:
            DataError: a structure that repeats in some directions only, or has a stress and no volume.
        """
        systems: dict[tuple[bytes, bool, tuple[str, ...]], _System] = {}
        taken: Counter[str] = Counter()
        waiting = 0
        for structure in structures:
            frame = _frame(structure)
            key = (structure.numbers.tobytes(), bool(structure.pbc.all()), tuple(frame))
            if key not in systems:
                systems[key] = _start(path, structure, taken)
            systems[key].frames.append(frame)
            waiting += 1
            if len(systems[key].frames) == SET_FRAMES:
                waiting -= _write_set(systems[key])
            elif waiting == WAITING_FRAMES:
                waiting -= _write_set(max(systems.values(), key=lambda system: len(system.frames)))
        for system in systems.values():
            _write_set(system)
        if len(systems) == 1:
            (only,) = systems.values()
            for file in only.folder.iterdir():
                shutil.move(file, path / file.name)
            only.folder.rmdir()


def _systems(path: Path) -> list[Path]:
    """The folders with a ``type.raw``: the one given, or those at most two below it."""
    if (path / "type.raw").is_file():
        return [path]
    return sorted(file.parent for below in ("*/type.raw", "*/*/type.raw") for file in path.glob(below))


def _read_system(system: Path) -> Iterator[Structure]:
    elements, types = _elements(system), _types(system)
    periodic = not (system / "nopbc").exists()
    sets = sorted(
        (place for place in system.glob("set.*") if place.is_dir()), key=lambda s: (len(s.name), s.name)
    )
    frames = (frame for place in sets for frame in _set_frames(place, len(types)))
    for source, arrays in frames if sets else _text_frames(system, len(types)):
        if periodic and "box" not in arrays:
            raise DataError(
                f"{source}: there is no box; add it, or an empty file {system / 'nopbc'} if nothing repeats"
            )
        chosen = arrays.get("real_atom_types", types)
        present = chosen != PADDING
        numbers = _numbers(source, chosen[present], elements)
        cell = arrays["box"].reshape(3, 3) if "box" in arrays else None
        yield assemble(
            source,
            numbers,
            arrays["coord"].reshape(-1, 3)[present],
            cell=cell,
            pbc=periodic,
            energy=arrays.get("energy"),
            forces=arrays["force"].reshape(-1, 3)[present] if "force" in arrays else None,
            stress=_stress(source, arrays["virial"], cell) if "virial" in arrays else None,
        )


def _elements(system: Path) -> np.ndarray:
    """Atomic numbers by type."""
    place = system / "type_map.raw"
    if not place.is_file():
        raise DataError(
            f"{system} does not say which elements its types are: add {place.name} with one symbol per line, that of type 0 first"
        )
    try:
        names = place.read_text(encoding="utf-8").split()
        return np.array([number_of(name) for name in names], dtype=np.int64)
    except UnicodeDecodeError:
        raise DataError(f"{place} is not text") from None
    except UnknownName as unknown:
        raise DataError(f"{place}: {unknown}") from None


def _types(system: Path) -> np.ndarray:
    place = system / "type.raw"
    try:
        types = np.array(place.read_text(encoding="utf-8").split(), dtype=np.int64)
    except (ValueError, OverflowError):
        raise DataError(f"{place} should be one whole number per atom") from None
    if len(types) == 0:
        raise DataError(f"{place} is empty")
    return types


def _numbers(source: str, types: np.ndarray, elements: np.ndarray) -> np.ndarray:
    if types.dtype.kind not in "iu":
        raise DataError(f"{source}: the types of atoms should be whole numbers, found {types.dtype}")
    for odd in types[(types < 0) | (types >= len(elements))]:
        raise DataError(f"{source}: an atom has the type {odd}; type_map.raw names {len(elements)} types")
    return elements[types]


def _set_frames(place: Path, atoms: int) -> Iterator[tuple[str, Arrays]]:
    """The frames of a set, memory-mapped."""
    arrays = {name: opened(place / f"{name}.npy") for name in COLUMNS if (place / f"{name}.npy").exists()}
    real = place / "real_atom_types.npy"
    if "coord" not in arrays:
        raise DataError(f"{place} has no coord.npy")
    frames = len(arrays["coord"]) if arrays["coord"].ndim else 0
    for name, array in arrays.items():
        columns = COLUMNS[name] or 3 * atoms
        if array.shape[:1] != (frames,) or array.size != frames * columns:
            raise DataError(
                f"{place / name}.npy: {frames} frames of {atoms} atoms should have shape {(frames, columns)}, "
                f"found {array.shape}"
            )
    if real.exists():
        arrays["real_atom_types"] = opened(real)
        if arrays["real_atom_types"].shape != (frames, atoms):
            raise DataError(
                f"{real} should have shape {(frames, atoms)}, found {arrays['real_atom_types'].shape}"
            )
    for frame in range(frames):
        yield f"{place}:{frame}", {name: np.array(array[frame]) for name, array in arrays.items()}


def _text_frames(system: Path, atoms: int) -> Iterator[tuple[str, Arrays]]:
    """The frames of ``coord.raw`` and the others, line by line."""
    present = [name for name in COLUMNS if (system / f"{name}.raw").is_file()]
    if "coord" not in present:
        raise DataError(f"{system} has neither sets (set.000 ...) nor a coord.raw")
    files = []
    try:
        files = [(system / f"{name}.raw").open(encoding="utf-8") for name in present]
        frame = 0
        while lines := [file.readline() for file in files]:
            source = f"{system}:{frame}"
            if not any(line.strip() for line in lines):
                if any(line.strip() for file in files for line in file):
                    raise DataError(f"{source}: a blank line and more frames behind it")
                return
            arrays = {
                name: _row(f"{source} ({name}.raw)", line, COLUMNS[name] or 3 * atoms)
                for name, line in zip(present, lines, strict=True)
            }
            yield source, arrays
            frame += 1
    except UnicodeDecodeError:
        raise DataError(f"{system} holds a .raw file that is not text") from None
    finally:
        for file in files:
            file.close()


def _row(source: str, line: str, columns: int) -> np.ndarray:
    try:
        values = np.array(line.split(), dtype=np.float64)
    except ValueError as cause:
        raise DataError(f"{source}: {cause}") from None
    if len(values) != columns:
        raise DataError(
            f"{source}: the line of this frame should have {columns} numbers, it has {len(values)}"
        )
    return values


def _stress(source: str, virial: np.ndarray, cell: np.ndarray | None) -> np.ndarray:
    volume = 0.0 if cell is None else abs(np.linalg.det(np.asarray(cell, dtype=np.float64)))
    if not volume > 0:
        raise DataError(f"{source}: a virial needs a box with a volume, which makes it a stress")
    return -np.asarray(virial, dtype=np.float64).reshape(3, 3) / volume


@dataclass
class _System:
    """A system that is being written: where, the frames that wait, and how many sets there are."""

    folder: Path
    frames: list[Arrays] = field(default_factory=list)
    sets: int = 0


def _frame(s: Structure) -> Arrays:
    """The rows of one structure."""
    source = s.source or "a structure"
    if s.pbc.any() and not s.pbc.all():
        raise DataError(
            f"{source} repeats in some directions only, which a system of DeePMD-kit cannot say; write another format"
        )
    frame = {"coord": s.positions.reshape(-1)}
    if s.cell.any():
        frame["box"] = s.cell.reshape(-1)
    if s.energy is not None:
        frame["energy"] = np.array(s.energy)
    if s.forces is not None:
        frame["force"] = s.forces.reshape(-1)
    if s.stress is not None:
        if not s.volume > 0:
            raise DataError(f"{source} has a stress and no volume, so it has no virial; write another format")
        frame["virial"] = -s.stress.reshape(-1) * s.volume
    return frame


def _start(path: Path, s: Structure, taken: Counter[str]) -> _System:
    """The folder of a new system, named after its composition, with what all its frames share."""
    present = np.unique(s.numbers)
    count = Counter(s.numbers.tolist())
    formula = "".join(f"{SYMBOLS[n]}{count[n] if count[n] > 1 else ''}" for n in sorted(count))
    taken[formula] += 1
    folder = path / (formula if taken[formula] == 1 else f"{formula}.{taken[formula]}")
    folder.mkdir()
    types = np.searchsorted(present, s.numbers)
    (folder / "type.raw").write_text("".join(f"{t}\n" for t in types), encoding="utf-8")
    (folder / "type_map.raw").write_text("".join(f"{SYMBOLS[int(n)]}\n" for n in present), encoding="utf-8")
    if not s.pbc.any():
        (folder / "nopbc").touch()
    return _System(folder)


def _write_set(system: _System) -> int:
    """Write the frames that wait, if any, as the next set; returns how many there were."""
    frames, system.frames = system.frames, []
    if frames:
        place = system.folder / f"set.{system.sets:03d}"
        place.mkdir()
        system.sets += 1
        for name in frames[0]:
            np.save(place / f"{name}.npy", np.stack([frame[name] for frame in frames]), allow_pickle=False)
    return len(frames)
