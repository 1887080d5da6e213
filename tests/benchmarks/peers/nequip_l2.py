"""NequIP with l up to 2: 4 layers, 32 features of each parity, 8 Bessel functions, radial networks of 2 x 64; eager.

With ``--single`` 32 features of each order instead of 32 of each order and parity: as many as hermtk's ``unite`` has.

Batzner et al., Nature Communications 13, 2453 (2022). Its output module always derives the stress along with the forces.
"""
# pyright: reportMissingImports=false

import argparse
import importlib.metadata
import warnings
from collections.abc import Callable

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from measure import Peer, main
from workloads import CUTOFF, pairs


def load(frames: list[Atoms], job: str, chosen: argparse.Namespace) -> Peer:
    """The model and its prediction on the frames."""
    from nequip.data import AtomicDataDict, from_dict
    from nequip.model import NequIPGNNModel
    from nequip.utils.global_state import set_global_state

    set_global_state()
    numbers = np.unique(np.concatenate([atoms.numbers for atoms in frames]))
    lists = [pairs(atoms) for atoms in frames]
    atoms_in_all = sum(len(atoms) for atoms in frames)
    with warnings.catch_warnings():
        # it advises a scale and shifts from data, and there are none
        warnings.simplefilter("ignore")
        model = NequIPGNNModel(
            seed=1,
            model_dtype="float32",
            type_names=[chemical_symbols[z] for z in numbers],
            r_max=CUTOFF,
            num_layers=4,
            l_max=2,
            parity=not chosen.single,
            num_features=32,
            radial_mlp_depth=2,
            radial_mlp_width=64,
            num_bessels=8,
            avg_num_neighbors=sum(len(found[0]) for found in lists) / atoms_in_all,
        )
    batch = AtomicDataDict.batched_from_list(
        [_data(from_dict, atoms, found, numbers) for atoms, found in zip(frames, lists, strict=True)]
    )

    def predict() -> tuple:
        found = model({**batch, AtomicDataDict.POSITIONS_KEY: batch[AtomicDataDict.POSITIONS_KEY].clone()})
        return found[AtomicDataDict.TOTAL_ENERGY_KEY].squeeze(-1), found[AtomicDataDict.FORCE_KEY]

    return Peer(
        importlib.metadata.version("nequip"),
        "nequip l2" + (" single" if chosen.single else ""),
        model,
        predict,
    )


def _data(from_dict: Callable, atoms: Atoms, found: tuple[np.ndarray, ...], numbers: np.ndarray) -> dict:
    center, neighbor, shift = found
    data = {
        "pos": atoms.positions,
        "pbc": [bool(way) for way in atoms.pbc],
        "atom_types": np.searchsorted(numbers, atoms.numbers),
        "edge_index": np.stack([center, neighbor]),
    }
    periodic = {"cell": atoms.cell.array, "edge_cell_shift": shift.astype(float)}
    return from_dict({**data, **periodic} if atoms.pbc.any() else data)


def options(parser: argparse.ArgumentParser) -> None:
    """What only this driver knows."""
    parser.add_argument("--single", action="store_true", help="one parity for each order")


if __name__ == "__main__":
    main(__doc__ or "", "nequip", load, options)
