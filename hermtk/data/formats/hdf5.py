"""HDF5: our own layout for ragged sets of any size, and trajectories in H5MD."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from hermtk.data.assemble import assemble
from hermtk.data.formats import _h5md, _json
from hermtk.data.formats._hdf5 import dataset, group, reading, writing
from hermtk.data.formats.base import Format
from hermtk.data.structure import Structure
from hermtk.errors import DataError
from hermtk.units import Units

if TYPE_CHECKING:
    import h5py

LAYOUT, VERSION = "hermtk structures", 1
LABELS = ("energy", "forces", "stress")
# name -> (columns, type, unit); a row per atom, per structure, per byte of text
ATOMS: dict[str, tuple[tuple[int, ...], str, str]] = {
    "atoms/numbers": ((), "u1", ""),
    "atoms/position": ((3,), "f8", "Angstrom"),
    "atoms/force": ((3,), "f8", "eV/Angstrom"),
}
STRUCTURES: dict[str, tuple[tuple[int, ...], str, str]] = {
    "structures/end": ((), "i8", ""),
    "structures/box": ((3, 3), "f8", "Angstrom"),
    "structures/periodic": ((3,), "u1", ""),
    "structures/labels": ((3,), "u1", ""),
    "structures/energy": ((), "f8", "eV"),
    "structures/stress": ((3, 3), "f8", "eV/Angstrom^3"),
    "info/end": ((), "i8", ""),
}
TEXT: dict[str, tuple[tuple[int, ...], str, str]] = {"info/text": ((), "u1", "")}
# structures that are read or written at once, and atoms or bytes of text that are read at once
BLOCK, ROWS = 1024, 1 << 18


class HDF5(Format):
    """Ragged sets in HDF5, in eV and Angstrom by definition; trajectories in H5MD are read too.

    S structures of together A atoms stand end to end. The file's attributes are ``layout`` = "hermtk structures" and
    ``version`` = 1. Datasets:

    - ``atoms/numbers`` [A], ``atoms/position`` [A, 3], ``atoms/force`` [A, 3];
    - ``structures/end`` [S]: one past the last atom of each structure;
    - ``structures/box`` [S, 3, 3]: rows are cell vectors, zeros without a cell; ``structures/periodic`` [S, 3];
    - ``structures/energy`` [S], ``structures/stress`` [S, 3, 3], positive under tension;
    - ``structures/labels`` [S, 3]: 1 where a structure has an energy, forces, a stress; where 0 the values are NaN and mean
      nothing;
    - ``info/text`` [B]: for each structure the other values as JSON in UTF-8, end to end; ``info/end`` [S] as above.

    All but ``structures/labels`` have the attribute ``unit`` where they have one.
    """

    suffixes: ClassVar[tuple[str, ...]] = (".h5", ".hdf5", ".h5md")

    def read(self, path: Path, units: Units | None = None) -> Iterator[Structure]:
        with reading(path) as file:
            if file.attrs.get("layout") == LAYOUT:
                if units not in (None, Units()):
                    raise DataError(
                        f"{path}: this layout is in eV and Angstrom by definition; leave the units out"
                    )
                yield from _read(path, file)
            elif group(file, "particles") is not None:
                yield from _h5md.read(path, file, units)
            else:
                raise DataError(
                    f"{path} is neither in our layout nor in H5MD; it holds {', '.join(sorted(file)) or 'nothing'}"
                )

    def write(self, path: Path, structures: Iterable[Structure]) -> None:
        """Write block by block; of ``info``, what JSON can hold: numbers, words, arrays and lists of them."""
        with writing(path) as (file, check):
            data = {name: _create(file, name, *kind) for name, kind in (ATOMS | STRUCTURES | TEXT).items()}
            file.attrs.update(layout=LAYOUT, version=VERSION)
            coming = iter(structures)
            while block := list(islice(coming, BLOCK)):
                _append(data, block)
                check()


def _create(file: "h5py.File", name: str, columns: tuple[int, ...], kind: str, unit: str) -> "h5py.Dataset":
    rows = BLOCK if name.startswith("structures") else 4 * BLOCK
    data = file.create_dataset(
        name,
        shape=(0, *columns),
        maxshape=(None, *columns),
        dtype=kind,
        chunks=(rows, *columns),
        compression="gzip",
        compression_opts=1,
        shuffle=True,
    )
    if unit:
        data.attrs["unit"] = unit
    return data


def _append(data: "dict[str, h5py.Dataset]", block: Sequence[Structure]) -> None:
    texts = [_json.dumps(s.info).encode() if s.info else b"" for s in block]
    none, no_stress = np.nan, np.full((3, 3), np.nan)
    rows = {
        "atoms/numbers": np.concatenate([s.numbers for s in block]),
        "atoms/position": np.concatenate([s.positions for s in block]),
        "atoms/force": np.concatenate(
            [np.full(s.positions.shape, none) if s.forces is None else s.forces for s in block]
        ),
        "structures/end": len(data["atoms/numbers"]) + np.cumsum([len(s) for s in block]),
        "structures/box": np.stack([s.cell for s in block]),
        "structures/periodic": np.stack([s.pbc for s in block]),
        "structures/labels": np.array([[getattr(s, name) is not None for name in LABELS] for s in block]),
        "structures/energy": np.array([none if s.energy is None else s.energy for s in block]),
        "structures/stress": np.stack([no_stress if s.stress is None else s.stress for s in block]),
        "info/text": np.frombuffer(b"".join(texts), dtype=np.uint8),
        "info/end": len(data["info/text"]) + np.cumsum([len(text) for text in texts]),
    }
    for name, values in rows.items():
        start = len(data[name])
        data[name].resize(start + len(values), axis=0)
        if len(values):
            data[name][start:] = values


def _read(path: Path, file: "h5py.File") -> Iterator[Structure]:
    if file.attrs.get("version") != VERSION:
        raise DataError(
            f"{path} has version {file.attrs.get('version')} of this layout; this hermtk reads version {VERSION}"
        )
    data = {name: _there(path, file, name) for name in ATOMS | STRUCTURES | TEXT}
    frames = _rows(path, data, STRUCTURES)
    atoms, letters = _rows(path, data, ATOMS), _rows(path, data, TEXT)
    frame = first_atom = first_letter = 0
    for start in range(0, frames, BLOCK):
        block = {name: data[name][start : start + BLOCK] for name in STRUCTURES}
        atom_ends = _ends(path, block["structures/end"], first_atom, atoms)
        text_ends = _ends(path, block["info/end"], first_letter, letters)
        numbers, positions, forces = (_slices(data[name], first_atom, atom_ends) for name in ATOMS)
        texts = _slices(data["info/text"], first_letter, text_ends)
        for row, text in enumerate(texts):
            source = f"{path}:{frame}"
            energy, stress = block["structures/energy"][row], block["structures/stress"][row]
            has_energy, has_forces, has_stress = block["structures/labels"][row]
            force = next(forces)
            yield assemble(
                source,
                next(numbers),
                next(positions),
                cell=block["structures/box"][row],
                pbc=block["structures/periodic"][row],
                energy=energy if has_energy else None,
                forces=force if has_forces else None,
                stress=stress if has_stress else None,
                info=_json.loads(source, text.tobytes()) if len(text) else None,
            )
            frame += 1
        first_atom, first_letter = int(atom_ends[-1]), int(text_ends[-1])
    if (first_atom, first_letter) != (atoms, letters):
        raise DataError(
            f"{path} is damaged: {frames} structures end at atom {first_atom:,} of {atoms:,}, and at letter "
            f"{first_letter:,} of {letters:,}"
        )


def _there(path: Path, file: "h5py.File", name: str) -> "h5py.Dataset":
    data = dataset(file, name)
    if data is None:
        raise DataError(f"{path} has no dataset {name!r}, which this layout needs")
    return data


def _rows(
    path: Path, data: "dict[str, h5py.Dataset]", names: dict[str, tuple[tuple[int, ...], str, str]]
) -> int:
    """The rows that these datasets share."""
    for name, (columns, _, _) in names.items():
        if data[name].ndim == 0 or data[name].shape[1:] != columns:
            raise DataError(
                f"{path}: {name!r} should have shape (rows, *{columns}), found {data[name].shape}"
            )
    counts = {name: len(data[name]) for name in names}
    if len(set(counts.values())) > 1:
        raise DataError(f"{path}: these should have as many rows as each other: {counts}")
    return next(iter(counts.values()))


def _ends(path: Path, ends: np.ndarray, start: int, rows: int) -> np.ndarray:
    """The ends of a block, which follow on each other from ``start``."""
    if ends[-1] > rows or (np.diff(ends, prepend=start) < 0).any():
        raise DataError(f"{path} is damaged: structures end at {ends}, of {rows} rows from {start} on")
    return ends


def _slices(data: "h5py.Dataset", start: int, ends: np.ndarray) -> Iterator[np.ndarray]:
    """The rows of one structure after the other, read from the file as many at once as are not too many."""
    done = 0
    while done < len(ends):
        until = max(done + 1, int(np.searchsorted(ends, start + ROWS, side="right")))
        rows = data[start : int(ends[until - 1])]
        edges = np.concatenate([[start], ends[done:until]]) - start
        for a, b in pairwise(edges):
            yield rows[a:b]
        start, done = int(ends[until - 1]), until
