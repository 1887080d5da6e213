"""MACE on rMD17 ethanol: mace_run_train's own set-up and training step in a loop that knows the clock.

Batatia et al., NeurIPS 2022 (arXiv:2206.07697): two layers, products of correlation 3, batches of 5, AMSGrad at 0.01, weight
average 0.99, much more weight on forces than on energies, then a second stage with more on energies. The learning rate
follows the clock instead of a plateau of 50 epochs.
"""
# pyright: reportMissingImports=false

import argparse
import contextlib
import importlib.metadata
import sys
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.io import write
from budget import Clock, Frames, Outcome, Split, cpu_seconds, main, tell

CUTOFF = 5.0
_TEST_BATCH = 100


@dataclass
class Best:
    """The weights of the best validation so far, as averaged."""

    model: Any = None
    loss: float = float("inf")
    epoch: int = -1
    state: dict | None = None
    steps: int = 0
    epochs: int = 0
    training: float = 0.0


def train(split: Split, clock: Clock, chosen: argparse.Namespace) -> Outcome:
    """What the command sets up, trained within the budget; the averaged weights of the best epoch meet the test set."""
    warnings.simplefilter("ignore")
    import torch
    from mace import data, tools
    from mace.cli import run_train
    from mace.tools import torch_geometric

    best = Best()
    tools.train = lambda **given: loop(best, clock, chosen, **given)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        for name, part in (("train", split.train), ("valid", split.valid)):
            write(Path(folder) / f"{name}.xyz", labelled(part), format="extxyz")
        arguments = tools.build_default_arg_parser().parse_args(command(Path(folder), chosen))
        with contextlib.suppress(Trained):
            run_train.run(arguments)
    model = best.model
    model.load_state_dict(best.state)
    table = tools.AtomicNumberTable([int(z) for z in np.unique(split.test.numbers)])
    test = [
        data.AtomicData.from_config(data.config_from_atoms(atoms), z_table=table, cutoff=CUTOFF)
        for atoms in split.test.atoms()
    ]
    energy, forces = [], []
    for batch in torch_geometric.dataloader.DataLoader(test, batch_size=_TEST_BATCH, shuffle=False):
        found = model(batch.to_dict(), training=False)
        energy.append(found["energy"].detach().double().numpy())
        forces.append(found["forces"].detach().double().numpy())
    torch.set_default_dtype(torch.float32)
    return Outcome(
        importlib.metadata.version("mace-torch"),
        f"mace {chosen.irreps} ell{chosen.max_ell}",
        sum(p.numel() for p in model.parameters()),
        best.steps,
        best.epochs,
        best.epoch,
        best.training,
        np.concatenate(energy),
        np.concatenate(forces).reshape(split.test.forces.shape),
        {name: getattr(chosen, name) for name in ("lr", "batch", "stage_two", "forces_weight")},
    )


class Trained(Exception):
    """Leaves mace_run_train after training: what it would do next is saving, exporting and tables."""


def loop(best: Best, clock: Clock, chosen: argparse.Namespace, **given: Any) -> None:
    """In place of ``mace.tools.train``, with what it is given: its epoch and its validation, but the clock's schedule."""
    from mace.tools.train import evaluate, train_one_epoch

    model, ema, swa, loss = given["model"], given["ema"], given["swa"], given["loss_fn"]
    (valid,) = given["valid_loaders"].values()
    shared = {"output_args": given["output_args"], "device": given["device"]}
    best.model = model
    clock.start()
    second = False
    while not clock.over:
        if swa is not None and not second and clock.progress >= chosen.stage_two:
            # as MACE does: the second stage has another loss and starts its own search for the best
            second, loss, best.loss = True, swa.loss_fn, float("inf")
        train_one_epoch(
            model=model,
            loss_fn=loss,
            data_loader=Timed(given["train_loader"], clock, given["optimizer"], chosen.lr, best),
            optimizer=given["optimizer"],
            epoch=best.epochs,
            max_grad_norm=given["max_grad_norm"],
            ema=ema,
            logger=Silent(),
            distributed=False,
            **shared,
        )
        with ema.average_parameters():
            found, metrics = evaluate(model=model, loss_fn=loss, data_loader=valid, **shared)
            if found < best.loss:
                best.loss, best.epoch = float(found), best.epochs
                best.state = {name: value.clone() for name, value in model.state_dict().items()}
        tell(clock, best.epochs, {"loss": float(found), "mae_f": metrics["mae_f"], "mae_e": metrics["mae_e"]})
        best.epochs += 1
    best.training = cpu_seconds()
    raise Trained


@dataclass
class Timed:
    """Batches until the epoch or the budget ends; the learning rate is set before each of them."""

    batches: Any
    clock: Clock
    optimizer: Any
    rate: float
    best: Best

    def __iter__(self) -> Iterator[Any]:
        """The batches."""
        for batch in self.batches:
            if self.clock.over:
                return
            for group in self.optimizer.param_groups:
                group["lr"] = self.rate * self.clock.annealed()
            yield batch
            self.best.steps += 1


class Silent:
    """In place of the file that MACE writes a line to at each step."""

    def log(self, _: dict) -> None:
        """Nothing."""


def command(folder: Path, chosen: argparse.Namespace) -> list[str]:
    """The arguments of mace_run_train."""
    given = {
        "name": "ethanol",
        "work_dir": folder,
        "train_file": folder / "train.xyz",
        "valid_file": folder / "valid.xyz",
        "energy_key": "REF_energy",
        "forces_key": "REF_forces",
        "E0s": "average",
        "model": chosen.model,
        "hidden_irreps": chosen.irreps,
        "num_interactions": 2,
        "max_ell": chosen.max_ell,
        "correlation": chosen.correlation,
        "r_max": CUTOFF,
        "batch_size": chosen.batch,
        "valid_batch_size": 50,
        "lr": chosen.lr,
        "ema_decay": chosen.ema,
        "energy_weight": 1.0,
        "forces_weight": chosen.forces_weight,
        "swa_energy_weight": 1000.0,
        "swa_forces_weight": 100.0,
        "max_num_epochs": 1000,
        "start_swa": 750,
        "default_dtype": "float32",
        "device": "cpu",
        "seed": chosen.seed,
        "num_workers": 0,
        "log_level": "ERROR",
    }
    flags = ["--ema", "--amsgrad"] + (["--swa"] if chosen.stage_two < 1 else [])
    return [f"--{name}={value}" for name, value in given.items()] + flags


def labelled(frames: Frames) -> list[Atoms]:
    """With the labels under the names that MACE reads."""
    made = []
    for atoms in frames.atoms():
        atoms.info["REF_energy"], atoms.arrays["REF_forces"] = (
            atoms.get_potential_energy(),
            atoms.get_forces(),
        )
        atoms.calc = None
        made.append(atoms)
    return made


def options(parser: argparse.ArgumentParser) -> None:
    """What only this driver knows."""
    parser.add_argument("--model", default="ScaleShiftMACE", help="or MACE")
    parser.add_argument("--irreps", default="64x0e+64x1o", help="features of an atom")
    parser.add_argument("--max-ell", type=int, default=2, help="highest order of the spherical harmonics")
    parser.add_argument("--correlation", type=int, default=3, help="order of the products")
    parser.add_argument("--lr", type=float, default=0.01, help="the highest learning rate")
    parser.add_argument("--batch", type=int, default=5)
    parser.add_argument("--ema", type=float, default=0.99, help="decay of the weight average")
    parser.add_argument("--forces-weight", type=float, default=100.0, help="energies weigh 1")
    parser.add_argument(
        "--stage-two", type=float, default=0.75, help="the part of the budget after which it starts"
    )


if __name__ == "__main__":
    main(__doc__ or "", "mace", train, options)
