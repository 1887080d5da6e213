"""Errors of predictions, gathered over batches: sums only, so that a set of any size fits."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from hermtk.data.targets import ENERGY, Target
from hermtk.physics.derivatives import Prediction
from hermtk.training.data.batches import Batch


@dataclass
class ErrorSums:
    """Absolute and square errors of energy, energy per atom, forces, stress, or of another target; without missing labels.

    Of several ``sets`` also those of each, ``forces@0`` and so on.
    """

    sums: dict[str, float] = field(default_factory=dict)
    target: Target = ENERGY
    sets: int = 0

    def add(self, prediction: Prediction, batch: Batch) -> None:
        """Count one batch."""
        if self.target != ENERGY:
            self._count(self.target.name, prediction.energy.detach() - batch.energy, batch.group)
            return
        atoms = torch.bincount(batch.graph.structure, minlength=batch.graph.n_structures)
        error = prediction.energy.detach() - batch.energy
        self._count("energy", error, batch.group)
        self._count("energy_per_atom", error / atoms, batch.group)
        if prediction.forces is not None:
            rows = None if batch.group is None else batch.group[batch.graph.structure]
            self._count("forces", prediction.forces.detach() - batch.forces, rows)
        if prediction.stress is not None:
            self._count("stress", prediction.stress.detach() - batch.stress, batch.group)

    @property
    def names(self) -> list[str]:
        """Of the sums of predictions."""
        energies = ("energy", "energy_per_atom", "forces", "stress")
        quantities = energies if self.target == ENERGY else (self.target.name,)
        every = [*quantities, *(f"{name}@{k}" for k in range(self.sets) for name in quantities)]
        return [f"{quantity} {kind}" for quantity in every for kind in ("count", "absolute", "square")]

    def numbers(self) -> list[float]:
        """The sums in the order of ``names``; zero where nothing was counted."""
        return [self.sums.get(name, 0.0) for name in self.names]

    def add_numbers(self, numbers: Sequence[float]) -> None:
        """Count what another has counted."""
        for name, value in zip(self.names, numbers, strict=True):
            self.sums[name] = self.sums.get(name, 0.0) + value

    def add_loss(self, loss: Tensor | float) -> None:
        """Count a batch's loss."""
        self.sums["loss"] = self.sums.get("loss", 0.0) + (loss.item() if isinstance(loss, Tensor) else loss)
        self.sums["losses"] = self.sums.get("losses", 0.0) + 1

    def mae(self, quantity: str) -> float | None:
        """Mean absolute error; None where nothing was counted."""
        return self._mean(quantity, "absolute")

    def rmse(self, quantity: str) -> float | None:
        """Root mean square error; None where nothing was counted."""
        mean = self._mean(quantity, "square")
        return None if mean is None else mean**0.5

    @property
    def loss(self) -> float | None:
        """Mean loss."""
        return self.sums["loss"] / self.sums["losses"] if self.sums.get("losses") else None

    def _mean(self, quantity: str, kind: str) -> float | None:
        count = self.sums.get(f"{quantity} count", 0.0)
        return self.sums[f"{quantity} {kind}"] / count if count else None

    def _count(self, quantity: str, error: Tensor, group: Tensor | None = None) -> None:
        """Count errors; ``group``: which set each row is of."""
        for k in range(0 if group is None else self.sets):
            self._count(f"{quantity}@{k}", error[group == k])
        known = error[~error.isnan()].to(torch.float64)
        for kind, value in (
            ("count", float(known.numel())),
            ("absolute", known.abs().sum().item()),
            ("square", known.square().sum().item()),
        ):
            name = f"{quantity} {kind}"
            self.sums[name] = self.sums.get(name, 0.0) + value
