"""A training run in its folder: config.yaml, run.json, metrics.csv, checkpoint.pt, model.pt."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from hermtk.data.targets import ENERGY
from hermtk.errors import RunError
from hermtk.files import make_folder, write_text
from hermtk.models.build import build_for
from hermtk.models.files import model_needs, save_model
from hermtk.models.model import Model
from hermtk.models.potential import Potential
from hermtk.models.property import Property
from hermtk.physics.derivatives import Prediction, predict
from hermtk.training.checkpoint import Progress, open_checkpoint
from hermtk.training.config import RunConfig, dump_config, make_config, read_config
from hermtk.training.data.batches import Batch, Batches
from hermtk.training.data.order import Budget
from hermtk.training.data.prepare import Prepared, prepare_run
from hermtk.training.facts import facts_of
from hermtk.training.loggers import check_loggers, logged
from hermtk.training.loop import Listener, Trainer
from hermtk.training.loss import Loss
from hermtk.training.processes import ALONE, Processes
from hermtk.training.resolve import resolved
from hermtk.training.step import Step, make_step, property_step
from hermtk.training.tuning.freeze import freeze
from hermtk.training.tuning.start import Start, open_start, statistics_of

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
        self.trainer.processes.start_alike(self.data.digests, self.potential, self.trainer.average.weights)
        with logged(self.trainer, self.config):
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


def new_run(
    config: RunConfig,
    folder: Path,
    listener: Listener,
    data: Prepared | None = None,
    processes: Processes = ALONE,
    *,
    again: bool = False,
) -> Run:
    """Read the data unless they are there already, make the model, write what the run will need to be resumed.

    Of several processes all make it, inside ``processes.together()``; the first writes. ``again``: over what a run left that
    was stopped before its first checkpoint.

    Raises:
        RunError: the folder holds a run already or cannot be written.
        HermtkError: the configuration or the data cannot be used.
    """
    taken = folder.is_file() or (folder.exists() and any(folder.iterdir()))
    if processes.first and taken and not again:
        raise RunError(
            f"{folder} is not empty: choose another --out, or go on with `hermtk train --resume {folder}`"
        )
    check_loggers(config.training.loggers)
    start = open_start(config)
    config = start.adopted(config) if start else config
    data = prepare_run(config, start and start.statistics) if data is None else data
    if config.training.compile and data.target != ENERGY:
        listener.note(f"models of {data.target.name} are not compiled; it goes on without")
    config = resolved(config, data)
    run = _assemble(config, folder, data, listener, processes, start)
    if not processes.first:
        return run
    if start:
        run.facts["start"] = start.facts(config, said := start.verify(run.potential, data))
        for text in filter(None, (said, start.doubt(data))):
            listener.note(text)
    make_folder(folder)
    write_text(folder / "config.yaml", dump_config(config))
    write_text(folder / "run.json", json.dumps(run.facts, indent=1))
    return run


def resume_run(
    folder: Path, listener: Listener, processes: Processes = ALONE, data: Prepared | None = None
) -> Run:
    """Make a run again from its folder and go to its last checkpoint; right to rounding with another number of processes.

    Raises:
        RunError: no run there, no checkpoint yet, a plugin is missing, or the data have changed since.

    Warns:
        PluginChanged: a plugin is not the one that wrote the checkpoint.
    """
    if not (folder / "config.yaml").is_file():
        raise RunError(f"{folder} holds no run (there is no config.yaml in it)")
    checkpoint = open_checkpoint(folder / "checkpoint.pt", listener.note)
    config = make_config(read_config(folder / "config.yaml"))
    check_loggers(config.training.loggers)
    facts = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    # fine-tuning goes on without the file that it began with
    stored = (lambda *_: statistics_of(facts)) if config.start.model else None
    data = prepare_run(config, stored) if data is None else data
    for name, digest in data.digests.items():
        if facts["data"]["sha256"].get(name) != digest:
            raise RunError(f"{name} has changed since the run began: it cannot be resumed exactly")
    run = _assemble(config, folder, data, listener, processes)
    run.facts = facts
    run.trainer.resume(checkpoint)
    if (before := facts.get("processes", 1)) != processes.count:
        go = "process goes" if processes.count == 1 else "processes go"
        facts["processes"] = processes.count
        facts.setdefault("processes_before", []).append(
            {"until_step": run.trainer.progress.step, "count": before}
        )
        if processes.first:
            listener.note(
                f"{processes.count} {go} on where there were {before}: the same to rounding, not bit for bit"
            )
            write_text(folder / "run.json", json.dumps(facts, indent=1))
    return run


def _assemble(
    config: RunConfig,
    folder: Path,
    data: Prepared,
    listener: Listener,
    processes: Processes,
    start: Start | None = None,
) -> Run:
    torch.manual_seed(config.seed)
    torch.set_num_threads(config.threads or torch.get_num_threads())
    device = processes.device(config.device)
    potential = build_for(
        data.target,
        config.model,
        data.elements,
        reference=data.reference,
        scale=data.scale,
        mean_neighbors=data.mean_neighbors,
    ).to(device)
    if start:
        start.put_into(potential)
    freeze(potential, config.start.freeze)
    training = config.training
    step, evaluate = _steps(config, potential, listener)
    budget = Budget.of(training.batch_size, training.batch_atoms, training.batch_edges)
    chunk = 1 if potential.network.readout.whole else _CHUNK
    trainer = Trainer(
        potential,
        Batches(potential, data.items, budget, config.seed, training.workers, processes),
        Batches(
            potential,
            data.validation_items,
            replace(budget, structures=chunk),
            config.seed,
            training.workers,
            processes,
        ),
        step,
        evaluate,
        Loss(training.loss, training.loss.stress or 0.0, data.target, data.spread, data.weights),
        training,
        folder,
        lambda progress: None,
        listener,
        data.train,
        model_needs(config.model),
        data.target,
        processes,
        sets=tuple(one.name for one in data.sets),
        measure_first=config.start.model is not None,
    )
    run = Run(
        folder, config, data, potential, trainer, facts_of(config, data, potential, start and start.seen)
    )
    run.facts["processes"] = processes.count
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


def _copy(progress: Progress, potential: Model) -> None:
    if progress.weights is None:
        return
    with torch.no_grad():
        for live, best in zip(potential.parameters(), progress.weights, strict=True):
            live.copy_(best)
    potential.eval()
