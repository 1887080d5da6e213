"""The contracts of a readout: from an atom's features to its share of a quantity, or to what a structure's value is made of."""

from abc import ABC, abstractmethod
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from hermtk.graph.graph import Graph
from hermtk.subnets.base import Features


class Readout(nn.Module, ABC):
    """A share per atom. Options are the keyword-only arguments of ``__init__``; ``channels`` is given by the network."""

    # whether it reads the atoms of a structure as a whole, so that a batch can hold only one
    whole: ClassVar[bool] = False

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    @abstractmethod
    def forward(self, features: Features) -> Float[Tensor, "atoms *rest"]:
        """Each atom's share, of order one: the potential gives it its scale."""


class StructureReadout(Readout):
    """Rows of numbers per atom, and how the value of a structure follows from them: for properties, not for energies.

    ``forward`` gives [atoms, rows]. ``gather`` must not depend on the order of the structures, nor one's value on the others.
    """

    @abstractmethod
    def gather(
        self,
        rows: Float[Tensor, "atoms rows"],
        reference: Float[Tensor, " atoms"],
        scale: Float[Tensor, ""],
        graph: Graph,
    ) -> Float[Tensor, " structures"]:
        """The value of each structure, in the target's unit.

        Linear in ``reference`` where ``rows`` are zero, for references are fitted by least squares; a readout may ignore them.

        Args:
            rows: of ``forward``, of order one, in float64.
            reference: each atom's, of its element.
            scale: what a row of order one stands for.
            graph: positions, and which structure an atom is of.
        """
