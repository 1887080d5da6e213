"""The choices that a configuration leaves open, made: by the data, by the length of the run, by the machine."""

from typing import Any

import torch

from hermtk.data.targets import ENERGY, Target
from hermtk.kernels.library import compiler_missing
from hermtk.models.build import readout_of
from hermtk.models.layers import any_type_blind, override_options
from hermtk.training.config import RunConfig
from hermtk.training.data.batches import sizes_of
from hermtk.training.data.order import Budget, Order
from hermtk.training.data.prepare import Prepared
from hermtk.training.optimise import LEARNING_RATES

# Steps from which compiling pays on a CPU: it costs one to three minutes once and then halves every step
_COMPILE_PAYS = 20_000
# Steps of a run that does not say: the embedded set ends within ten minutes on two cores
_STEPS = 15_000
_BUILTIN_STEPS = 1_200
# from a model's weights on (docs/fine-tuning.md)
_TUNING_RATE = 1e-3


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
            "learning_rate": config.training.learning_rate
            or (_TUNING_RATE if config.start.model else LEARNING_RATES[config.training.optimizer]),
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
