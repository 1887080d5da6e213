"""SchNetPack's PaiNN: 128 features, 3 layers, 20 Gaussians, its cosine cut-off.

PaiNN: Schuett, Unke and Gastegger, ICML 2021 (arXiv:2102.03150). SchNetPack itself runs eager; ``--compile`` is what the
same modules reach when energy and forces are compiled into one graph from outside, as hermtk does it.
"""
# pyright: reportMissingImports=false

import argparse
import importlib.metadata

import numpy as np
from ase import Atoms
from measure import Peer, joined, main
from workloads import CUTOFF, pairs

FEATURES, LAYERS, GAUSSIANS = 128, 3, 20


def load(frames: list[Atoms], job: str, chosen: argparse.Namespace) -> Peer:
    """The model and its prediction on the frames."""
    import schnetpack as spk
    import torch

    model = spk.model.NeuralNetworkPotential(
        representation=spk.representation.PaiNN(
            n_atom_basis=FEATURES,
            n_interactions=LAYERS,
            radial_basis=spk.nn.GaussianRBF(n_rbf=GAUSSIANS, cutoff=CUTOFF),
            cutoff_fn=spk.nn.CosineCutoff(CUTOFF),
        ),
        input_modules=[spk.atomistic.PairwiseDistances()],
        output_modules=[
            spk.atomistic.Atomwise(n_in=FEATURES, output_key="energy"),
            spk.atomistic.Forces(energy_key="energy", force_key="forces"),
        ],
    )
    center, neighbor, offset, frame = joined([pairs(atoms) for atoms in frames], frames)
    positions = torch.from_numpy(np.concatenate([atoms.positions for atoms in frames])).float()
    inputs = {
        spk.properties.Z: torch.from_numpy(np.concatenate([atoms.numbers for atoms in frames])),
        spk.properties.n_atoms: torch.tensor([len(atoms) for atoms in frames]),
        spk.properties.idx_m: torch.from_numpy(frame),
        spk.properties.idx_i: torch.from_numpy(center),
        spk.properties.idx_j: torch.from_numpy(neighbor),
        spk.properties.offsets: torch.from_numpy(offset).float(),
    }

    def predict() -> tuple:
        # the model writes into the dictionary it is given
        found = model({**inputs, spk.properties.R: positions.clone()})
        return found["energy"], found["forces"]

    def energy_and_forces(positions: torch.Tensor) -> tuple:
        values = {**inputs, spk.properties.R: positions}
        for module in (*model.input_modules, model.representation, model.output_modules[0]):
            values = module(values)
        energy = values["energy"]
        (slopes,) = torch.autograd.grad(energy.sum(), positions, create_graph=job == "training")
        return energy if job == "training" else energy.detach(), -slopes

    if chosen.compile:
        import torch._dynamo

        torch._dynamo.config.trace_autograd_ops = True
        # the number of frames is read from a tensor
        torch._dynamo.config.capture_scalar_outputs = True
        compiled = torch.compile(energy_and_forces, fullgraph=True, dynamic=True)

    name = f"painn {FEATURES}" + (" compiled" if chosen.compile else "")
    run = (lambda: compiled(positions.clone().requires_grad_())) if chosen.compile else predict
    return Peer(importlib.metadata.version("schnetpack"), name, model, run)


def options(parser: argparse.ArgumentParser) -> None:
    """What only this driver knows."""
    parser.add_argument("--compile", action="store_true", help="torch.compile energy and forces as one graph")


if __name__ == "__main__":
    main(__doc__ or "", "schnetpack", load, options)
