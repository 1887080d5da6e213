"""Numpy archives of a molecule among point charges: quantum-mechanical atoms as structures, the charges beside them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from hermtk.data.assemble import assemble, floats
from hermtk.data.formats import _npz
from hermtk.data.formats.base import Format
from hermtk.data.structure import Structure
from hermtk.errors import DataError
from hermtk.units import Units

NEEDED = ("numbers", "qm_positions", "n_mm", "mm_positions", "mm_charges")
# rows of these are charges, end to end
CHARGES = ("mm_positions", "mm_charges", "mm_forces")


class QMMM(Format):
    """S geometries of N atoms, each among its own point charges (M in all), in eV, Angstrom and e by definition.

    ``numbers`` [N], ``qm_positions`` [S, N, 3], ``n_mm`` [S], ``mm_positions`` [M, 3], ``mm_charges`` [M], and where there are
    any ``energy`` [S] of the atoms in the field of the charges, ``qm_forces`` [S, N, 3], ``mm_forces`` [M, 3]. The atoms become a
    structure; its charges and other arrays of S rows go to ``info``, of which training knows nothing: without the charges the
    forces do not add up to zero, and the audit says so.
    """

    suffixes: ClassVar[tuple[str, ...]] = (".npz",)

    @classmethod
    def recognises(cls, path: Path) -> bool:
        return _npz.holds(path, *NEEDED)

    def read(self, path: Path, units: Units | None = None) -> Iterator[Structure]:
        if units not in (None, Units()):
            raise DataError(
                f"{path}: this container is in eV and Angstrom by definition; leave its units out"
            )
        arrays = _npz.load(path)
        starts = _starts(path, arrays)
        frames, atoms = len(starts) - 1, len(arrays["numbers"])
        _check(path, arrays, frames, atoms, int(starts[-1]))
        named = {"energy": "energy", "qm_forces": "forces"}
        for frame in range(frames):
            rows = slice(starts[frame], starts[frame + 1])
            info: dict[str, Any] = {name: arrays[name][rows] for name in CHARGES if name in arrays}
            for name, values in arrays.items():
                if name not in (*NEEDED, *CHARGES, *named) and values.ndim and len(values) == frames:
                    info[name] = values[frame].item() if values.ndim == 1 else values[frame]
            labels = {ours: arrays[name][frame] for name, ours in named.items() if name in arrays}
            yield assemble(
                f"{path}:{frame}", arrays["numbers"], arrays["qm_positions"][frame], info=info, **labels
            )


def _starts(path: Path, arrays: dict[str, np.ndarray]) -> np.ndarray:
    """The first charge of each geometry."""
    missing = [name for name in NEEDED if name not in arrays]
    if missing:
        raise DataError(f"{path} has no {', '.join(missing)}; it holds {', '.join(sorted(arrays))}")
    if arrays["numbers"].ndim != 1:
        raise DataError(f"{path}: 'numbers' should be one atomic number per atom of the molecule")
    counts = arrays["n_mm"]
    if counts.ndim != 1 or counts.dtype.kind not in "iu" or (counts < 0).any() or (counts > 10**9).any():
        raise DataError(f"{path}: 'n_mm' should be one number of charges per geometry")
    return np.concatenate([[0], np.cumsum(counts.astype(np.int64))])


def _check(path: Path, arrays: dict[str, np.ndarray], frames: int, atoms: int, charges: int) -> None:
    shapes: dict[str, tuple[int, ...]] = {
        "numbers": (atoms,),
        "qm_positions": (frames, atoms, 3),
        "qm_forces": (frames, atoms, 3),
        "energy": (frames,),
        "mm_positions": (charges, 3),
        "mm_charges": (charges,),
        "mm_forces": (charges, 3),
    }
    for name, shape in shapes.items():
        if name in arrays and arrays[name].shape != shape:
            raise DataError(
                f"{path}: {name!r} of {frames} geometries with {charges} charges should have shape {shape}, "
                f"found {arrays[name].shape}"
            )
        if (
            name in CHARGES
            and name in arrays
            and not np.isfinite(floats(str(path), name, arrays[name])).all()
        ):
            raise DataError(f"{path}: {name!r} holds values that are not finite")
