"""What a set holds, in numbers that a million structures need not be kept for."""

from array import array
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from hermtk.audit.fingerprint import composition_key
from hermtk.audit.views import View
from hermtk.data.elements import symbols

Array = np.ndarray

# eV/Angstrom, logarithmic; Angstrom
FORCE_BINS = np.logspace(-4, 4, 161)
DISTANCE_BINS = np.linspace(0.0, 10.0, 801)


@dataclass
class Summary:
    """Counts and ranges of a set; grows with each structure added.

    Attributes:
        sizes: number of atoms -> structures.
        elements: atomic number -> [atoms, structures].
        labels: energy, forces, stress -> structures that have it.
        periodic: how many directions repeat -> structures.
        info: name of another value -> structures that have it.
        energies: eV/atom of each structure that has one.
        forces: atomic number -> counts of force magnitudes in ``FORCE_BINS``.
        weak: atoms whose force is below those bins, by symmetry mostly.
        edges: directed pairs of neighbours.
        nearest: atomic number -> counts of distances to the nearest neighbour in ``DISTANCE_BINS``.
    """

    sizes: Counter[int] = field(default_factory=Counter)
    elements: dict[int, list[int]] = field(default_factory=dict)
    labels: Counter[str] = field(default_factory=Counter)
    periodic: Counter[int] = field(default_factory=Counter)
    info: Counter[str] = field(default_factory=Counter)
    energies: array = field(default_factory=lambda: array("d"))
    forces: dict[int, Int[Array, " bins"]] = field(default_factory=dict)
    nearest: dict[int, Int[Array, " bins"]] = field(default_factory=dict)
    weak: int = 0
    edges: int = 0
    _compositions: array = field(default_factory=lambda: array("q"))
    _square: float = 0.0
    _components: int = 0
    _largest_force: tuple[float, str] = (0.0, "")
    _closest: tuple[float, str] = (np.inf, "")
    _volumes: tuple[float, float] = (np.inf, 0.0)

    @property
    def structures(self) -> int:
        """How many were added."""
        return sum(self.sizes.values())

    @property
    def atoms(self) -> int:
        """Atoms of all structures together."""
        return sum(size * count for size, count in self.sizes.items())

    def add(self, seen: View) -> None:
        """One more structure."""
        s = seen.structure
        self.sizes[len(s)] += 1
        self.periodic[int(s.pbc.sum())] += 1
        self.info.update(s.info.keys())
        self.labels.update(name for name in ("energy", "forces", "stress") if getattr(s, name) is not None)
        self.edges += len(seen.distance)
        self._compositions.append(composition_key(s))
        if s.energy is not None:
            self.energies.append(s.energy / len(s))
        if s.pbc.all():
            volume = s.volume / len(s)
            self._volumes = (min(self._volumes[0], volume), max(self._volumes[1], volume))
        nearest = np.full(len(s), np.inf)
        np.minimum.at(nearest, seen.center, seen.distance)
        if nearest.min() < self._closest[0]:
            self._closest = (float(nearest.min()), s.source)
        size = None if s.forces is None else np.linalg.norm(s.forces, axis=1)
        if size is not None:
            self._square += float(np.square(size).sum())
            self._components += 3 * len(s)
            if size.max() > self._largest_force[0]:
                self._largest_force = (float(size.max()), s.source)
        for z in np.unique(s.numbers).tolist():
            mine = s.numbers == z
            row = self.elements.setdefault(z, [0, 0])
            row[0] += int(mine.sum())
            row[1] += 1
            _count(self.nearest, z, nearest[mine], DISTANCE_BINS)
            if size is not None:
                _count(self.forces, z, size[mine], FORCE_BINS)
                self.weak += int((size[mine] < FORCE_BINS[0]).sum())

    def as_dict(self) -> dict[str, Any]:
        """The numbers as plain values: eV, eV/Angstrom, Angstrom."""
        names = {z: symbols([z])[0] for z in sorted(self.elements)}
        sizes = np.repeat(sorted(self.sizes), [self.sizes[n] for n in sorted(self.sizes)])
        return {
            "structures": self.structures,
            "atoms": self.atoms,
            "compositions": len(np.unique(np.array(self._compositions, dtype=np.int64))),
            "elements": {
                names[z]: {"atoms": self.elements[z][0], "structures": self.elements[z][1]} for z in names
            },
            "sizes": {"min": int(sizes.min()), "median": float(np.median(sizes)), "max": int(sizes.max())},
            "periodic": {str(n): count for n, count in sorted(self.periodic.items())},
            "labels": {name: self.labels[name] for name in ("energy", "forces", "stress")},
            "info": dict(self.info),
            "energy_per_atom": _range(np.array(self.energies)),
            "forces": None
            if not self._components
            else {
                "rms": float(np.sqrt(self._square / self._components)),
                "largest": self._largest_force[0],
                "of": self._largest_force[1],
            },
            "volume_per_atom": None
            if not self._volumes[1]
            else dict(zip(("min", "max"), self._volumes, strict=True)),
            "closest": None
            if np.isinf(self._closest[0])
            else {"distance": self._closest[0], "of": self._closest[1]},
            "neighbors_per_atom": self.edges / self.atoms,
        }


def _range(values: Float[Array, " n"]) -> dict[str, float] | None:
    if not len(values):
        return None
    return {
        "min": float(values.min()),
        "mean": float(values.mean()),
        "max": float(values.max()),
        "sd": float(values.std()),
    }


def _count(table: dict[int, Array], z: int, values: Array, bins: Array) -> None:
    counts, _ = np.histogram(values, bins)
    table[z] = table[z] + counts if z in table else counts
