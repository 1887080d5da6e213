"""Runs that never were: a folder with their files, and what a model says of some structures."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from hermtk.data.structure import Structure
from hermtk.data.targets import TARGETS
from hermtk.evaluation.evaluate import evaluate
from hermtk.evaluation.properties import evaluate_property
from hermtk.evaluation.report.predicted import Predicted
from hermtk.evaluation.report.record import RunRecord, read_run
from hermtk.evaluation.report.relations import Shares
from hermtk.models.build import build_model, build_property
from hermtk.models.config import ModelConfig
from hermtk.training.config import dump_config, make_config
from training_world import clusters

ELEMENTS = (1, 6, 8)
METRICS = """epoch,step,seconds,learning_rate,train_loss,train_forces_mae,validation_loss,validation_energy_per_atom_mae,\
validation_forces_mae
1,10,1,0.001,4,3.0,2.0,0.4,2.0
2,20,2,0.001,3,2.0,1.5,0.3,1.5
3,30,3,0.001,2,1.5,1.2,0.2,1.2
4,40,4,0.001,2,1.2,1.0,0.2,1.0
5,50,5,0.0005,2,1.1,0.9,0.1,0.9
6,60,6,0.0001,2,1.0,0.8,0.1,0.8
"""


def potential(variant: str = "htnet"):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        reference = dict.fromkeys(ELEMENTS, -83.0)
        config = ModelConfig(variant=variant, channels=4, layers=1, n_basis=4, cutoff=3.0)
        return build_model(config, ELEMENTS, reference=reference).eval()


def some_structures(n: int = 8) -> list[Structure]:
    """Clusters, every second one without its last atom, some from another file."""
    made = []
    for k, s in enumerate(clusters(n)):
        kept = slice(None, 6 - k % 2)
        made.append(
            replace(
                s,
                numbers=s.numbers[kept],
                positions=s.positions[kept],
                forces=s.forces[kept],
                source=f"c.xyz:{k}",
            )
        )
    return made


def predicted(structures: list[Structure], variant: str = "htnet", name: str = "test") -> Predicted:
    model = potential(variant)
    return Predicted(name, structures, evaluate(model, structures), model)


def predicted_gaps(structures: list[Structure]) -> Predicted:
    """The same of a property; every structure has one but the first."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = build_property(ModelConfig(channels=4, layers=1, cutoff=3.0), ELEMENTS, TARGETS["gap"]).eval()
    values = [None, *np.linspace(5.0, 6.0, len(structures) - 1).tolist()]
    having = [replace(s, energy=v, forces=None) for s, v in zip(structures, values, strict=True)]
    return Predicted("test", having, evaluate_property(model, having), model)


def run_in(
    folder: Path,
    tested: Predicted,
    *,
    metrics: str = METRICS,
    ended: str = "all steps were done",
    **data: object,
) -> RunRecord:
    """A run's folder with all files that a report reads."""
    folder.mkdir(parents=True, exist_ok=True)
    values = {"data": data, "model": {"variant": "htnet"}, "training": {"steps": 60}}
    (folder / "config.yaml").write_text(dump_config(make_config(values)))
    (folder / "metrics.csv").write_text(metrics)
    shares = Shares(tested.model)
    if tested.forces is not None:
        for s in tested.structures:
            shares.add(s, np.zeros((len(s), 3)), np.zeros((len(s), 3)))
    sizes = {"train": 80, "validation": 10, "test": len(tested.structures)}
    facts = {
        "versions": {"hermtk": "0.1.0"},
        "parameters": 1234,
        "data": {"sha256": {"c.xyz": "ab12"}, "structures": sizes},
        "seen": shares.used.facts(),
    }
    (folder / "run.json").write_text(json.dumps(facts))
    if ended:
        (folder / "results.json").write_text(json.dumps({"ended": ended}))
    return read_run(folder)
