"""Molecular dynamics of a five-element alloy through ASE: the share of a step outside the model, and whether memory grows.

    python tests/benchmarks/molecular_dynamics.py [--atoms 256] [--steps 1000] [--compile]

Outside: ASE's integrator, the checks, the neighbour list. Inside: relations, energy, forces and stress.
"""

import argparse
import time
from pathlib import Path

from hermtk_cli.process import prepare_process


def resident_mib() -> float:
    """Memory that the process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--atoms", type=int, default=256)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--channels", type=int, default=128)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--compile", action="store_true")
    a = parser.parse_args()
    prepare_process()
    import ase.units
    import torch
    from ase import Atoms
    from ase.md.velocitydistribution import thermalize_momenta
    from ase.md.verlet import VelocityVerlet

    import hermtk.interfaces.ase as interface
    from hermtk.benchmark.systems import alloy, structures
    from hermtk.models.build import build_model
    from hermtk.models.config import ModelConfig

    torch.set_num_threads(1)
    torch.manual_seed(0)
    system = alloy(a.atoms, 5)
    (structure,) = structures(system)
    config = ModelConfig(variant="hvnet", channels=a.channels, layers=a.layers)
    potential = build_model(config, system.elements, mean_neighbors=43.0)
    inside = [0.0]

    def timed(call):
        def run(*arguments, **options):
            start = time.process_time()
            try:
                return call(*arguments, **options)
            finally:
                inside[0] += time.process_time() - start

        return run

    interface.predict = timed(interface.predict)
    interface.CompiledPotential.predict = timed(interface.CompiledPotential.predict)
    atoms = Atoms(structure.numbers, structure.positions, cell=structure.cell, pbc=structure.pbc)
    atoms.calc = interface.HermCalculator(potential, compiled=a.compile)
    thermalize_momenta(atoms, 300)
    dynamics = VelocityVerlet(atoms, 1.0 * ase.units.fs)
    dynamics.run(5)
    inside[0], start, before = 0.0, time.process_time(), resident_mib()
    dynamics.run(a.steps)
    total = time.process_time() - start
    print(
        f"{a.atoms} atoms, {a.steps} steps: {1e3 * total / a.steps:.1f} ms per step, "
        f"{100 * (1 - inside[0] / total):.1f} % of it outside the model; "
        f"resident memory {before:.0f} MiB before, {resident_mib():.0f} MiB after"
    )


if __name__ == "__main__":
    main()
