"""The contracts of a subnet: one message-passing layer, on a union graph or, knowing nothing of relations, on an ordinary one."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor, nn

from hermtk.relations.union import UnionGraph

# features[l] is [rows, 2l+1, channels]: spherical tensors of order l and parity (-1)^l; l = 1 in the order x, y, z
Features = tuple[Tensor, ...]


@dataclass(frozen=True)
class Geometry:
    """The E edges of the atomic graph, before they are split by relation.

    Attributes:
        vectors: [E, 3] centre to neighbour, Angstrom.
        distances: [E] Angstrom.
        directions: [E, 3] unit vectors.
        weight: [E] envelope(d) / sqrt(mean neighbours).
        radial: [E, n_radial] weight x (1, basis functions of d).
        angular: [E, (l+1)^2] real spherical harmonics up to the highest l that a layer asks for, each order of length one:
            1, x, y, z, ...
    """

    vectors: Float[Tensor, "e 3"]
    distances: Float[Tensor, " e"]
    directions: Float[Tensor, "e 3"]
    weight: Float[Tensor, " e"]
    radial: Float[Tensor, "e n_radial"]
    angular: Float[Tensor, "e n_angular"]


@dataclass(frozen=True)
class Edges:
    """What a subnet sees of the K edges of the union graph.

    Attributes:
        union: the index tensors (centre and source slots, relations).
        geometry: of the graph's edges; ``union.edge`` says which of them each of the K is. ``convolve`` reads it as it is.
        presence: [Q] tanh of each centre slot's sum of ``weight``: fades with its last edge. **Multiply by it what does not
            come from messages.**
    """

    union: UnionGraph
    geometry: Geometry
    presence: Float[Tensor, " q"]

    @property
    def center(self) -> Int[Tensor, " k"]:
        """Centre slot of each edge, ascending."""
        return self.union.center

    @property
    def neighbor(self) -> Int[Tensor, " k"]:
        """Source slot of each edge."""
        return self.union.neighbor

    @property
    def vectors(self) -> Float[Tensor, "k 3"]:
        """Centre to neighbour, Angstrom."""
        return self.geometry.vectors.index_select(0, self.union.edge)

    @property
    def distances(self) -> Float[Tensor, " k"]:
        """Angstrom."""
        return self.geometry.distances.index_select(0, self.union.edge)

    @property
    def directions(self) -> Float[Tensor, "k 3"]:
        """Unit vectors."""
        return self.geometry.directions.index_select(0, self.union.edge)

    @property
    def weight(self) -> Float[Tensor, " k"]:
        """envelope(d) / sqrt(mean neighbours). Zero at the cut-off with two derivatives: **multiply every message by it**,
        biases too; plain sums of such messages are then of order one.
        """
        return self.geometry.weight.index_select(0, self.union.edge)

    @property
    def radial(self) -> Float[Tensor, "k n_radial"]:
        """Weight x (1, basis functions of d): a linear map of it, without bias, is a smooth filter."""
        return self.geometry.radial.index_select(0, self.union.edge)

    @property
    def angular(self) -> Float[Tensor, "k n_angular"]:
        """Real spherical harmonics of the direction, order after order, perhaps of more orders than were asked for."""
        return self.geometry.angular.index_select(0, self.union.edge)


class Orders(nn.Module, ABC):
    """The orders of spherical tensors that a layer works with."""

    @property
    @abstractmethod
    def l_max(self) -> int:
        """The highest order of the features it reads and changes."""

    @property
    def l_angular(self) -> int:
        """The highest order of spherical harmonics it wants of the edges."""
        return self.l_max


class Subnet(Orders):
    """One layer: from the features of all atoms to the change at each centre slot.

    Build it from ``TypedLinear`` and ``TypedMLP`` and it runs once for all relations. Options are the keyword-only
    arguments of ``__init__``; the positional ones are given by the network. Three rules make it batchable, exportable and
    parallel: no Python branching on data; write centre slots only; read neighbours only through the features given (no
    second shell in one layer). A slot exists only while it has edges: what does not come from messages must fade with them
    (multiply it by ``edges.presence``), or the energy jumps at the cut-off.
    """

    def __init__(self, channels: int, relations: int, n_radial: int) -> None:
        super().__init__()
        self.channels = channels
        self.relations = relations
        self.n_radial = n_radial

    @property
    def opens(self) -> bool:
        """Whether, as the first layer, it takes the scalars alone for features whose higher orders are all zero."""
        return False

    @abstractmethod
    def forward(self, features: Features, edges: Edges) -> Features:
        """The change of each centre slot, [Q, 2l+1, channels] per order, from the features of all atoms, [A, 2l+1, channels]."""


class TypeBlindSubnet(Orders):
    """One layer that knows nothing of relations: an ordinary module on an ordinary graph of atoms that send and receive.

    The network makes a copy of it for each relation, alike at the start, and runs it on that relation's edges as if there were
    no others: any layers of torch will do. That takes a call per relation; a ``Subnet`` takes one for all. Options are the
    keyword-only arguments of ``__init__``. The rules of a ``Subnet`` hold: no Python branching on data, messages times
    ``edges.weight`` or a linear map of ``edges.radial``, and what does not come from messages times ``edges.presence``.
    """

    def __init__(self, channels: int, n_radial: int) -> None:
        super().__init__()
        self.channels = channels
        self.n_radial = n_radial

    @abstractmethod
    def forward(self, senders: Features, receivers: Features, edges: Edges) -> Features:
        """The change of each atom that receives.

        Args:
            senders: features of the P atoms that send, [P, 2l+1, channels] per order.
            receivers: features of the Q atoms that receive, [Q, 2l+1, channels] per order.
            edges: ``edges.neighbor`` [K] is a row of ``senders``, ``edges.center`` [K] one of ``receivers`` and of the result.
        """
