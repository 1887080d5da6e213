"""What a file says of one structure, in our units, before any model sees it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

Array = np.ndarray


@dataclass(frozen=True)
class Structure:
    """Atoms in space and what was computed for them.

    Attributes:
        numbers: atomic numbers [N].
        positions: [N, 3] Angstrom.
        cell: [3, 3] Angstrom, lattice vectors are rows; zeros where there is none.
        pbc: [3] which lattice vectors repeat.
        energy: total energy, eV; None where the file has none.
        forces: [N, 3] eV/Angstrom; None where the file has none.
        stress: [3, 3] eV/Angstrom^3, positive under tension (ASE's sign); None where the file has none.
        source: ``file:frame``, for messages.
        info: other values of the frame that a split or a report may want (``group``, ``config_type`` ...).
    """

    numbers: Int[Array, " atoms"]
    positions: Float[Array, "atoms 3"]
    cell: Float[Array, "3 3"] = field(default_factory=lambda: np.zeros((3, 3)))
    pbc: Bool[Array, "3"] = field(default_factory=lambda: np.zeros(3, dtype=bool))
    energy: float | None = None
    forces: Float[Array, "atoms 3"] | None = None
    stress: Float[Array, "3 3"] | None = None
    source: str = ""
    info: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def volume(self) -> float:
        """Angstrom^3; positive for left-handed cells too, 0 without a cell."""
        return float(abs(np.linalg.det(self.cell)))
