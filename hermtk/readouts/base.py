"""The contract of a readout: from an atom's features to its share of a quantity."""

from abc import ABC, abstractmethod
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from hermtk.subnets.base import Features


class Readout(nn.Module, ABC):
    """A share per atom. Options are the keyword-only arguments of ``__init__``; ``channels`` is given by the network."""

    # whether it reads the atoms of a structure as a whole, so that a batch can hold only one
    whole: ClassVar[bool] = False

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    @abstractmethod
    def forward(self, features: Features) -> Float[Tensor, " atoms"]:
        """Each atom's share, of order one: the potential gives it its scale."""
