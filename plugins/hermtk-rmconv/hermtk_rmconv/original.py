"""HVNet and HTNet as plain modules: the published networks, defects included, under the names their weights have.

Letters: A atoms, E directed edges source -> destination, S structures, F features. Features are s [A, F] and v [A, F, 3].
Wang et al., npj Comput. Mater. 8, 53 (2022); where the code published with it differs from the paper, the code is followed.
"""

from collections.abc import Sequence
from itertools import product
from typing import Literal, NamedTuple

import torch
from ase.data import chemical_symbols
from jaxtyping import Float, Int
from torch import Tensor, nn

from hermtk_rmconv.formulas import EPS, fading, radial_basis, shifted_softplus, soft_length

Kind = Literal["HVNet", "HTNet"]
Features = tuple[Tensor, Tensor]
# the embedding has a row per atomic number
ROWS = 119


class Outcome(NamedTuple):
    """Energies [S], pooled scalars [S, F], and each layer's features s [A, F] and v [A, F, 3]."""

    energy: Tensor
    pool: Tensor
    features: list[Features]


class Geometry(NamedTuple):
    """Of some edges: radial basis [E, l], faded lengths [E, 1] and shortened unit vectors d/r [E, 3]."""

    basis: Tensor
    near: Tensor
    along: Tensor


class ShiftedSoftplus(nn.Module):
    """The activation, as a module."""

    def forward(self, x: Tensor) -> Tensor:
        return shifted_softplus(x)


class RMConv(nn.Module):
    """One relation's message and update: HVNet's form, or HTNet's."""

    def __init__(self, features: int, n_basis: int, kind: Kind, cutoff: float, eps: float, dropout: float):
        """``dropout`` acts inside both node networks in training mode; ``cutoff`` in Angstrom."""
        super().__init__()
        self.kind, self.cutoff, self.eps = kind, cutoff, eps
        self.ms1 = nn.Linear(features, features)
        self.ms2 = nn.Linear(features, 3 * features)
        self.mv = nn.Linear(n_basis, 3 * features)
        self.us1 = nn.Linear(2 * features if kind == "HVNet" else features, features)
        self.us2 = nn.Linear(features, 3 * features)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        features: Features,
        source: Int[Tensor, " edges"],
        destination: Int[Tensor, " edges"],
        geometry: Geometry,
        side: Int[Tensor, " edges"] | None,
    ) -> tuple[Float[Tensor, "atoms f"], Float[Tensor, "atoms f 3"]]:
        """The change of every atom, zero without edges. ``side``: 0 or 1 where the relation has two kinds of sources."""
        s, v = features
        phi = self.ms2(self.dropout(shifted_softplus(self.ms1(s))))  # (A, 3F)
        a, b, c = (phi[source] * self.filter(geometry)).chunk(3, dim=-1)  # (E, F)
        along = geometry.along.unsqueeze(1)  # (E, 1, 3)
        ds = _sum(b, destination, s)
        dv = _sum(v[source] * a.unsqueeze(-1) + c.unsqueeze(-1) * along, destination, v)
        s, v = s + ds, v + dv

        seen = s if self.kind == "HTNet" else torch.cat([soft_length(v, -1, self.eps), s], dim=-1)
        q = self.us2(self.dropout(shifted_softplus(self.us1(seen))))  # (A, 3F)
        edges = torch.bincount(destination, minlength=len(s)).clamp(min=1).to(s.dtype).unsqueeze(-1)  # (A, 1)
        alpha, beta, gamma = (_sum(q[source], destination, q) / edges).chunk(3, dim=-1)
        sent = v[source]
        mean = _sum(sent, destination, v) / edges.unsqueeze(-1)
        if side is None:
            squared = mean.square().sum(-1)
            angle = squared / (squared + self.eps)
        else:
            shares = (sent * (side == k).reshape(-1, 1, 1) for k in (0, 1))
            first, second = (_sum(share, destination, v) / edges.unsqueeze(-1) for share in shares)
            lengths = soft_length(first, -1, self.eps) * soft_length(second, -1, self.eps)
            angle = (first * second).sum(-1) / lengths
        return ds + angle * beta + gamma, dv + alpha.unsqueeze(-1) * mean

    def filter(self, geometry: Geometry) -> Float[Tensor, "edges columns"]:
        """HVNet: faded columns. HTNet: one number an edge, the fading function of the filter's own length."""
        filtered = self.mv(geometry.basis)
        return geometry.near * filtered if self.kind == "HVNet" else fading(filtered, self.cutoff, self.eps)


class Layer(nn.Module):
    """The mean of the relations that hold edges in the batch, of their complete outputs."""

    def __init__(self, mods: dict[str, RMConv]):
        super().__init__()
        self.mods = nn.ModuleDict(mods)

    def forward(
        self,
        features: Features,
        numbers: Int[Tensor, " atoms"],
        source: Int[Tensor, " edges"],
        destination: Int[Tensor, " edges"],
        geometry: Geometry,
    ) -> Features:
        """New features of all atoms. Where no relation holds an edge they stay (the published code fails there)."""
        s, v = features
        changes = []
        for name, relation in self.mods.items():
            held, side = _members(name, numbers[source], numbers[destination])
            if not len(held):
                continue
            part = Geometry(*(column[held] for column in geometry))
            sides = None if side is None else side[held]
            changes.append(relation(features, source[held], destination[held], part, sides))
        if not changes:
            return features
        ds, dv = (torch.stack(parts).mean(0) for parts in zip(*changes, strict=True))
        return s + ds, v + dv


class Network(nn.Module):
    """Embedding, layers, and a network on the pooled scalars: HVNet or HTNet by the names of its relations."""

    def __init__(
        self,
        kind: Kind,
        elements: Sequence[str],
        *,
        features: int = 128,
        n_basis: int = 30,
        layers: int = 4,
        cutoff: float = 5.0,
        intensive: bool = False,
        eps: float = EPS,
        dropout: float = 0.5,
    ) -> None:
        """Defaults are the published ones.

        Args:
            kind: which of the two.
            elements: symbols; the order names HTNet's relations.
            features: width F.
            n_basis: radial functions.
            layers: how many of them.
            cutoff: Angstrom.
            intensive: pool by the mean over atoms in place of the sum.
            eps: added under every length.
            dropout: in training mode, inside the relations; the read-out always has one half.
        """
        super().__init__()
        self.kind, self.elements, self.cutoff, self.intensive = kind, tuple(elements), cutoff, intensive
        self.n_basis, self.eps, self.depth = n_basis, eps, layers
        self.embed = nn.Embedding(ROWS, features)
        names = relation_names(kind, elements)
        for number in range(1, layers + 1):
            mods = {name: RMConv(features, n_basis, kind, cutoff, eps, dropout) for name in names}
            self.add_module(f"hermconv{number}", Layer(mods))
        self.fc = nn.Sequential(
            nn.Linear(features, features), ShiftedSoftplus(), nn.Dropout(0.5), nn.Linear(features, 1)
        )

    def forward(
        self,
        numbers: Int[Tensor, " atoms"],
        vectors: Float[Tensor, "edges 3"],
        source: Int[Tensor, " edges"],
        destination: Int[Tensor, " edges"],
        batch: Int[Tensor, " atoms"],
        structures: int,
    ) -> Outcome:
        """Energies of the structures, eV. ``vectors`` belong to the edges, Angstrom; ``batch``: each atom's structure."""
        features = self.embed(numbers), vectors.new_zeros(len(numbers), self.embed.embedding_dim, 3)
        geometry = self.geometry(vectors)
        found = []
        for number in range(1, self.depth + 1):
            layer = self.get_submodule(f"hermconv{number}")
            features = layer(features, numbers, source, destination, geometry)
            found.append(features)
        pool = features[0].new_zeros(structures, self.embed.embedding_dim).index_add(0, batch, features[0])
        if self.intensive:
            pool = pool / torch.bincount(batch, minlength=structures).clamp(min=1).unsqueeze(-1)
        return Outcome(self.fc(pool).squeeze(-1), pool, found)

    def geometry(self, vectors: Float[Tensor, "edges 3"]) -> Geometry:
        """What the relations see of the edges; eps enters the basis twice."""
        r = soft_length(vectors, -1, self.eps)
        near = fading(r.unsqueeze(-1), self.cutoff, self.eps)
        return Geometry(radial_basis(r, self.cutoff, self.n_basis, self.eps), near, vectors / r.unsqueeze(-1))


def HVNet(elements: Sequence[str], **options) -> Network:
    """The network with a relation per element of the destination; options as ``Network``."""
    return Network("HVNet", elements, **options)


def HTNet(elements: Sequence[str], **options) -> Network:
    """The network with a relation per triad A-B-C, B the destination, A and C the sources; options as ``Network``."""
    return Network("HTNet", elements, **options)


def relation_names(kind: Kind, elements: Sequence[str]) -> list[str]:
    """The elements, or all ``A-B-C`` with A not after C in the list."""
    if kind == "HVNet":
        return list(elements)
    place = {element: k for k, element in enumerate(elements)}
    return [f"{a}-{b}-{c}" for a, b, c in product(elements, repeat=3) if place[a] <= place[c]]


def _members(name: str, source: Tensor, destination: Tensor) -> tuple[Tensor, Tensor | None]:
    """The edges of a relation, from the atomic numbers at both ends, and the side of every edge if there are two."""
    *outer, middle = [chemical_symbols.index(symbol) for symbol in _ends_first(name)]
    held = destination == middle
    if outer:
        held = held & ((source == outer[0]) | (source == outer[1]))
    side = (source == outer[1]).long() if outer and outer[0] != outer[1] else None
    return held.nonzero().squeeze(-1), side


def _ends_first(name: str) -> list[str]:
    parts = name.split("-")
    return [parts[0], parts[2], parts[1]] if len(parts) == 3 else parts


def _sum(rows: Tensor, index: Tensor, like: Tensor) -> Tensor:
    """Rows added up at each atom, in the shape of ``like``."""
    return torch.zeros_like(like).index_add(0, index, rows)
