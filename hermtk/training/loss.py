"""The loss: weighted errors of energy per atom, force components and stress per atom."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from hermtk.data.targets import ENERGY, Target
from hermtk.graph.graph import volumes
from hermtk.physics.derivatives import Prediction
from hermtk.training.batches import Batch
from hermtk.training.config import LossConfig


@dataclass(frozen=True)
class Loss:
    """w_E f(dE/N) + w_F f(dF) + w_S f(V d(stress)/N), each f averaged over its components.

    For a target other than the energy w_E f(d/spread), d the error, per atom where the target grows with the structure.
    """

    config: LossConfig
    stress_weight: float
    target: Target = ENERGY
    spread: float = 1.0

    def __call__(self, prediction: Prediction, batch: Batch) -> Tensor:
        """The loss of a batch, in float64."""
        atoms = torch.bincount(batch.graph.structure, minlength=batch.graph.n_structures)
        if self.target != ENERGY:
            size = self.spread * (atoms if self.target.kind == "extensive" else 1)
            return self.config.energy * self._term((prediction.energy - batch.energy) / size)
        total = self.config.energy * self._term((prediction.energy - batch.energy) / atoms)
        if self.config.forces and prediction.forces is not None:
            total = total + self.config.forces * self._term(prediction.forces - batch.forces)
        if self.stress_weight and prediction.stress is not None:
            per_atom = (volumes(batch.graph) / atoms).reshape(-1, 1, 1)
            total = total + self.stress_weight * self._term((prediction.stress - batch.stress) * per_atom)
        return total

    def _term(self, error: Tensor) -> Tensor:
        error = error.to(torch.float64)
        unknown = error.isnan()
        if unknown.any():
            # missing labels are NaN, and say nothing
            known = error.masked_fill(unknown, 0.0)
            share = error.numel() / (~unknown).sum().clamp(min=1)
            return share * self._mean(known)
        return self._mean(error)

    def _mean(self, error: Tensor) -> Tensor:
        if self.config.kind == "mse":
            return error.square().mean()
        if self.config.kind == "mae":
            return error.abs().mean()
        # huber over delta: close to |error| for large errors whatever delta is
        return F.huber_loss(error, torch.zeros_like(error), delta=self.config.delta) / self.config.delta
