"""hermtk's own models on the same work.

The peer of SchNetPack's PaiNN, layer by layer:

    python hermtk_model.py alloy256 --variant homogeneous --channels 128 --layers 3 --set basis=gaussian --set n_basis=20
        --set envelope=cosine --set 'subnet_options={"projection": false, "normalize": false}'

The edges by relation depend on elements and neighbour list only; like the list they are there before the clock runs.
"""

import argparse
import json
from typing import Any

import numpy as np
from ase import Atoms
from measure import Peer, main
from workloads import CUTOFF


def load(frames: list[Atoms], job: str, chosen: argparse.Namespace) -> Peer:
    """The model and its prediction on the frames."""
    import torch

    import hermtk
    from hermtk.data.structure import Structure
    from hermtk.models.build import build_model
    from hermtk.models.config import ModelConfig
    from hermtk.training.data.batches import join, mean_neighbors, prepare

    structures = [Structure(a.numbers, a.positions, a.cell.array, a.pbc) for a in frames]
    items = prepare(structures, CUTOFF)
    elements = tuple(int(z) for z in np.unique(np.concatenate([a.numbers for a in frames])))
    config = ModelConfig(
        subnet=chosen.subnet,
        variant=chosen.variant,
        channels=chosen.channels,
        layers=chosen.layers,
        cutoff=CUTOFF,
        **dict(chosen.set),
    )
    potential = build_model(config, elements, mean_neighbors=mean_neighbors(items))
    batch = join(potential, items)
    if job == "training":
        predict = _training(potential, batch, chosen.compile)
    else:
        predict = _compiled(potential, batch) if chosen.compile else _eager(potential, batch)
    name = f"{chosen.subnet} {chosen.variant} {chosen.channels}x{chosen.layers}"
    note = {"set": dict(chosen.set), "edges": batch.graph.n_edges, "threads": torch.get_num_threads()}
    return Peer(hermtk.__version__, name + (" compiled" if chosen.compile else ""), potential, predict, note)


def _training(potential: Any, batch: Any, compiled: bool) -> Any:
    from hermtk.training.step import make_step

    step = make_step(potential, forces=True, stress=False, compiled=compiled, note=_refuse)

    def predict() -> tuple:
        found = step(batch)
        return found.energy, found.forces

    return predict


def _eager(potential: Any, batch: Any) -> Any:
    from hermtk.physics.derivatives import predict as run

    def predict() -> tuple:
        found = run(potential, batch.graph, batch.union)
        return found.energy, found.forces

    return predict


def _compiled(potential: Any, batch: Any) -> Any:
    """As ``CompiledPotential``, the edges by relation being there already."""
    from hermtk.graph.graph import edge_vectors
    from hermtk.physics.compiled import compiled, make_kernel
    from hermtk.physics.derivatives import prediction

    graph = batch.graph
    kernel = compiled(make_kernel(potential, True, False), _refuse, training=False)

    def predict() -> tuple:
        vectors = edge_vectors(graph).to(potential.dtype).requires_grad_()
        energies, slopes = kernel(graph, batch.union, vectors)
        found = prediction(graph, energies, slopes, vectors.detach(), forces=True, stress=False)
        return found.energy, found.forces

    return predict


def _refuse(message: str) -> None:
    raise RuntimeError(message)


def _setting(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


def options(parser: argparse.ArgumentParser) -> None:
    """What only this driver knows."""
    parser.add_argument("--subnet", default="painn")
    parser.add_argument("--variant", default="hvnet")
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument(
        "--compile", action="store_true", help="energy and first derivatives as one compiled graph"
    )
    parser.add_argument(
        "--set",
        type=_setting,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="another field of the model",
    )


if __name__ == "__main__":
    main(__doc__ or "", "hermtk", load, options)
