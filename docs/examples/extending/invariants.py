"""An energy that also sees how long the vectors are."""

from jaxtyping import Float
from torch import Tensor, nn

from hermtk.nn.safe import norm_over_components
from hermtk.readouts.base import Readout
from hermtk.subnets.base import Features


class Invariants(Readout):
    """A small network on each atom's scalars plus the lengths of all its higher orders."""

    def __init__(self, channels: int, *, hidden: int = 32) -> None:
        """``hidden``: width of the inner layer."""
        super().__init__(channels)
        self.network = nn.Sequential(nn.Linear(channels, hidden), nn.SiLU(), nn.Linear(hidden, 1))

    def forward(self, features: Features) -> Float[Tensor, " atoms"]:
        """One number per atom."""
        scalars, *higher = features  # (A, 1, C), (A, 3, C) ...
        seen = scalars.squeeze(1) + sum(norm_over_components(order) for order in higher)  # (A, C)
        return self.network(seen).squeeze(-1)
