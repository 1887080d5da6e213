"""Make the built-in example data: ethanol, PBE/def2-SVP energies and forces along 500 K molecular dynamics.

Frames are sampled from Langevin dynamics with GFN2-xTB (tblite, 0.5 fs steps, one frame every 50 fs after 5 ps), then
energy and forces are recomputed with density-functional theory (PySCF, PBE/def2-SVP, density fitting, grid level 4,
SCF converged to 1e-10 Ha). Units in the file: eV, Angstrom. Needs the extra ``hermtk[builtin]``; some 4 CPU-seconds a
frame.

Usage: ``python -m hermtk.data.builtin.generate OUT.npz [FRAMES] [SEED]``. Every tenth frame it saves to OUT.part.npz
and, started again, resumes from it.
"""

import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from ase import units
from ase.build import molecule
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from jaxtyping import Float, Int

from hermtk.errors import RunError

MOLECULE = "CH3CH2OH"
TEMPERATURE = 500
FRAMES = 700


@dataclass(frozen=True)
class Labelled:
    """Sampled geometries, of which the first ones are labelled: positions in Angstrom, energies in eV, forces in eV/Angstrom."""

    positions: Float[np.ndarray, "frames atoms 3"]
    energies: Float[np.ndarray, " labelled"]
    forces: Float[np.ndarray, "labelled atoms 3"]


def sample(frames: int, seed: int) -> Float[np.ndarray, "{frames} atoms 3"]:
    """Positions along molecular dynamics, Angstrom, the centre of mass at the origin."""
    # no stubs, and installed only to make this set
    from tblite.ase import TBLite  # pyright: ignore[reportMissingImports]

    rng = np.random.default_rng(seed)
    atoms = molecule(MOLECULE)
    atoms.calc = TBLite(method="GFN2-xTB", verbosity=0)
    MaxwellBoltzmannDistribution(atoms, temperature_K=TEMPERATURE, rng=rng)
    dynamics = Langevin(atoms, 0.5 * units.fs, temperature_K=TEMPERATURE, friction=0.01 / units.fs, rng=rng)
    dynamics.run(10_000)
    positions = []
    for _ in range(frames):
        dynamics.run(100)
        positions.append(atoms.get_positions() - atoms.get_center_of_mass())
    return np.array(positions)


def label(
    numbers: Int[np.ndarray, " atoms"], positions: Float[np.ndarray, "atoms 3"]
) -> tuple[float, Float[np.ndarray, "atoms 3"]]:
    """Energy (eV) and forces (eV/Angstrom) with PBE/def2-SVP.

    Raises:
        RunError: the self-consistent field does not converge.
    """
    from pyscf import dft, gto  # pyright: ignore[reportMissingImports]
    from pyscf.data.nist import BOHR, HARTREE2EV  # pyright: ignore[reportMissingImports]

    mol = gto.M(
        atom=list(zip(numbers.tolist(), positions.tolist(), strict=True)), basis="def2-svp", verbose=0
    )
    field = dft.RKS(mol, xc="pbe").density_fit()
    field.grids.level = 4
    field.conv_tol = 1e-10
    energy = field.kernel()
    if not field.converged:
        raise RunError(f"the SCF did not converge at positions {positions.tolist()}")
    gradient = field.nuc_grad_method().set(grid_response=True).kernel()
    return float(energy * HARTREE2EV), -gradient * HARTREE2EV / BOHR


def generate(out: Path, frames: int = FRAMES, seed: int = 0) -> None:
    """Sample and label ``frames`` geometries into ``out``; continues where an earlier call stopped."""
    part = out.with_suffix(".part.npz")
    numbers = molecule(MOLECULE).numbers
    data = _resume(part) if part.exists() else _start(sample(frames, seed))
    for k in range(len(data.energies), len(data.positions)):
        energy, forces = label(numbers, data.positions[k])
        data = replace(
            data,
            energies=np.append(data.energies, energy),
            forces=np.concatenate([data.forces, forces[None]]),
        )
        if k % 10 == 9 or k + 1 == len(data.positions):
            _save(part, positions=data.positions, energies=data.energies, forces=data.forces)
            # a script of hours tells how far it is
            print(k + 1, "of", len(data.positions), flush=True)  # noqa: T201
    _save(
        out,
        numbers=numbers.astype(np.uint8),
        positions=data.positions,
        energies=data.energies,
        forces=data.forces.astype(np.float32),
    )


def _start(positions: np.ndarray) -> Labelled:
    return Labelled(positions, np.zeros(0), np.zeros((0, *positions.shape[1:])))


def _resume(part: Path) -> Labelled:
    with np.load(part, allow_pickle=False) as saved:
        return Labelled(saved["positions"], saved["energies"], saved["forces"])


def _save(path: Path, **arrays: np.ndarray) -> None:
    partial = path.with_name(f".{os.getpid()}.{path.name}")
    np.savez_compressed(partial, allow_pickle=False, **arrays)
    os.replace(partial, path)


def main() -> None:
    """Read the command line."""
    out, *rest = sys.argv[1:]
    generate(Path(out), *(int(word) for word in rest[:2]))


if __name__ == "__main__":
    main()
