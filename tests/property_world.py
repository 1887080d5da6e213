"""Property models of every readout in double precision, and small molecules."""

from dataclasses import replace

import numpy as np
import torch

from hermtk.data.structure import Structure
from hermtk.data.targets import TARGETS, Target
from hermtk.graph.build import build_graph
from hermtk.models.build import build_property
from hermtk.models.config import ModelConfig
from hermtk.models.property import Property
from hermtk.testing.structures import ORGANIC

CUTOFF = 4.0
CONFIG = ModelConfig(channels=8, layers=2, cutoff=CUTOFF, n_basis=4, dtype="float64", variant="hvnet")
REFERENCE = {8: 1.3, 1: -0.4, 6: 0.7}
# one for each readout
NAMES = ("U0", "gap", "mu", "r2")


def made(target: Target | str, seed: int = 0, **changes: object) -> Property:
    """A model whose weights are all drawn, biases too."""
    target = TARGETS[target] if isinstance(target, str) else target
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = CONFIG.model_copy(update=changes)
        model = build_property(config, ORGANIC, target, reference=REFERENCE, scale=2.0)
        with torch.no_grad():
            for weight in model.parameters():
                size = weight.shape[-2] ** -0.5 if weight.ndim > 1 else 0.3
                weight.add_(0.5 * size * torch.randn_like(weight))
    return model.eval()


def values(model: Property, *structures: Structure) -> torch.Tensor:
    """What a model says of structures, in one batch."""
    with torch.no_grad():
        return model(build_graph(structures, CUTOFF))


def copies(structure: Structure, *shifts: float, turn: np.ndarray | None = None) -> Structure:
    """The structure and copies of it that far away along x, all but the first turned, as one."""
    turn = np.eye(3) if turn is None else turn
    places = [structure.positions, *(structure.positions @ turn.T + [x, 0.0, 0.0] for x in shifts)]
    return replace(
        structure, numbers=np.tile(structure.numbers, len(places)), positions=np.concatenate(places)
    )
