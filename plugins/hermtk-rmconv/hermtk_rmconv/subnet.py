"""The published layers under hermtk's relations: the same equations and defects, one call for all relations."""

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from hermtk.nn.segment import segment_sum
from hermtk.nn.typed import TypedLinear
from hermtk.relations.union import Rows, UnionGraph
from hermtk.subnets.base import Edges, Features, Subnet
from hermtk_rmconv.formulas import EPS, fading, radial_basis, shifted_softplus, soft_length
from hermtk_rmconv.original import Kind


class RMConv(Subnet):
    """HermNet's layer as it was published, defects included: for comparison, and for weights of the published kind.

    It ignores the network's radial basis and envelope: its own are part of what was published. Letters: K edges, P source
    slots, Q centre slots, C channels. The names of the parts are those of the published weights.
    """

    # under every length, as published: so small that results change over a few thousandths of an Angstrom
    eps: ClassVar[float] = EPS

    def __init__(
        self,
        channels: int,
        relations: int,
        n_radial: int,
        *,
        kind: Kind = "HVNet",
        cutoff: float = 5.0,
        n_functions: int = 30,
        average: bool = False,
    ) -> None:
        """Options of the layer.

        Args:
            channels: width of the features.
            relations: how many sets of weights.
            n_radial: not used.
            kind: HVNet's or HTNet's form of filter and update; either runs under any variant.
            cutoff: Angstrom; give the model's own.
            n_functions: radial functions.
            average: divide by the number of relations with edges in the batch, as the published code does (the paper sums);
                right only where this subnet has all relations.
        """
        super().__init__(channels, relations, n_radial)
        self.kind, self.cutoff, self.n_functions, self.average = kind, cutoff, n_functions, average
        seen = 2 * channels if kind == "HVNet" else channels
        self.ms1 = TypedLinear(relations, channels, channels)
        self.ms2 = TypedLinear(relations, channels, 3 * channels)
        self.mv = TypedLinear(relations, n_functions, 3 * channels)
        self.us1 = TypedLinear(relations, seen, channels)
        self.us2 = TypedLinear(relations, channels, 3 * channels)

    @property
    def l_max(self) -> int:
        return 1

    def forward(self, features: Features, edges: Edges) -> Features:
        """Radial message and update, then the angular ones, which read the neighbours' vectors and not the atom's own."""
        union = edges.union
        s, v = features[0].squeeze(1)[union.source_atom], features[1][union.source_atom]  # (P, C), (P, 3, C)
        ds, dv = self.radial(s, v, edges)
        s, v = self.seen(s, ds, union), self.seen(v, dv, union)
        known = s if self.kind == "HTNet" else torch.cat([soft_length(v, 1, self.eps), s], dim=-1)
        q = self.us2(shifted_softplus(self.us1(known, union.sources)), union.sources)  # (P, 3C)
        alpha, beta, gamma = self.mean(q[union.neighbor], edges).chunk(3, dim=-1)  # (Q, C)
        mean, angle = self.angle(v[union.neighbor], edges)  # (Q, 3, C), (Q, C)
        share = self.share(union.edges)
        return share * (ds + angle * beta + gamma).unsqueeze(1), share * (dv + alpha.unsqueeze(1) * mean)

    def radial(
        self, s: Float[Tensor, "P C"], v: Float[Tensor, "P 3 C"], edges: Edges
    ) -> tuple[Float[Tensor, "Q C"], Float[Tensor, "Q 3 C"]]:
        """Sums of messages over each centre slot's edges."""
        union, size = edges.union, edges.union.center_atom.shape[0]
        vectors = edges.vectors  # (K, 3)
        r = soft_length(vectors, 1, self.eps).unsqueeze(-1)  # (K, 1)
        phi = self.ms2(shifted_softplus(self.ms1(s, union.sources)), union.sources)  # (P, 3C)
        a, b, c = (phi[union.neighbor] * self.filter(r, edges)).chunk(3, dim=-1)  # (K, C)
        sent = v[union.neighbor] * a.unsqueeze(1) + (vectors / r).unsqueeze(-1) * c.unsqueeze(1)  # (K, 3, C)
        return segment_sum(b, union.center, size), segment_sum(sent, union.center, size)

    def filter(self, r: Float[Tensor, "K 1"], edges: Edges) -> Float[Tensor, "K columns"]:
        """HVNet: faded columns. HTNet: one number an edge, the fading function of the filter's own length."""
        basis = radial_basis(r.squeeze(-1), self.cutoff, self.n_functions, self.eps)
        filtered = self.mv(basis, edges.union.edges)  # (K, 3C)
        if self.kind == "HVNet":
            return fading(r, self.cutoff, self.eps) * filtered
        return fading(filtered, self.cutoff, self.eps)

    def seen(
        self, old: Float[Tensor, "P *rest"], change: Float[Tensor, "Q *rest"], union: UnionGraph
    ) -> Float[Tensor, "P *rest"]:
        """Sources as the second step sees them: updated if they receive in this relation too, a second shell in one layer."""
        # a source that does not receive has the slot -1: the last row
        return old + torch.cat([change, torch.zeros_like(old[:1])])[union.center_of_source]

    def mean(self, rows: Float[Tensor, "K *rest"], edges: Edges) -> Float[Tensor, "Q *rest"]:
        """The plain mean over each centre slot's edges, however long they are."""
        union, size = edges.union, edges.union.center_atom.shape[0]
        one = rows.new_ones(rows.shape[0], *[1] * (rows.ndim - 1))
        return segment_sum(rows, union.center, size) / segment_sum(one, union.center, size)

    def angle(
        self, sent: Float[Tensor, "K 3 C"], edges: Edges
    ) -> tuple[Float[Tensor, "Q 3 C"], Float[Tensor, "Q C"]]:
        """The neighbours' mean vector and what stands for its angle; in mixed triads the cosine between the two sides' shares."""
        union = edges.union
        mean = self.mean(sent, edges)
        squared = mean.square().sum(1)
        angle = squared / (squared + self.eps)
        if union.side is None or union.mixed is None:
            return mean, angle
        second_side = union.side.to(sent.dtype).reshape(-1, 1, 1)
        first, second = self.mean((1 - second_side) * sent, edges), self.mean(second_side * sent, edges)
        cosine = (first * second).sum(1) / (
            soft_length(first, 1, self.eps) * soft_length(second, 1, self.eps)
        )
        return mean, torch.where(union.mixed.unsqueeze(-1), cosine, angle)

    def share(self, rows: Rows) -> Tensor | float:
        """What is left of an increment after the mean over relations, if there is one."""
        if not self.average:
            return 1.0
        starts = torch.cat([torch.zeros_like(rows.ends[:1]), rows.ends[:-1]])
        return 1 / (rows.ends > starts).sum().clamp(min=1).to(self.ms1.weight.dtype)
