"""The published read-out: a network on the sum (or mean) of the atoms' scalars, not a sum of atomic energies."""

from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from hermtk.readouts.base import Readout
from hermtk.subnets.base import Features
from hermtk_rmconv.original import ShiftedSoftplus


class Pooled(Readout):
    """One energy for all atoms together, as HermNet published it; reads one structure at a time."""

    # hermtk gives it structures one by one, and refuses batches
    whole: ClassVar[bool] = True

    def __init__(self, channels: int, *, intensive: bool = False) -> None:
        """``intensive``: pool by the mean in place of the sum."""
        super().__init__(channels)
        self.intensive = intensive
        self.fc = nn.Sequential(
            nn.Linear(channels, channels), ShiftedSoftplus(), nn.Dropout(0.5), nn.Linear(channels, 1)
        )

    def forward(self, features: Features) -> Float[Tensor, " atoms"]:
        """The energy in equal shares: only their sum means anything."""
        scalars = features[0].squeeze(1)  # (A, C)
        atoms = len(scalars)
        pool = scalars.sum(0) / (max(atoms, 1) if self.intensive else 1)  # (C)
        return (self.fc(pool) / max(atoms, 1)).expand(atoms)
