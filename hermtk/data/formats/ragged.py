"""Plain numpy archives in eV and Angstrom: structures of any size end to end, or one composition as a block."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from hermtk.data.assemble import assemble
from hermtk.data.formats import _npz
from hermtk.data.formats.base import Format
from hermtk.data.structure import Structure
from hermtk.errors import DataError
from hermtk.units import Units

LABELS = ("cell", "pbc", "energy", "forces", "stress")
OURS = {"n_atoms", "numbers", "positions", "energies", *LABELS}
Arrays = dict[str, np.ndarray]


class Ragged(Format):
    """S structures of together A atoms, in eV and Angstrom by definition.

    ``n_atoms`` [S], ``numbers`` [A], ``positions`` [A, 3], and where there are any: ``forces`` [A, 3], ``energy`` [S],
    ``cell`` [S, 3, 3] (zeros without a cell), ``pbc`` [S, 3], ``stress`` [S, 3, 3]. Without ``n_atoms`` all structures
    have the same N atoms: ``numbers`` [N], ``positions`` [S, N, 3], ``forces`` [S, N, 3], ``energy`` or ``energies``
    [S]. Other arrays of S or A rows go to ``info``.
    """

    suffixes: ClassVar[tuple[str, ...]] = (".npz",)

    @classmethod
    def recognises(cls, path: Path) -> bool:
        return _npz.holds(path, "numbers", "positions")

    def read(self, path: Path, units: Units | None = None) -> Iterator[Structure]:
        if units not in (None, Units()):
            raise DataError(
                f"{path}: this container is in eV and Angstrom by definition; leave its units out"
            )
        arrays = _npz.load(path)
        if not {"numbers", "positions"} <= set(arrays):
            raise DataError(f"{path} has no 'numbers' and 'positions'; it holds {', '.join(sorted(arrays))}")
        if arrays["numbers"].ndim != 1:
            raise DataError(
                f"{path}: 'numbers' should be one atomic number per atom, found shape {arrays['numbers'].shape}"
            )
        if "energies" in arrays:
            arrays.setdefault("energy", arrays.pop("energies"))
        counts = _counts(path, arrays)
        starts = np.concatenate([[0], np.cumsum(counts)])
        _check_rows(path, arrays, len(counts), int(starts[-1]))
        for frame in range(len(counts)):
            values = _frame(arrays, frame, starts)
            info = {name: value for name, value in values.items() if name not in OURS}
            known = {name: value for name, value in values.items() if name in LABELS}
            yield assemble(f"{path}:{frame}", values["numbers"], values["positions"], info=info, **known)

    def write(self, path: Path, structures: Iterable[Structure]) -> None:
        """Write as ``read`` reads it; of ``info``, the values that every structure has and that stack into a plain array."""
        structures = list(structures)
        arrays: dict[str, Any] = {
            "n_atoms": np.array([len(s) for s in structures], dtype=np.int64),
            "numbers": np.concatenate([s.numbers for s in structures]).astype(np.uint8),
            "positions": np.concatenate([s.positions for s in structures]),
            "cell": np.stack([s.cell for s in structures]),
            "pbc": np.stack([s.pbc for s in structures]),
        }
        for label, join in (("energy", np.array), ("forces", np.concatenate), ("stress", np.stack)):
            values = [getattr(s, label) for s in structures]
            without = [s.source for s in structures if getattr(s, label) is None]
            if without and len(without) < len(values):
                raise DataError(
                    f"this container needs the {label} of all structures or of none; {len(without)} of {len(values)} lack it, "
                    f"the first is {without[0] or 'unnamed'}; extended XYZ can hold such a set"
                )
            if not without:
                arrays[label] = join(values)
        # into an open file: numpy would write to another name where the suffix is not its own
        with path.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays, **_stacked_info(structures, set(arrays)))


def _counts(path: Path, arrays: Arrays) -> np.ndarray:
    """Atoms per structure; a block of one composition is laid end to end in ``arrays``."""
    if "n_atoms" in arrays:
        counts = arrays["n_atoms"]
        # no count is beyond the rows that are there, so their sum cannot overflow
        if counts.ndim != 1 or counts.dtype.kind not in "iu" or not _fit(counts, len(arrays["numbers"])):
            raise DataError(f"{path}: 'n_atoms' should be one count per structure")
        return counts.astype(np.int64)
    positions = arrays["positions"]
    n = len(arrays["numbers"])
    if positions.ndim != 3 or positions.shape[1:] != (n, 3):
        raise DataError(
            f"{path}: without 'n_atoms', 'positions' should have shape (structures, {n}, 3), found {positions.shape}"
        )
    frames = len(positions)
    for name in ("positions", "forces"):
        if name in arrays:
            if arrays[name].shape != (frames, n, 3):
                raise DataError(
                    f"{path}: {name!r} should have shape {(frames, n, 3)}, found {arrays[name].shape}"
                )
            arrays[name] = arrays[name].reshape(-1, 3)
    arrays["numbers"] = np.tile(arrays["numbers"], frames)
    for name in ("cell", "pbc"):
        if name in arrays and arrays[name].shape == ((3, 3) if name == "cell" else (3,)):
            arrays[name] = np.broadcast_to(arrays[name], (frames, *arrays[name].shape))
    return np.full(frames, n)


def _fit(counts: np.ndarray, atoms: int) -> bool:
    return bool(((counts >= 0) & (counts <= atoms)).all())


def _check_rows(path: Path, arrays: Arrays, frames: int, atoms: int) -> None:
    rows = dict.fromkeys(("numbers", "positions", "forces"), atoms) | dict.fromkeys(
        ("energy", "cell", "pbc", "stress"), frames
    )
    for name, wanted in rows.items():
        if name in arrays and (arrays[name].ndim == 0 or len(arrays[name]) != wanted):
            raise DataError(
                f"{path}: {frames} structures with {atoms} atoms need {wanted} rows of {name!r}, "
                f"found shape {arrays[name].shape}"
            )


def _frame(arrays: Arrays, frame: int, starts: np.ndarray) -> dict[str, Any]:
    frames, total = len(starts) - 1, int(starts[-1])
    atoms = slice(starts[frame], starts[frame + 1])
    values: dict[str, Any] = {}
    for name, array in arrays.items():
        rows = len(array) if array.ndim else None
        if name in ("numbers", "positions", "forces") or (rows == total and rows != frames):
            values[name] = array[atoms]
        elif rows == frames:
            values[name] = array[frame].item() if array.ndim == 1 else array[frame]
    return values


def _stacked_info(structures: Sequence[Structure], taken: set[str]) -> Arrays:
    shared = set.intersection(*(set(s.info) for s in structures)) - taken - OURS if structures else set()
    stacked = {}
    for name in sorted(shared):
        values = [np.asarray(s.info[name]) for s in structures]
        if all(value.ndim and len(value) == len(s) for value, s in zip(values, structures, strict=True)):
            rows = [value.shape[1:] for value in values]
            array = np.concatenate(values) if len(set(rows)) == 1 else None
        else:
            array = np.stack(values) if len({value.shape for value in values}) == 1 else None
        if array is not None and array.dtype.kind in "biufU":
            stacked[name] = array
    return stacked
