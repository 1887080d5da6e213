"""A training run in its folder: config.yaml, run.json, metrics.csv, checkpoint.pt, model.pt."""

import json
import os
import platform
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase.data import chemical_symbols

from hermtk import __version__
from hermtk.audit.coverage import Coverage
from hermtk.data.targets import ENERGY, Target
from hermtk.errors import RunError
from hermtk.files import write_text
from hermtk.kernels.library import compiler_missing
from hermtk.models.build import build_for, readout_of
from hermtk.models.files import model_needs, save_model
from hermtk.models.layers import any_type_blind, override_options
from hermtk.models.model import Model
from hermtk.models.potential import Potential
from hermtk.models.property import Property
from hermtk.physics.derivatives import Prediction, predict
from hermtk.training.batches import Batch, Batches, sizes_of, together
from hermtk.training.checkpoint import Progress, check_checkpoint
from hermtk.training.config import RunConfig, dump_config, make_config, read_config
from hermtk.training.loop import Listener, Trainer
from hermtk.training.loss import Loss
from hermtk.training.order import Budget, Order
from hermtk.training.prepare import Prepared, prepare_run
from hermtk.training.step import Step, make_step, property_step

# Steps from which compiling pays on a CPU: it costs one to three minutes once and then halves every step
_COMPILE_PAYS = 20_000
# Steps of a run that does not say: the embedded set ends within ten minutes on two cores
_STEPS = 30_000
_BUILTIN_STEPS = 2_000
_CHUNK = 32


@dataclass
class Run:
    """A run ready to be trained, fresh or resumed."""

    folder: Path
    config: RunConfig
    data: Prepared
    potential: Potential | Property
    trainer: Trainer
    facts: dict[str, Any]

    @property
    def model_path(self) -> Path:
        """Where the best model is kept."""
        return self.folder / "model.pt"

    def train(self) -> Progress:
        """Train, then leave the best averaged weights in the model and in model.pt."""
        progress = self.trainer.run()
        _copy(progress, self.potential)
        return progress

    def keep(self, progress: Progress) -> None:
        """Write model.pt with the best averaged weights."""
        shadow = build_for(
            self.data.target,
            self.config.model,
            self.data.elements,
            reference=self.data.reference,
            scale=self.data.scale,
            mean_neighbors=self.data.mean_neighbors,
        )
        _copy(progress, shadow)
        facts = {**self.facts, "training": {"step": progress.best_step, "validation_loss": progress.best}}
        save_model(self.model_path, shadow, self.config.model, facts)


def new_run(config: RunConfig, folder: Path, listener: Listener) -> Run:
    """Read the data, make the model, write what the run will need to be resumed.

    Raises:
        RunError: the folder holds a run already or cannot be written.
        HermtkError: the configuration or the data cannot be used.
    """
    if folder.is_file() or (folder.exists() and any(folder.iterdir())):
        raise RunError(
            f"{folder} is not empty: choose another --out, or go on with `hermtk train --resume {folder}`"
        )
    data = prepare_run(config)
    if config.training.compile and data.target != ENERGY:
        listener.note(f"models of {data.target.name} are not compiled; it goes on without")
    config = resolved(config, data)
    run = _assemble(config, folder, data, listener)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise RunError(f"the folder {folder} could not be made: {problem.strerror}") from None
    write_text(folder / "config.yaml", dump_config(config))
    write_text(folder / "run.json", json.dumps(run.facts, indent=1))
    return run


def resume_run(folder: Path, listener: Listener) -> Run:
    """Make a run again from its folder and go to its last checkpoint.

    Raises:
        RunError: no run there, no checkpoint yet, a plugin is missing, or the data have changed since.

    Warns:
        PluginChanged: a plugin is not the one that wrote the checkpoint.
    """
    if not (folder / "config.yaml").is_file():
        raise RunError(f"{folder} holds no run (there is no config.yaml in it)")
    check_checkpoint(folder / "checkpoint.pt")
    config = make_config(read_config(folder / "config.yaml"))
    data = prepare_run(config)
    facts = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    for name, digest in data.digests.items():
        if facts["data"]["sha256"].get(name) != digest:
            raise RunError(f"{name} has changed since the run began: it cannot be resumed exactly")
    run = _assemble(config, folder, data, listener)
    run.facts = facts
    run.trainer.resume()
    return run


def resolved(config: RunConfig, data: Prepared) -> RunConfig:
    """The configuration with every choice made that was left open, so that the file alone reproduces the run."""
    stress = config.training.loss.stress
    if data.target == ENERGY:
        chosen = {"stress": float(data.stress) if stress is None else stress}
    else:
        # forces and stress are derivatives of the energy alone
        chosen = {"forces": 0.0, "stress": 0.0}
    loss = config.training.loss.model_copy(update=chosen)
    budget = Budget.of(config.training.batch_size, config.training.batch_atoms, config.training.batch_edges)
    steps = config.training.steps or (_BUILTIN_STEPS if config.data.train == "builtin" else _STEPS)
    if config.training.epochs:
        steps = Order(*sizes_of(data.items), budget, config.seed).steps(config.training.epochs)
    compiled = config.training.compile
    if data.target != ENERGY:
        compiled = False
    elif compiled is None:
        possible = not (any_type_blind(config.model) or compiler_missing())
        compiled = steps >= _COMPILE_PAYS and possible
    training = config.training.model_copy(
        update={
            "loss": loss,
            "compile": compiled,
            "steps": steps,
            "epochs": None,
            "batch_size": budget.structures,
        }
    )
    model = build_options(config, data.target)
    return config.model_copy(
        update={
            "training": training,
            "model": model,
            "threads": config.threads or torch.get_num_threads(),
        }
    )


def build_options(config: RunConfig, target: Target = ENERGY) -> Any:
    """The model's configuration with the defaults of its components written out."""
    from hermtk import registry
    from hermtk.models.variants import variant

    chosen, model = variant(config.model.variant), config.model
    readout = readout_of(model, target)
    return model.model_copy(
        update={
            "subnet_options": registry.checked_options("subnet", model.subnet, model.subnet_options),
            "override_options": override_options(model),
            "relation_options": registry.checked_options(
                "relation", chosen.relation, {**chosen.options, **model.relation_options}
            ),
            "readout": readout,
            "readout_options": registry.checked_options("readout", readout, model.readout_options),
        }
    )


def _assemble(config: RunConfig, folder: Path, data: Prepared, listener: Listener) -> Run:
    torch.manual_seed(config.seed)
    torch.set_num_threads(config.threads or torch.get_num_threads())
    device = _device(config.device)
    potential = build_for(
        data.target,
        config.model,
        data.elements,
        reference=data.reference,
        scale=data.scale,
        mean_neighbors=data.mean_neighbors,
    ).to(device)
    training = config.training
    step, evaluate = _steps(config, potential, listener)
    budget = Budget.of(training.batch_size, training.batch_atoms, training.batch_edges)
    chunk = 1 if potential.network.readout.whole else _CHUNK
    trainer = Trainer(
        potential,
        Batches(potential, data.items, budget, config.seed, training.workers),
        Batches(
            potential, data.validation_items, replace(budget, structures=chunk), config.seed, training.workers
        ),
        step,
        evaluate,
        Loss(training.loss, training.loss.stress or 0.0, data.target, data.spread),
        training,
        folder,
        lambda progress: None,
        listener,
        model_needs(config.model),
        data.target,
    )
    run = Run(folder, config, data, potential, trainer, _facts(config, data, potential))
    trainer.keep = run.keep
    return run


def _steps(config: RunConfig, model: Potential | Property, listener: Listener) -> tuple[Step, Step]:
    """Predictions to learn from, and predictions to measure."""
    training = config.training
    if isinstance(model, Property):
        learn = property_step(model)

        def look(batch: Batch) -> Prediction:
            with torch.no_grad():
                return learn(batch)

        return learn, look
    stress = bool(training.loss.stress)
    step = make_step(
        model,
        forces=training.loss.forces > 0,
        stress=stress,
        compiled=bool(training.compile),
        note=listener.note,
    )

    def evaluate(batch: Batch) -> Prediction:
        return predict(model, batch.graph, batch.union, stress=stress)

    return step, evaluate


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as problem:
        raise RunError(f"the device {name!r} cannot be used here: {str(problem).splitlines()[0]}") from None
    return device


def _copy(progress: Progress, potential: Model) -> None:
    if progress.weights is None:
        return
    with torch.no_grad():
        for live, best in zip(potential.parameters(), progress.weights, strict=True):
            live.copy_(best)
    potential.eval()


def _facts(config: RunConfig, data: Prepared, potential: Model) -> dict[str, Any]:
    """Provenance, statistics and coverage, as plain values."""
    covered = _coverage(data)
    return {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {
            "hermtk": __version__,
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "numpy", "ase", "vesin", "e3nn")},
        },
        "machine": {"processor": platform.machine(), "cores": os.cpu_count(), "system": platform.system()},
        "seed": config.seed,
        "data": {
            "sha256": data.digests,
            "structures": {
                "train": len(data.train),
                "validation": len(data.validation),
                "test": len(data.test),
            },
            "stress": data.stress,
            "missing": data.missing,
        },
        "target": {"name": data.target.name, "unit": data.target.unit, "spread": data.spread},
        "statistics": {
            "reference_energies" if data.target == ENERGY else "references": {
                chemical_symbols[z]: e for z, e in data.reference.items()
            },
            "reference_energies_from": data.references.how,
            "scale": data.scale,
            "mean_neighbors": data.mean_neighbors,
        },
        "parameters": sum(p.numel() for p in potential.parameters()),
        "coverage": covered.edges(potential.table),
        "seen": covered.facts(),
    }


def _coverage(data: Prepared) -> Coverage:
    """What the training set shows of every element, pair and triad."""
    covered = Coverage()
    for first in range(0, len(data.items), _CHUNK):
        graph = together(data.items, np.arange(first, min(first + _CHUNK, len(data.items)))).graph
        covered.add_all(
            graph.numbers.numpy(), graph.structure.numpy(), graph.center.numpy(), graph.neighbor.numpy()
        )
    return covered
