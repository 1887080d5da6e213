"""NequIP on rMD17 ethanol: its Lightning module with weight average, its loss, 4 layers, 32 features, l up to 2.

Batzner et al., Nature Communications 13, 2453 (2022); the settings of its tutorial and of that paper's MD17 runs: batches of 5,
Adam at 0.005 to 0.01, weight average, energy per atom and force components. The learning rate follows the clock instead of
a plateau.
"""
# pyright: reportMissingImports=false

import argparse
import importlib.metadata
import logging
import tempfile
import warnings
from typing import Any

import numpy as np
from ase.data import chemical_symbols
from budget import Annealing, Clock, Frames, Outcome, Split, cpu_seconds, main

CUTOFF = 5.0
_MONITORED = "val0_epoch/weighted_sum"
_TEST_BATCH = 100


def train(split: Split, clock: Clock, chosen: argparse.Namespace) -> Outcome:
    """NequIP's module in a Lightning trainer; the average of the best epoch by its validation metric meets the test set."""
    warnings.simplefilter("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    import lightning
    import torch
    from lightning.pytorch.callbacks import ModelCheckpoint
    from nequip.data import AtomicDataDict
    from nequip.train import EMALightningModule
    from nequip.utils.global_state import set_global_state

    class Budget(Annealing, lightning.Callback):
        """Bound to NequIP's Lightning."""

    set_global_state()
    symbols = [chemical_symbols[z] for z in np.unique(split.train.numbers)]
    parts: list[Any] = [samples(part, symbols) for part in (split.train, split.valid, split.test)]

    def loader(part: int, size: int, **more: Any) -> Any:
        collate = AtomicDataDict.batched_from_list
        return torch.utils.data.DataLoader(parts[part], batch_size=size, collate_fn=collate, **more)

    module = EMALightningModule(
        ema_decay=chosen.ema,
        model=network(split.train, parts[0], symbols, chosen),
        num_datasets={"train": 1, "val": 1, "test": 0, "predict": 0},
        optimizer={"_target_": "torch.optim.Adam", "lr": chosen.lr, "fused": True},
        loss={
            "_target_": "nequip.train.EnergyForceLoss",
            "per_atom_energy": True,
            "coeffs": {"total_energy": chosen.energy_weight, "forces": 1.0},
        },
        val_metrics={
            "_target_": "nequip.train.EnergyForceMetrics",
            "coeffs": {"per_atom_energy_mae": 1.0, "forces_mae": 1.0},
        },
    )
    with tempfile.TemporaryDirectory() as folder:
        kept = ModelCheckpoint(monitor=_MONITORED, dirpath=folder, filename="best")
        trainer = lightning.Trainer(
            accelerator="cpu",
            max_epochs=-1,
            inference_mode=False,
            num_sanity_val_steps=0,
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[kept, Budget(clock, chosen.lr)],
        )
        trainer.fit(
            module, loader(0, chosen.batch, shuffle=True, drop_last=True), loader(1, len(split.valid))
        )
        training = cpu_seconds()
        state = torch.load(kept.best_model_path, weights_only=False)
    module.load_state_dict(state["state_dict"])
    model = module.evaluation_model["sole_model"].eval()
    energy, forces = [], []
    for batch in loader(2, _TEST_BATCH):
        found = model(batch)
        energy.append(found[AtomicDataDict.TOTAL_ENERGY_KEY].detach().double().numpy().reshape(-1))
        forces.append(found[AtomicDataDict.FORCE_KEY].detach().double().numpy())
    return Outcome(
        importlib.metadata.version("nequip"),
        f"nequip l{chosen.l_max} {chosen.features}x{chosen.layers}"
        + (" both parities" if chosen.parity else "")
        + (" compiled" if chosen.compile else ""),
        sum(p.numel() for p in module.model.parameters()),
        trainer.global_step,
        trainer.current_epoch,
        state["epoch"],
        training,
        np.concatenate(energy),
        np.concatenate(forces).reshape(split.test.forces.shape),
        {"lr": chosen.lr, "batch": chosen.batch, "ema": chosen.ema, "energy_weight": chosen.energy_weight},
    )


def network(
    frames: Frames, found: list[dict], symbols: list[str], chosen: argparse.Namespace
) -> dict[str, Any]:
    """The model with the statistics of the training structures in it; energies less their mean need no shift."""
    rms = {
        symbol: float(
            np.sqrt(np.square(frames.forces[:, frames.numbers == chemical_symbols.index(symbol)]).mean())
        )
        for symbol in symbols
    }
    neighbors = np.mean([one["edge_index"].shape[1] / len(frames.numbers) for one in found])
    return {
        "_target_": "nequip.model.NequIPGNNModel",
        "compile_mode": "compile" if chosen.compile else "eager",
        "seed": chosen.seed,
        "model_dtype": "float32",
        "type_names": symbols,
        "r_max": CUTOFF,
        "num_layers": chosen.layers,
        "l_max": chosen.l_max,
        "parity": chosen.parity,
        "num_features": chosen.features,
        "radial_mlp_depth": 2,
        "radial_mlp_width": 64,
        "num_bessels": 8,
        "avg_num_neighbors": float(neighbors),
        "per_type_energy_scales": rms,
        "per_type_energy_shifts": dict.fromkeys(symbols, 0.0),
    }


def samples(frames: Frames, symbols: list[str]) -> list[dict]:
    """NequIP's data of each structure with its neighbour list, once for all."""
    from nequip.data.ase import from_ase
    from nequip.data.transforms import ChemicalSpeciesToAtomTypeMapper, NeighborListTransform

    types, neighbors = ChemicalSpeciesToAtomTypeMapper(symbols), NeighborListTransform(r_max=CUTOFF)
    return [neighbors(types(from_ase(atoms))) for atoms in frames.atoms()]


def options(parser: argparse.ArgumentParser) -> None:
    """What only this driver knows."""
    parser.add_argument("--l-max", type=int, default=2)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--features", type=int, default=32)
    parser.add_argument(
        "--parity", action="store_true", help="features of both parities, not of the natural one only"
    )
    parser.add_argument("--lr", type=float, default=0.01, help="the highest learning rate")
    parser.add_argument("--batch", type=int, default=5)
    parser.add_argument("--ema", type=float, default=0.99, help="decay of the weight average")
    parser.add_argument("--energy-weight", type=float, default=1.0)
    parser.add_argument("--compile", action="store_true", help="NequIP's compile_mode for training")


if __name__ == "__main__":
    main(__doc__ or "", "nequip", train, options)
