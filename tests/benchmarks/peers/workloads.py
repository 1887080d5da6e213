"""The structures that every tool is timed on, made with ase alone: `python workloads.py FOLDER` writes them as extended xyz.

Molecules come as a batch of ten for a training step, alloys one at a time for energy and forces. Everything is drawn from
fixed seeds, so all tools see the same atoms; `digest` proves it.
"""

import hashlib
import sys
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk, molecule
from ase.io import write
from ase.neighborlist import neighbor_list

CUTOFF = 5.0  # Angstrom
ALLOY = (24, 25, 26, 27, 28)  # Cr Mn Fe Co Ni
BATCH = 10
_RATTLE = 0.05  # Angstrom, per component
_SPACING = 3.6  # Angstrom, of the cubic fcc cell

# cells of four atoms along each edge of the box
_ALLOYS = {"alloy108": 3, "alloy256": 4, "alloy500": 5, "alloy2048": 8}
_MOLECULES = ("ethanol10", "aspirin10")
WORKLOADS = (*_MOLECULES, *_ALLOYS)

# C9H8O4 from idealised bond lengths, relaxed with GFN2-xTB (tblite) to 0.02 eV/Angstrom; the centre of the atoms at zero
_ASPIRIN = """
C -1.066  0.125 -0.297   C  0.099 -0.646 -0.267   C  0.020 -2.026 -0.391
C -1.206 -2.647 -0.541   C -2.370 -1.894 -0.548   C -2.296 -0.522 -0.422
H  0.932 -2.602 -0.362   H -1.250 -3.721 -0.640   H -3.331 -2.373 -0.653
H -3.185  0.089 -0.423   C -1.099  1.606 -0.216   O -2.070  2.236  0.109
O  0.039  2.205 -0.604   H -0.064  3.167 -0.530   O  1.359 -0.094 -0.129
C  1.620  0.700  0.933   O  0.857  0.881  1.839   C  3.003  1.277  0.815
H  3.726  0.472  0.705   H  3.051  1.900 -0.075   H  3.230  1.867  1.697
"""


def default_job(workload: str) -> str:
    """Training for molecules, inference for alloys."""
    return "training" if workload in _MOLECULES else "inference"


def structures(workload: str) -> list[Atoms]:
    """The frames of a workload."""
    if workload in _ALLOYS:
        return [_alloy(_ALLOYS[workload])]
    perfect = molecule("CH3CH2OH") if workload == "ethanol10" else _aspirin()
    return [_rattled(perfect, seed) for seed in range(BATCH)]


def labels(frames: list[Atoms]) -> tuple[np.ndarray, np.ndarray]:
    """Random energies [S] in eV and forces [A, 3] in eV/Angstrom: the time of a step does not depend on them."""
    random = np.random.RandomState(1)
    return random.normal(size=len(frames)), random.normal(size=(sum(map(len, frames)), 3))


def pairs(atoms: Atoms) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centre [E], neighbour [E] and whole lattice vectors added to the neighbour [E, 3], periodic images included."""
    center, neighbor, shift = neighbor_list("ijS", atoms, CUTOFF)
    return center, neighbor, shift


def digest(frames: list[Atoms]) -> str:
    """The same eight letters wherever the structures are the same to 1e-6 Angstrom."""
    sums = hashlib.sha256()
    for atoms in frames:
        numbers = np.concatenate([atoms.positions.ravel(), atoms.cell.array.ravel()])
        sums.update(atoms.numbers.astype("<i8").tobytes() + np.rint(numbers * 1e6).astype("<i8").tobytes())
    return sums.hexdigest()[:8]


def _alloy(cells: int) -> Atoms:
    atoms = bulk("Ni", "fcc", a=_SPACING, cubic=True) * cells
    atoms.numbers = np.random.RandomState(0).choice(ALLOY, len(atoms))
    return _rattled(atoms, 0)


def _aspirin() -> Atoms:
    words = np.array(_ASPIRIN.split()).reshape(-1, 4)
    return Atoms(list(words[:, 0]), words[:, 1:].astype(float))


def _rattled(perfect: Atoms, seed: int) -> Atoms:
    atoms = perfect.copy()
    atoms.rattle(_RATTLE, seed=seed)
    return atoms


def main(folder: Path) -> None:
    """Write every workload to ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for workload in WORKLOADS:
        frames = structures(workload)
        write(folder / f"{workload}.xyz", frames, format="extxyz")
        atoms = frames[0]
        edges = len(pairs(atoms)[0]) / len(atoms)
        sys.stdout.write(
            f"{workload}: {len(frames)} x {len(atoms)} atoms, {atoms.get_chemical_formula()}, "
            f"{edges:.1f} neighbours per atom, {digest(frames)}\n"
        )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python workloads.py FOLDER")
    main(Path(sys.argv[1]))
