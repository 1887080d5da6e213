"""UNiTE-style tensor-product layer: the equivariant machinery of UNiTE on the geometry of an atomic graph.

Qiao et al., "UNiTE: Unitary N-body Tensor Equivariant Network with Applications to Quantum Chemistry", arXiv:2105.14655. There
a quantum-mechanical matrix says how two atoms interact; here spherical harmonics of the edge's direction, filtered by its length.
"""

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from hermtk.errors import ConfigError
from hermtk.nn.convolution import Routes, convolve
from hermtk.nn.evnorm import EvNorm, over_channels
from hermtk.nn.safe import norm_over_components
from hermtk.nn.segment import segment_sum
from hermtk.nn.spherical import SphericalLinear
from hermtk.nn.tensor_product import (
    TensorProduct,
    allowed_paths,
    message_couplings,
    opening_couplings,
    paths_to,
)
from hermtk.nn.typed import TypedLinear, TypedMLP, columns
from hermtk.relations.union import Rows
from hermtk.subnets.base import Edges, Features, Subnet


class Unite(Subnet):
    """Spherical tensors up to ``l_max``: neighbours times directions, their sum times the atom's own state.

    Letters: A atoms, K edges, P source slots, Q centre slots, C channels, S = (l_max + 1)^2 components of all orders.
    """

    def __init__(
        self,
        channels: int,
        relations: int,
        n_radial: int,
        *,
        l_max: Literal[0, 1, 2, 3] = 2,
        heads: int = 0,
        hidden: int | None = None,
    ) -> None:
        """Options of the layer.

        Args:
            channels: width of the features.
            relations: how many sets of weights.
            n_radial: columns of the edges' radial features.
            l_max: highest order of the features and of the directions' spherical harmonics.
            heads: attention heads that weigh each message by its own invariants; a divisor of ``channels``, 0 for none.
            hidden: width of the node networks, ``channels`` if not given.

        Raises:
            ConfigError: channels cannot be shared out between the heads.
        """
        super().__init__(channels, relations, n_radial)
        if heads < 0 or (heads and channels % heads):
            raise ConfigError(
                f"unite: heads ({heads}) must be 0 or divide the number of channels ({channels})"
            )
        hidden = hidden or channels
        counts, all_orders = paths_to(l_max), (l_max + 1) * channels
        self.orders, self.counts, self.heads = tuple(range(1, 2 * l_max + 2, 2)), counts, heads
        self.couplings, self.opening = message_couplings(l_max), opening_couplings(l_max)
        # the columns of ``sent`` that scalars fill
        firsts = [allowed_paths(l_max).index((0, order, order)) for order in range(l_max + 1)]
        self.opening_columns = [slice(path * channels, (path + 1) * channels) for path in firsts]
        sent = self.couplings.paths * channels
        self.up = SphericalLinear(relations, [channels] * len(counts), channels)
        self.source = TypedMLP(relations, channels, hidden, sent)
        self.filter = TypedLinear(relations, n_radial, sent, bias=False)
        self.attention = TypedMLP(relations, sent, hidden, heads) if heads else None
        self.mix = SphericalLinear(relations, [count * channels for count in counts], channels)
        self.state_norm, self.message_norm = EvNorm(l_max, channels), EvNorm(l_max, channels)
        self.state_gate = TypedMLP(relations, all_orders, hidden, all_orders)
        self.message_gate = TypedMLP(relations, all_orders, hidden, all_orders)
        self.inward = SphericalLinear(relations, [channels] * len(counts), channels)
        self.outward = SphericalLinear(relations, [channels] * len(counts), channels)
        self.product = TensorProduct(l_max)

    @property
    def l_max(self) -> int:
        return len(self.orders) - 1

    @property
    def opens(self) -> bool:
        return self.attention is None

    def forward(self, features: Features, edges: Edges) -> Features:
        """Message, then the point-wise interaction of state and message, per relation.

        The sum of messages is added to the change as it is: UNiTE's residual, one step further in.
        """
        union, rows = edges.union, edges.union.centers
        sides = self._messages(features, edges)
        g = sides[0] if len(sides) == 1 else _added(*sides)
        own = tuple(f.index_select(0, union.center_atom) for f in features[: len(self.orders)])
        if len(own) < len(self.orders) and union.mixed is None:
            q = _added(g, self._opening_product(own[0], g, rows))
        else:
            own += tuple(own[0].new_zeros(own[0].shape[0], n, self.channels) for n in self.orders[len(own) :])
            q = _added(g, self._product(own, g, sides, edges))
        sizes, directions = self.message_norm(q)
        # without messages g and q are zero, and so is the change: no presence is needed
        return _added(g, _gated(self.message_gate(sizes, rows), self.outward(directions, rows)))

    def _product(self, own: Features, g: Features, sides: list[Features], edges: Edges) -> Features:
        """State times messages; a mixed triad couples its two sides instead."""
        union, rows = edges.union, edges.union.centers
        sizes, left = self.state_norm(own)
        right = g
        if union.mixed is not None:
            _, first = self.state_norm(sides[0])
            left, right = _where(union.mixed, first, left), _where(union.mixed, sides[1], g)
        f = _gated(self.state_gate(sizes, rows), self.inward(left, rows))
        return self.product(torch.cat(f, dim=1), torch.cat(right, dim=1)).split(self.orders, dim=1)

    def _opening_product(self, scalars: Float[Tensor, "Q 1 C"], g: Features, rows: Rows) -> Features:
        """State times messages where the state's higher orders are zero."""
        sizes, left = self.state_norm((scalars,))
        gates = self.state_gate.part(sizes, rows, [slice(self.channels)])
        return self.product.with_scalars(gates.unsqueeze(1) * self.inward.part(left, rows)[0], g)

    def _messages(self, features: Features, edges: Edges) -> list[Features]:
        """Sums over each centre slot's edges, for each side of a triad."""
        union, geometry = edges.union, edges.geometry
        sources = tuple(f.index_select(0, union.source_atom) for f in features[: len(self.orders)])
        # of normalised scalars: a product of features with features would grow from layer to layer
        scalars = over_channels(sources[0].squeeze(1))
        opening = len(sources) < len(self.orders)
        if opening:
            couplings, weight = self.opening, columns(self.filter.weight, self.opening_columns)
            phi = self.source.part(scalars, union.sources, self.opening_columns)  # (P, orders C)
            up = self.up.part(sources, union.sources)[0]  # (P, 1, C)
        else:
            couplings, weight = self.couplings, self.filter.weight
            phi = self.source(scalars, union.sources)  # (P, paths C)
            up = torch.cat(self.up(sources, union.sources), dim=1)  # (P, S, C)
        slots, sides = union.center_atom.shape[0], union.sides
        into, rows = union.center_side, sides * slots
        if self.attention is not None:
            # each message on its own: it is weighed before it is summed
            rows = into.shape[0]
            into = torch.arange(rows, device=into.device)
        routes = Routes(union.edge, union.neighbor, union.neighbor, into, rows, union.edges)
        angular = geometry.angular[:, : couplings.angulars]
        sums = convolve(up, phi, geometry.radial, weight, angular, couplings, routes)
        if self.attention is not None:
            sums = segment_sum(
                self._attended(sums, self.attention, union.edges), union.center_side, sides * slots
            )
        by_side = sums.unflatten(0, (sides, slots)).unbind()
        if opening:
            return [self.mix.part(side.split(self.orders, dim=1), union.centers) for side in by_side]
        return [self.mix(self._by_order(side), union.centers) for side in by_side]

    def _attended(
        self, messages: Float[Tensor, "K outputs C"], attention: TypedMLP, rows: Rows
    ) -> Float[Tensor, "K outputs C"]:
        """Each message times a number from 0 to 2 for each head, made from the lengths of its parts."""
        lengths = torch.cat([norm_over_components(f) for f in self._by_order(messages)], dim=1)
        weights = 2 * torch.sigmoid(attention(lengths, rows))  # (K, heads)
        return (messages.unflatten(2, (self.heads, -1)) * weights[:, None, :, None]).flatten(2)

    def _by_order(self, messages: Float[Tensor, "rows outputs C"]) -> Features:
        """[rows, 2l+1, paths to l x C] for each order."""
        parts = messages.split([n * count for n, count in zip(self.orders, self.counts, strict=True)], dim=1)
        return tuple(
            part.unflatten(1, (n, -1)).flatten(2) for n, part in zip(self.orders, parts, strict=True)
        )


def _gated(gates: Float[Tensor, "rows gates"], features: Features) -> Features:
    """Every order and channel times its own gate, order after order in ``gates``."""
    parts = gates.unsqueeze(1).chunk(len(features), dim=2)
    return tuple(gate * f for gate, f in zip(parts, features, strict=True))


def _added(a: Features, b: Features) -> Features:
    return tuple(x + y for x, y in zip(a, b, strict=True))


def _where(slots: Bool[Tensor, " rows"], a: Features, b: Features) -> Features:
    return tuple(torch.where(slots.reshape(-1, 1, 1), x, y) for x, y in zip(a, b, strict=True))
