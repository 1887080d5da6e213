"""The loss: weighted errors of energy per atom, force components and stress per atom."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from hermtk.data.targets import ENERGY, Target
from hermtk.graph.graph import volumes
from hermtk.physics.derivatives import Prediction
from hermtk.training.config import LossConfig
from hermtk.training.data.batches import Batch


@dataclass(frozen=True)
class Loss:
    """w_E f(dE/N) + w_F f(dF) + w_S f(V d(stress)/N), each f averaged over its components whose label is known.

    For a target other than the energy w_E f(d/spread), d the error, per atom where the target grows with the structure.

    With several sets each f is multiplied by the weight of its structure's set before it is averaged.
    """

    config: LossConfig
    stress_weight: float
    target: Target = ENERGY
    spread: float = 1.0
    weights: tuple[float, ...] = ()

    def known(self, batch: Batch) -> Float[Tensor, " 3"]:
        """How many energies, force components and stress components of a batch are known, float64, in the main memory."""
        labels = (batch.energy, batch.forces, batch.stress)
        return torch.tensor([float((~label.isnan()).sum()) for label in labels], dtype=torch.float64)

    def __call__(
        self, prediction: Prediction, batch: Batch, known: Float[Tensor, " 3"] | None = None
    ) -> Tensor:
        """The loss of a batch, in float64; its share of a larger batch's loss, given what is ``known`` of that."""
        energies, forces, stresses = (self.known(batch) if known is None else known).clamp(min=1).tolist()
        atoms = torch.bincount(batch.graph.structure, minlength=batch.graph.n_structures)
        error = prediction.energy - batch.energy
        if self.target != ENERGY:
            error = error / (self.spread * (atoms if self.target.kind == "extensive" else 1))
            return self.config.energy * self._sum(error, batch.energy, batch.group) / energies
        total = self.config.energy * self._sum(error / atoms, batch.energy, batch.group) / energies
        if self.config.forces and prediction.forces is not None:
            rows = None if batch.group is None else batch.group[batch.graph.structure]
            share = self._sum(prediction.forces - batch.forces, batch.forces, rows) / forces
            total = total + self.config.forces * share
        if self.stress_weight and prediction.stress is not None:
            per_atom = (volumes(batch.graph) / atoms).reshape(-1, 1, 1)
            share = (
                self._sum((prediction.stress - batch.stress) * per_atom, batch.stress, batch.group) / stresses
            )
            total = total + self.stress_weight * share
        return total

    def _sum(self, error: Tensor, label: Tensor, group: Tensor | None = None) -> Tensor:
        """Over all components that have a label: missing ones are NaN, and say nothing."""
        if self.weights and group is not None:
            sums = (self._sum(error[group == k], label[group == k]) for k in range(len(self.weights)))
            return sum((w * part for w, part in zip(self.weights, sums, strict=True)), error.new_zeros(()))
        error = error.to(torch.float64).masked_fill(label.isnan(), 0.0)
        if self.config.kind == "mse":
            return error.square().sum()
        if self.config.kind == "mae":
            return error.abs().sum()
        # huber over delta: close to |error| for large errors whatever delta is
        return (
            F.huber_loss(error, torch.zeros_like(error), reduction="sum", delta=self.config.delta)
            / self.config.delta
        )
