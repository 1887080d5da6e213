"""Time and memory per atom of hvnet's energy and forces as a five-element alloy grows.

    python tests/benchmarks/scaling.py [--atoms 864 10976 97556] [--channels 128] [--layers 4]

Sizes run one after the other in processes of their own; three evaluations each, the last one counts: the first two ask the
system for the memory that the third finds.
"""

import argparse
import json
import resource
import subprocess
import sys

from hermtk_cli.process import prepare_process


def one(atoms: int, channels: int, layers: int) -> None:
    """Measure one size and print it as JSON."""
    prepare_process()
    import torch

    from hermtk.benchmark.measure import clocks
    from hermtk.benchmark.systems import alloy, structures
    from hermtk.graph.build import build_graph
    from hermtk.models.build import build_model
    from hermtk.models.config import ModelConfig
    from hermtk.physics.derivatives import predict

    torch.set_num_threads(1)
    torch.manual_seed(0)
    system = alloy(atoms, 5)
    config = ModelConfig(variant="hvnet", channels=channels, layers=layers)
    potential = build_model(config, system.elements, mean_neighbors=43.0).requires_grad_(False)
    graph = build_graph(structures(system), potential.cutoff).to("cpu")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    read, seconds = clocks(), []
    for _ in range(3):
        start = read().cpu
        predict(potential, graph)
        seconds.append(read().cpu - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = {
        "atoms": atoms,
        "edges": graph.n_edges,
        "us_per_atom": 1e6 * seconds[-1] / atoms,
        "kib_per_atom": (peak - before) / atoms,
        "peak_mib": peak / 1024,
    }
    print(json.dumps(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--atoms", type=int, nargs="+", default=[864, 10976, 97556])
    parser.add_argument("--channels", type=int, default=128)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    a = parser.parse_args()
    if a.one:
        return one(a.atoms[0], a.channels, a.layers)
    print("| atoms | edges | us per atom | KiB per atom | peak, MiB |\n|---|---|---|---|---|")
    for atoms in a.atoms:
        options = ["--one", "--atoms", atoms, "--channels", a.channels, "--layers", a.layers]
        command = [sys.executable, __file__, *map(str, options)]
        f = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        print(
            f"| {f['atoms']} | {f['edges']} | {f['us_per_atom']:.0f} | {f['kib_per_atom']:.0f} | {f['peak_mib']:.0f} |",
            flush=True,
        )
    return None


if __name__ == "__main__":
    main()
