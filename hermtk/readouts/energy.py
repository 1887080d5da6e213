"""Energy per atom from the scalars."""

from jaxtyping import Float
from torch import Tensor, nn

from hermtk.readouts.base import Readout
from hermtk.subnets.base import Features


class Energy(Readout):
    """A small network on each atom's scalars; the sum over atoms is extensive."""

    def __init__(self, channels: int, *, hidden: int | None = None) -> None:
        """``hidden``: width of the inner layer, half the channels if not given."""
        super().__init__(channels)
        hidden = hidden or max(channels // 2, 1)
        self.network = nn.Sequential(nn.Linear(channels, hidden), nn.SiLU(), nn.Linear(hidden, 1))

    def forward(self, features: Features) -> Float[Tensor, " atoms"]:
        """One number per atom."""
        return self.network(features[0].squeeze(1)).squeeze(-1)
