"""Distances that cannot be: colliding atoms, lonely atoms, impossible densities, lengths in another unit.

Distances are compared with the sum of the covalent radii of both elements (Cordero et al., Dalton Trans. 2008, 2832, as in
ASE). Of nearest neighbours the ratio is 0.8 to 1.1 in the middle of every set of molecules, salts, metals and glasses that
was looked at, 0.85 in tungsten, 1.15 in lithium, 1.19 in H2.
"""

from array import array
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from ase.data import covalent_radii
from jaxtyping import Float

from hermtk.audit.findings import Finding
from hermtk.audit.views import MOST_DENSE, View, density, view
from hermtk.data.elements import symbols

Array = np.ndarray

# of the sum of covalent radii. Compression to hundreds of GPa and dynamics at thousands of kelvin leave 0.45 and more; an
# overlap below it comes from a wrong cell, unit or periodic flag, or is a scan of repulsion made on purpose
COLLIDING = 0.4
# ratio of nearest distances to radii, between which 80 % of the structures have to lie -> what the numbers seem to be
UNIT_RATIOS: dict[tuple[float, float], str] = {
    (1.4, 2.6): "they look like Bohr, read as Angstrom: declare --length-unit Bohr",
    (0.05, 0.18): "they look like nm, read as Angstrom: declare --length-unit nm",
    (0.35, 0.66): "they look like Angstrom, declared as Bohr",
    (6.5, 15.0): "they look like Angstrom, declared as nm",
}
# 0.2 is ASE's stand-in for the heaviest elements, of which no radius is known; 1.5 is that of their lighter relatives
_RADII = np.where(covalent_radii == 0.2, 1.5, covalent_radii)
# they do not bind: their distances say nothing of units
_NOBLE = (2, 10, 18, 36, 54, 86, 118)
# Angstrom; how far the nearest neighbour is looked for where the cut-off holds none
_FAR = 40.0
_LOOKED_AT = 200
# part of the atoms that may be without neighbours: gases and single molecules in a large set
_FEW = 0.01
_NAMED = 10


@dataclass
class Shapes:
    """What is kept of a set's distances.

    Attributes:
        structures: how many were added.
        ratios: for each structure the median over atoms of nearest distance over covalent radii; NaN where there is none.
        collisions: structures with atoms too close: ratio, source, and the sentence about the closest pair.
        colliding: pairs of elements of the closest atoms in those structures.
        lonely: number of atoms without neighbours, and source.
        lonely_atoms, lonely_structures: how many there are in all.
        atoms: how many were added.
        dense: atoms per Angstrom^3, where impossible, and source.
        dense_structures: how many there are.
    """

    structures: int = 0
    ratios: array = field(default_factory=lambda: array("f"))
    collisions: list[tuple[float, str, str]] = field(default_factory=list)
    colliding: Counter[str] = field(default_factory=Counter)
    lonely: list[tuple[int, str]] = field(default_factory=list)
    lonely_atoms: int = 0
    lonely_structures: int = 0
    atoms: int = 0
    dense: list[tuple[float, str]] = field(default_factory=list)
    dense_structures: int = 0
    _far: int = 0

    def add(self, seen: View) -> None:
        """One more structure."""
        s = seen.structure
        self.structures += 1
        self.atoms += len(s)
        alone = len(s) - len(np.unique(seen.center))
        if alone and len(s) > 1:
            self.lonely_atoms += alone
            self.lonely_structures += 1
            _keep(self.lonely, (alone, s.source))
        if (packed := density(s)) > MOST_DENSE:
            self.dense_structures += 1
            _keep(self.dense, (packed, s.source))
        self._collide(seen)
        if 2 * alone > len(s) and self._far < _LOOKED_AT:
            self._far += 1
            seen = view(s, _farther(seen))
        self.ratios.append(_nearest_ratio(seen))

    def _collide(self, seen: View) -> None:
        if not len(seen.distance):
            return
        ratio = seen.distance / _radii_sum(seen)
        k = int(np.argmin(ratio))
        if ratio[k] < COLLIDING:
            names = "-".join(
                sorted(symbols(seen.structure.numbers[[seen.center[k], seen.neighbor[k]]].tolist()))
            )
            self.colliding[names] += 1
            said = f"{names} {seen.distance[k]:.3f} Å apart in {seen.structure.source}, {ratio[k]:.2f} of their radii"
            _keep(self.collisions, (-float(ratio[k]), seen.structure.source, said))


def geometry_findings(shapes: Mapping[str, Shapes]) -> Iterator[Finding]:
    """What cannot be, of every set."""
    for name, found in shapes.items():
        unit = _length_unit(name, np.array(found.ratios, dtype=np.float64))
        yield from unit
        if unit:
            # everything else follows from the unit
            continue
        yield from _collisions(name, found)
        yield from _lonely(name, found)
        yield from _dense(name, found)


def _length_unit(name: str, ratios: Float[Array, " structures"]) -> list[Finding]:
    ratios = ratios[np.isfinite(ratios)]
    if not len(ratios):
        return []
    low, middle, high = np.quantile(ratios, [0.1, 0.5, 0.9])
    for (least, most), said in UNIT_RATIOS.items():
        if least <= low and high <= most:
            return [
                Finding(
                    "length-unit",
                    "error",
                    f"the lengths of {name} are not in the unit they were read in: nearest neighbours are {middle:.2f} covalent "
                    f"distances apart ({low:.2f} to {high:.2f} in 80 % of {len(ratios)} structures), where 0.8 to 1.2 is usual; "
                    f"{said}.",
                    evidence={"set": name, "low": low, "median": middle, "high": high, "usual": [0.8, 1.2]},
                )
            ]
    return []


def _collisions(name: str, found: Shapes) -> Iterator[Finding]:
    if found.colliding:
        count = sum(found.colliding.values())
        worst = sorted(found.collisions, reverse=True)
        pairs = ", ".join(f"{pair} in {n}" for pair, n in found.colliding.most_common(5))
        yield Finding(
            "colliding-atoms",
            "warning",
            f"{count} of {found.structures} structures of {name} have atoms closer than {COLLIDING:g} of the sum of their "
            f"covalent radii ({pairs}); the closest: {worst[0][2]}. Keep them only if they were made to learn repulsion.",
            tuple(source for _, source, _ in worst[:_NAMED]),
            {
                "set": name,
                "structures": count,
                "pairs": dict(found.colliding),
                "smallest_ratio": -worst[0][0],
            },
        )


def _lonely(name: str, found: Shapes) -> Iterator[Finding]:
    if found.lonely_atoms:
        worst = sorted(found.lonely, reverse=True)
        yield Finding(
            "isolated-atoms",
            "warning" if found.lonely_atoms > _FEW * found.atoms else "note",
            f"{found.lonely_atoms} of {found.atoms} atoms of {name}, in {found.lonely_structures} structures of several atoms, "
            "have no neighbour within the cut-off: no force can be learned for them. A larger cut-off, or a wrong cell?",
            tuple(source for _, source in worst[:_NAMED]),
            {"set": name, "atoms": found.lonely_atoms, "structures": found.lonely_structures},
        )


def _dense(name: str, found: Shapes) -> Iterator[Finding]:
    if found.dense_structures:
        worst = sorted(found.dense, reverse=True)
        yield Finding(
            "strange-density",
            "error",
            f"{found.dense_structures} of {found.structures} structures of {name} have more than {MOST_DENSE:g} atoms/Å³ "
            f"(diamond has 0.18), up to {worst[0][0]:.3g}: the cell and the positions do not belong together.",
            tuple(source for _, source in worst[:_NAMED]),
            {"set": name, "structures": found.dense_structures, "largest": worst[0][0]},
        )


def _nearest_ratio(seen: View) -> float:
    """The median over atoms, noble gases aside, of nearest distance over covalent radii; NaN where there is none."""
    ratio = seen.distance / _radii_sum(seen)
    nearest = np.full(len(seen.structure), np.inf)
    np.minimum.at(nearest, seen.center, ratio)
    kept = nearest[np.isfinite(nearest) & ~np.isin(seen.structure.numbers, _NOBLE)]
    return float(np.median(kept)) if len(kept) else np.nan


def _radii_sum(seen: View) -> Float[Array, " edges"]:
    """Sums of the covalent radii of both ends, Angstrom."""
    radii = _RADII[seen.structure.numbers]
    return radii[seen.center] + radii[seen.neighbor]


def _farther(seen: View) -> float:
    """Where to look for the nearest neighbours of atoms that have none: far, but not at more than some hundred atoms."""
    packed = density(seen.structure)
    return max(seen.cutoff, min(_FAR, (100 / packed) ** (1 / 3) if packed else _FAR))


def _keep(worst: list, entry: tuple) -> None:
    """The ten largest."""
    worst.append(entry)
    if len(worst) > 10 * _NAMED:
        worst.sort(reverse=True)
        del worst[_NAMED:]
