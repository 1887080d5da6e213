"""SchNetPack's PaiNN on rMD17 ethanol, as its experiment ``rmd17`` trains it: 128 features, 3 layers, its trainer and loss.

PaiNN: Schuett, Unke and Gastegger, ICML 2021 (arXiv:2102.03150). From ``spktrain experiment=rmd17`` come the network, the
units (kcal/mol), the loss (0.01 energy, 0.99 forces), AdamW and the weight average of 0.995; the learning rate follows
the clock instead of a plateau of 75 epochs.
"""
# pyright: reportMissingImports=false

import argparse
import importlib.metadata
import logging
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from ase import units
from budget import Annealing, Clock, Frames, Outcome, Split, cpu_seconds, main

CUTOFF, FEATURES, LAYERS, GAUSSIANS = 5.0, 128, 3, 20
_KCAL = units.kcal / units.mol
_TEST_BATCH = 100


def train(split: Split, clock: Clock, chosen: argparse.Namespace) -> Outcome:
    """SchNetPack's task in its trainer; the best model by its validation loss meets the test set."""
    warnings.simplefilter("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    import pytorch_lightning as lightning
    import schnetpack as spk
    import torch

    class Budget(Annealing, lightning.Callback):
        """Bound to SchNetPack's Lightning."""

    class Compiled(spk.AtomisticTask):
        """Its steps compiled as one graph; validation and test run as ever."""

        def forward(self, inputs: dict) -> dict:
            if not self.training:
                return self.model(inputs)
            energy, forces = step(self.model, {**inputs}, inputs[spk.properties.R].clone().requires_grad_())
            return {"energy": energy, "forces": forces}

    step = torch.compile(energy_and_forces, fullgraph=True, dynamic=True)
    torch._dynamo.config.trace_autograd_ops = True
    # the number of structures is read from a tensor
    torch._dynamo.config.capture_scalar_outputs = True
    task = (Compiled if chosen.compile else spk.AtomisticTask)(
        model=painn(),
        outputs=[
            spk.task.ModelOutput("energy", torch.nn.MSELoss(), loss_weight=0.01, metrics={}),
            spk.task.ModelOutput("forces", torch.nn.MSELoss(), loss_weight=0.99, metrics={}),
        ],
        optimizer_cls=torch.optim.AdamW,
        optimizer_args={"lr": chosen.lr, "weight_decay": 0.0, "fused": True},
    )
    loader = spk.data.AtomsLoader(samples(split.train), batch_size=chosen.batch, shuffle=True, drop_last=True)
    valid = spk.data.AtomsLoader(samples(split.valid), batch_size=len(split.valid))
    with tempfile.TemporaryDirectory() as folder:
        best = Path(folder) / "best"
        kept = spk.train.ModelCheckpoint(str(best), dirpath=folder, monitor="val_loss", filename="{epoch}")
        trainer = lightning.Trainer(
            accelerator="cpu",
            max_epochs=-1,
            inference_mode=False,
            num_sanity_val_steps=0,
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[spk.train.ExponentialMovingAverage(decay=0.995), kept, Budget(clock, chosen.lr)],
        )
        trainer.fit(task, loader, valid)
        training = cpu_seconds()
        model = torch.load(best, weights_only=False)
        best_epoch = int(Path(kept.best_model_path).stem.partition("=")[2])
    energy, forces = [], []
    for batch in spk.data.AtomsLoader(samples(split.test), batch_size=_TEST_BATCH):
        found = model(batch)
        energy.append(found["energy"].detach().double().numpy() * _KCAL)
        forces.append(
            found["forces"].detach().double().numpy().reshape(-1, len(split.test.numbers), 3) * _KCAL
        )
    return Outcome(
        importlib.metadata.version("schnetpack"),
        f"painn {FEATURES}x{LAYERS}" + (" compiled" if chosen.compile else ""),
        sum(p.numel() for p in task.parameters()),
        trainer.global_step,
        trainer.current_epoch,
        best_epoch,
        training,
        np.concatenate(energy),
        np.concatenate(forces),
        {"lr": chosen.lr, "batch": chosen.batch},
    )


def energy_and_forces(model: Any, values: dict, positions: Any) -> tuple[Any, Any]:
    """What the model's forward does in training, with nothing in it that a compiler cannot follow."""
    import torch

    values["_positions"] = positions
    for module in (*model.input_modules, model.representation, model.output_modules[0]):
        values = module(values)
    (slopes,) = torch.autograd.grad(values["energy"].sum(), positions, create_graph=True)
    return values["energy"], -slopes


def painn() -> Any:
    """The network of the experiment; it learns energies less their mean, so nothing is added after it."""
    import schnetpack as spk

    return spk.model.NeuralNetworkPotential(
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


def samples(frames: Frames) -> list[dict]:
    """What the transforms of the experiment make of each structure, once for all: labels in kcal/mol, neighbours, float32."""
    import schnetpack as spk
    import torch

    transforms = [spk.transform.MatScipyNeighborList(cutoff=CUTOFF), spk.transform.CastTo32()]
    made = []
    for place, atoms in enumerate(frames.atoms()):
        sample = {
            spk.properties.idx: torch.tensor([place]),
            spk.properties.n_atoms: torch.tensor([len(atoms)]),
            spk.properties.Z: torch.from_numpy(atoms.numbers),
            spk.properties.R: torch.from_numpy(atoms.positions),
            spk.properties.cell: torch.zeros(1, 3, 3, dtype=torch.float64),
            spk.properties.pbc: torch.zeros(3, dtype=torch.bool),
            "energy": torch.tensor([frames.energy[place] / _KCAL]),
            "forces": torch.from_numpy(frames.forces[place] / _KCAL),
        }
        for transform in transforms:
            sample = transform(sample)
        made.append(sample)
    return made


def options(parser: argparse.ArgumentParser) -> None:
    """What only this driver knows."""
    parser.add_argument("--lr", type=float, default=1e-3, help="the highest learning rate")
    parser.add_argument("--batch", type=int, default=10)
    parser.add_argument("--compile", action="store_true", help="torch.compile energy and forces as one graph")


if __name__ == "__main__":
    main(__doc__ or "", "schnetpack", train, options)
