"""The contract of a subnet: one message-passing layer on a union graph."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from hermtk.relations.union import UnionGraph

# features[l] is [rows, 2l+1, channels]: spherical tensors of order l and parity (-1)^l; l = 1 in the order x, y, z
Features = tuple[Tensor, ...]


@dataclass(frozen=True)
class Edges:
    """What a subnet sees of the K edges of the union graph.

    Attributes:
        union: the index tensors (centre and source slots, relations).
        vectors: [K, 3] centre to neighbour, Angstrom.
        distances: [K] Angstrom.
        directions: [K, 3] unit vectors.
        weight: [K] envelope(d) / sqrt(mean neighbours). Zero at the cut-off with two derivatives: **multiply every
            message by it**, biases too; plain sums of such messages are then of order one.
        radial: [K, n_radial] weight x (1, basis functions of d): a linear map of it, without bias, is a smooth filter.
    """

    union: UnionGraph
    vectors: Float[Tensor, "k 3"]
    distances: Float[Tensor, " k"]
    directions: Float[Tensor, "k 3"]
    weight: Float[Tensor, " k"]
    radial: Float[Tensor, "k n_radial"]


class Subnet(nn.Module, ABC):
    """One layer: from the features of all atoms to the change at each centre slot.

    Build it from ``TypedLinear`` and ``TypedMLP`` and it runs once for all relations. Options are the keyword-only
    arguments of ``__init__``; the positional ones are given by the network. Three rules make it batchable, exportable and
    parallel: no Python branching on data; write centre slots only; read neighbours only through the features given (no
    second shell in one layer). A slot exists only while it has edges: what does not come from messages must fade with them
    (multiply it by tanh of the slot's sum of ``edges.weight``), or the energy jumps at the cut-off.
    """

    def __init__(self, channels: int, relations: int, n_radial: int) -> None:
        super().__init__()
        self.channels = channels
        self.relations = relations
        self.n_radial = n_radial

    @property
    @abstractmethod
    def l_max(self) -> int:
        """The highest order of the features it reads and changes."""

    @abstractmethod
    def forward(self, features: Features, edges: Edges) -> Features:
        """The change of each centre slot, [Q, 2l+1, channels] per order, from the features of all atoms, [A, 2l+1, channels]."""
