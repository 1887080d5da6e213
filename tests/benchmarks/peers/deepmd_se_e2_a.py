"""DeePMD-kit's se_e2_a, PyTorch backend: embedding 25-50-100, 16 axis neurons, fitting net 3 x 240, one-sided types.

Zhang et al., NeurIPS 2018 (arXiv:1805.09003); the sizes are those of DeePMD-kit's own water example. The number of
neighbours kept per element follows its "auto:1.1" rule. The neighbour list is made before the clock runs, through
``forward_common_lower``; sorting it by element is part of every call, as it is in DeePMD-kit.
"""
# pyright: reportMissingImports=false

import argparse
import importlib.metadata
import os

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from measure import Peer, main
from workloads import CUTOFF, pairs

EMBEDDING, AXIS, FITTING = [25, 50, 100], 16, [240, 240, 240]


def load(frames: list[Atoms], job: str, chosen: argparse.Namespace) -> Peer:
    """The model and its prediction on the frames."""
    os.environ["DP_INTRA_OP_PARALLELISM_THREADS"] = os.environ["DP_INTER_OP_PARALLELISM_THREADS"] = "1"
    import torch
    from deepmd.pt.model.model import get_model
    from deepmd.pt.model.model.transform_output import communicate_extended_output
    from deepmd.pt.utils.nlist import extend_input_and_build_neighbor_list

    numbers = np.unique(np.concatenate([atoms.numbers for atoms in frames]))
    kept = most_neighbors(frames, numbers)
    description = {
        "type_map": [chemical_symbols[z] for z in numbers],
        "descriptor": {
            "type": "se_e2_a",
            "rcut": CUTOFF,
            "rcut_smth": 0.5,
            "sel": kept,
            "neuron": EMBEDDING,
            "axis_neuron": AXIS,
            "type_one_side": True,
            "precision": "float32",
            "seed": 1,
        },
        "fitting_net": {"neuron": FITTING, "resnet_dt": True, "precision": "float32", "seed": 1},
    }
    model = get_model(description)
    positions = torch.from_numpy(np.stack([atoms.positions for atoms in frames]))
    types = torch.from_numpy(np.searchsorted(numbers, np.stack([atoms.numbers for atoms in frames])))
    boxes = torch.from_numpy(np.stack([atoms.cell.array.ravel() for atoms in frames]))
    extended, extended_types, mapping, neighbors = extend_input_and_build_neighbor_list(
        positions, types, CUTOFF, kept, mixed_types=True, box=boxes if frames[0].pbc.any() else None
    )

    def predict() -> tuple:
        lower = model.forward_common_lower(extended.clone(), extended_types, neighbors, mapping)
        found = communicate_extended_output(lower, model.model_output_def(), mapping, do_atomic_virial=False)
        return found["energy_redu"].squeeze(-1), found["energy_derv_r"].reshape(-1, 3)

    return Peer(
        importlib.metadata.version("deepmd-kit"), "se_e2_a", model, predict, {"neighbors_kept": sum(kept)}
    )


def most_neighbors(frames: list[Atoms], numbers: np.ndarray) -> list[int]:
    """Per element, 1.1 times the most neighbours an atom has of it, rounded up to a multiple of four ("auto:1.1")."""
    most = np.zeros(len(numbers), dtype=int)
    for atoms in frames:
        center, neighbor, _ = pairs(atoms)
        for k, number in enumerate(numbers):
            counts = np.bincount(center[atoms.numbers[neighbor] == number], minlength=len(atoms))
            most[k] = max(most[k], counts.max())
    return [4 * max(1, (int(1.1 * count) + 3) // 4) for count in most]


if __name__ == "__main__":
    main(__doc__ or "", "deepmd-kit", load, lambda _: None)
