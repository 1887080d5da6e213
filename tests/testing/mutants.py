"""A small sound subnet, and ones that are wrong in a single place: each shows that a law can be broken."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hermtk.nn.radial import bessel
from hermtk.nn.safe import norm_over_components
from hermtk.nn.segment import segment_sum
from hermtk.nn.typed import TypedLinear, typed_product
from hermtk.subnets.base import Edges, Features, Subnet


class Sound(Subnet):
    """Neighbours send scalars and vectors; the centre takes the sums and the lengths of the vectors."""

    def __init__(self, channels: int, relations: int, n_radial: int) -> None:
        super().__init__(channels, relations, n_radial)
        self.source = TypedLinear(relations, channels, channels)
        self.filter = TypedLinear(relations, n_radial, 2 * channels, bias=False)
        self.update = TypedLinear(relations, 2 * channels, channels, bias=False)

    @property
    def l_max(self) -> int:
        return 1

    def forward(self, features: Features, edges: Edges) -> Features:
        s, v = features[0].squeeze(1), features[1]
        a, b = self.messages(s, v, edges)
        ds, dv = self.collect(a, edges), self.collect(b, edges)
        dv = self.turn(dv)
        ds = ds + self.mix(torch.cat([ds, self.norm(dv)], dim=-1), edges)
        return ds.unsqueeze(1), dv

    def messages(self, s: Tensor, v: Tensor, edges: Edges) -> tuple[Tensor, Tensor]:
        union = edges.union
        sent = torch.tanh(self.source(s[union.source_atom], union.sources))[union.neighbor]
        a, b = (self.weights(edges) * sent.repeat(1, 2)).chunk(2, dim=-1)
        vectors = self.directions(edges).unsqueeze(-1) + v[union.neighbor_atom]
        return a, vectors * b.unsqueeze(1)

    def weights(self, edges: Edges) -> Tensor:
        return self.filter(edges.radial, edges.union.edges)

    def directions(self, edges: Edges) -> Tensor:
        return edges.directions

    def collect(self, rows: Tensor, edges: Edges) -> Tensor:
        return segment_sum(rows, edges.union.center, edges.union.center_atom.shape[0])

    def turn(self, dv: Tensor) -> Tensor:
        return dv

    def norm(self, dv: Tensor) -> Tensor:
        return norm_over_components(dv)

    def mix(self, x: Tensor, edges: Edges) -> Tensor:
        return self.update(x, edges.union.centers)


class FreeBias(Sound):
    """A bias that the envelope does not multiply."""

    def weights(self, edges: Edges) -> Tensor:
        return super().weights(edges) + 0.1


class NoEnvelope(Sound):
    """A filter made of the bare radial basis."""

    def weights(self, edges: Edges) -> Tensor:
        basis = bessel(edges.distances, 4.3, self.n_radial)
        return self.filter(basis, edges.union.edges)


class MeanOfNeighbors(Sound):
    """Sums divided by the number of neighbours: the last one leaves with a jump."""

    def collect(self, rows: Tensor, edges: Edges) -> Tensor:
        one = torch.ones_like(edges.distances)
        return super().collect(rows, edges) / super().collect(one, edges).reshape(-1, *[1] * (rows.ndim - 1))


class SlotBias(Sound):
    """A change that exists as soon as there is an edge, however long."""

    def mix(self, x: Tensor, edges: Edges) -> Tensor:
        return super().mix(x, edges) + 0.1


class CenteredInBatch(Sound):
    """Messages less their mean over the batch."""

    def mix(self, x: Tensor, edges: Edges) -> Tensor:
        return super().mix(x - x.mean(0), edges)


class RunningStatistics(Sound):
    """Batch normalisation."""

    def __init__(self, channels: int, relations: int, n_radial: int) -> None:
        super().__init__(channels, relations, n_radial)
        self.normal = nn.BatchNorm1d(2 * channels)

    def mix(self, x: Tensor, edges: Edges) -> Tensor:
        return super().mix(self.normal(x), edges)


class Noise(Sound):
    """A little noise, always."""

    def mix(self, x: Tensor, edges: Edges) -> Tensor:
        return super().mix(x + 1e-9 * torch.randn_like(x), edges)


class DetachedEdge(Sound):
    """The derivative does not see the distance."""

    def weights(self, edges: Edges) -> Tensor:
        return self.filter(edges.radial.detach(), edges.union.edges)


class _StaleProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a: Tensor, b: Tensor) -> Tensor:
        ctx.save_for_backward(a.detach(), b.detach())
        return a * b

    @staticmethod
    def backward(ctx, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        a, b = (saved.detach() for saved in ctx.saved_tensors)
        return gradients[0] * b, gradients[0] * a


class StaleSecondDerivative(Sound):
    """A hand-written backward that cannot itself be differentiated."""

    def mix(self, x: Tensor, edges: Edges) -> Tensor:
        return super().mix(_StaleProduct.apply(x, x), edges)


class StaleWeightGradient(Sound):
    """The force does not see that it depends on a weight."""

    def weights(self, edges: Edges) -> Tensor:
        frozen = typed_product(edges.radial, self.filter.weight.detach(), edges.union.edges)
        return frozen + super().weights(edges).detach() - frozen.detach() + 0 * super().weights(edges)


class Pseudoscalar(Sound):
    """A triple product joins the scalars: it changes sign in a mirror."""

    def norm(self, dv: Tensor) -> Tensor:
        across = torch.linalg.cross(dv.roll(1, -1), dv.roll(2, -1), dim=1)
        return super().norm(dv) + (across * dv).sum(1)


class Pseudovector(Sound):
    """A cross product joins the vectors: it does not change sign in a mirror."""

    def turn(self, dv: Tensor) -> Tensor:
        return dv + torch.linalg.cross(dv.roll(1, -1), dv, dim=1)


class OneComponent(Sound):
    """The z component read as a scalar."""

    def norm(self, dv: Tensor) -> Tensor:
        return dv[:, 2]


class OneComponentKept(Sound):
    """Vectors with their z component enlarged; scalars are right."""

    def turn(self, dv: Tensor) -> Tensor:
        return dv * torch.tensor([1.0, 1.0, 1.1], dtype=dv.dtype).reshape(1, 3, 1)

    def norm(self, dv: Tensor) -> Tensor:
        return 0 * super().norm(dv)


class NormWithoutGuard(Sound):
    """sqrt of a sum of squares: no derivative at zero."""

    def norm(self, dv: Tensor) -> Tensor:
        return dv.square().sum(1).sqrt()


class NormWithTinyGuard(Sound):
    """A derivative at zero that is right in principle and a cone in practice."""

    def norm(self, dv: Tensor) -> Tensor:
        return (dv.square().sum(1) + 1e-12).sqrt() - 1e-6


class SinglePrecisionInside(Sound):
    """One step in float32, whatever the model's precision."""

    def directions(self, edges: Edges) -> Tensor:
        return edges.directions.float().to(edges.directions.dtype)


class Cancellation(Sound):
    """A large number added and taken away."""

    def mix(self, x: Tensor, edges: Edges) -> Tensor:
        return super().mix((x + 1e6) - 1e6, edges)


class CountsIndices(Sound):
    """A neighbour later in the list counts for more."""

    def messages(self, s: Tensor, v: Tensor, edges: Edges) -> tuple[Tensor, Tensor]:
        a, b = super().messages(s, v, edges)
        own = edges.union.center_atom[edges.union.center]
        return torch.where((edges.union.neighbor_atom > own).unsqueeze(-1), 1.1 * a, a), b


class SecondShell(Sound):
    """What the neighbour has just received is read in the same layer."""

    def messages(self, s: Tensor, v: Tensor, edges: Edges) -> tuple[Tensor, Tensor]:
        a, b = super().messages(s, v, edges)
        received = self.collect(a, edges)
        slot = edges.union.center_of_source[edges.union.neighbor]
        known = (slot >= 0).unsqueeze(-1)
        return a + torch.where(known, received[slot] * edges.weight.unsqueeze(-1), torch.zeros_like(a)), b


class MixesRelations(Sound):
    """Each relation's weights are pulled towards the mean of all."""

    def mix(self, x: Tensor, edges: Edges) -> Tensor:
        weight = 0.5 * (self.update.weight + self.update.weight.mean(0, keepdim=True))
        return typed_product(x, weight, edges.union.centers)


class NumbersRelations(Sound):
    """The place of a relation in the list is a feature."""

    def messages(self, s: Tensor, v: Tensor, edges: Edges) -> tuple[Tensor, Tensor]:
        a, b = super().messages(s, v, edges)
        return a * (1 + 0.1 * edges.union.edges.relation.unsqueeze(-1)), b


class CountsRelations(Sound):
    """Divided by how many relations the model has."""

    def mix(self, x: Tensor, edges: Edges) -> Tensor:
        return super().mix(x, edges) / self.relations


class DividesByAbsent(Sound):
    """Right in value, but the gradient of a relation without edges is not a number."""

    def mix(self, x: Tensor, edges: Edges) -> Tensor:
        rows = edges.union.centers
        held = torch.bincount(rows.relation, minlength=self.relations).to(x.dtype).reshape(-1, 1, 1)
        return typed_product(x, self.update.weight * held / held, rows)


class NeedsAnEdge(Sound):
    """Asks for the longest edge, and fails where there is none."""

    def mix(self, x: Tensor, edges: Edges) -> Tensor:
        return super().mix(x, edges) + 0 * edges.distances.max()


class Inert(Sound):
    """Changes nothing, ever."""

    def forward(self, features: Features, edges: Edges) -> Features:
        return tuple(0 * change for change in super().forward(features, edges))


class OtherWhenCompiled(Sound):
    """Takes another way under the compiler, and it is not the same way."""

    def mix(self, x: Tensor, edges: Edges) -> Tensor:
        return super().mix(x * (1 + 1e-6) if torch.compiler.is_compiling() else x, edges)


class LastMessageOnly(Sound):
    """Rows are written into their slot, not added: the last one stays."""

    def collect(self, rows: Tensor, edges: Edges) -> Tensor:
        empty = rows.new_zeros(edges.union.center_atom.shape[0], *rows.shape[1:])
        return empty.index_copy(0, edges.union.center, rows)


class CountsPlaces(Sound):
    """An edge's place in the list counts."""

    def messages(self, s: Tensor, v: Tensor, edges: Edges) -> tuple[Tensor, Tensor]:
        a, b = super().messages(s, v, edges)
        place = torch.arange(a.shape[0], dtype=a.dtype, device=a.device) % 2
        return a * (1 + 0.1 * place.unsqueeze(-1)), b


class LargestMessage(Sound):
    """The largest message in place of the sum: the choice changes with a jump."""

    def collect(self, rows: Tensor, edges: Edges) -> Tensor:
        slots = edges.union.center_atom.shape[0]
        index = edges.union.center.reshape(-1, *[1] * (rows.ndim - 1)).expand_as(rows)
        lowest = rows.new_zeros(slots, *rows.shape[1:])
        return lowest.scatter_reduce(0, index, rows, "amax", include_self=False)


class CountsEdges(Sound):
    """Divided by the number of edges in the batch."""

    def collect(self, rows: Tensor, edges: Edges) -> Tensor:
        return super().collect(rows, edges) / max(rows.shape[0], 1)


class RootOfTheWeight(Sound):
    """The envelope's square root fades with a kink."""

    def weights(self, edges: Edges) -> Tensor:
        weight = edges.weight.clamp(min=1e-30).sqrt().unsqueeze(-1)
        return self.filter(bessel(edges.distances, 4.0, self.n_radial), edges.union.edges) * weight


class WeightDividedOut(Sound):
    """The edge's features without their weight: zero over zero at the cut-off."""

    def weights(self, edges: Edges) -> Tensor:
        return self.filter(edges.radial / edges.weight.unsqueeze(-1), edges.union.edges)


class UpdateWithoutPresence(Sound):
    """The centre's own state changes as soon as there is an edge."""

    def forward(self, features: Features, edges: Edges) -> Features:
        ds, dv = super().forward(features, edges)
        return ds + 0.1 * features[0].index_select(0, edges.union.center_atom), dv


class ChangesFeaturesInPlace(Sound):
    """What comes in is scaled where it stands."""

    def forward(self, features: Features, edges: Edges) -> Features:
        return super().forward((features[0].mul_(1.1), features[1]), edges)


class ChangesEdgesInPlace(Sound):
    """The next layer finds other radial features."""

    def forward(self, features: Features, edges: Edges) -> Features:
        edges.geometry.radial.mul_(0.9)
        return super().forward(features, edges)


class Remembers(Sound):
    """The last call's mean goes into the next."""

    def __init__(self, channels: int, relations: int, n_radial: int) -> None:
        super().__init__(channels, relations, n_radial)
        self.last: Tensor | None = None

    def mix(self, x: Tensor, edges: Edges) -> Tensor:
        mixed = super().mix(x if self.last is None else x + 0.01 * x * self.last, edges)
        self.last = mixed.detach().sum()
        return mixed


class ScalesToFirstCall(Sound):
    """Divides by the size of the messages of the first call: what comes later depends on it."""

    def __init__(self, channels: int, relations: int, n_radial: int) -> None:
        super().__init__(channels, relations, n_radial)
        self.size: Tensor | None = None

    def mix(self, x: Tensor, edges: Edges) -> Tensor:
        if self.size is None and x.numel():
            self.size = 1 + x.detach().abs().mean()
        return super().mix(x if self.size is None else x / self.size, edges)


class Dropout(Sound):
    """Channels left out at random in training."""

    def mix(self, x: Tensor, edges: Edges) -> Tensor:
        return super().mix(F.dropout(x, 0.1, training=self.training), edges)


class DropoutAlways(Sound):
    """The same in evaluation too."""

    def mix(self, x: Tensor, edges: Edges) -> Tensor:
        return super().mix(F.dropout(x, 0.1), edges)


class UnitVectors(Sound):
    """Vectors over their lengths: not a number where they vanish."""

    def turn(self, dv: Tensor) -> Tensor:
        return dv / torch.linalg.vector_norm(dv, dim=1, keepdim=True)


class LooseTensor(Sound):
    """A tensor that is no buffer: it stays on its device."""

    def __init__(self, channels: int, relations: int, n_radial: int) -> None:
        super().__init__(channels, relations, n_radial)
        self.factor = torch.linspace(0.9, 1.1, 2 * channels)

    def mix(self, x: Tensor, edges: Edges) -> Tensor:
        return super().mix(x * self.factor, edges)


class DoubleInside(Sound):
    """A tensor of doubles, whatever the model's precision."""

    def mix(self, x: Tensor, edges: Edges) -> Tensor:
        factor = torch.linspace(0.9, 1.1, x.shape[-1], dtype=torch.float64, device=x.device)
        return super().mix(x * factor, edges)


class BranchesOnData(Sound):
    """Another way where messages are large."""

    def mix(self, x: Tensor, edges: Edges) -> Tensor:
        return super().mix(torch.tanh(x) if x.numel() and x.abs().max() > 100 else x, edges)


class SqueezedEdge(Sound):
    """``.squeeze()`` without a dimension: eats the only edge."""

    def messages(self, s: Tensor, v: Tensor, edges: Edges) -> tuple[Tensor, Tensor]:
        a, b = super().messages(s, v, edges)
        return a * edges.distances.unsqueeze(-1).squeeze().unsqueeze(1), b


class Untyped(Sound):
    """One filter and one update for all relations."""

    def __init__(self, channels: int, relations: int, n_radial: int) -> None:
        super().__init__(channels, relations, n_radial)
        self.source = nn.Linear(channels, channels)
        self.filter = nn.Linear(n_radial, 2 * channels, bias=False)
        self.update = nn.Linear(2 * channels, channels, bias=False)

    def messages(self, s: Tensor, v: Tensor, edges: Edges) -> tuple[Tensor, Tensor]:
        union = edges.union
        sent = torch.tanh(self.source(s[union.source_atom]))[union.neighbor]
        a, b = (self.filter(edges.radial) * sent.repeat(1, 2)).chunk(2, dim=-1)
        return a, (edges.directions.unsqueeze(-1) + v[union.neighbor_atom]) * b.unsqueeze(1)

    def mix(self, x: Tensor, edges: Edges) -> Tensor:
        return self.update(x)


class FirstRelationOnly(Sound):
    """All relations use the weights of the first, and each has some that nobody uses."""

    def weights(self, edges: Edges) -> Tensor:
        return edges.radial @ self.filter.weight[0]

    def mix(self, x: Tensor, edges: Edges) -> Tensor:
        return x @ self.update.weight[0]

    def messages(self, s: Tensor, v: Tensor, edges: Edges) -> tuple[Tensor, Tensor]:
        first = self.source.weight[0], self.source.bias
        assert first[1] is not None
        sent = torch.tanh(s[edges.union.neighbor_atom] @ first[0] + first[1][0])
        a, b = (self.weights(edges) * sent.repeat(1, 2)).chunk(2, dim=-1)
        return a, (edges.directions.unsqueeze(-1) + v[edges.union.neighbor_atom]) * b.unsqueeze(1)


class IdleWeight(Sound):
    """A weight that nothing depends on."""

    def __init__(self, channels: int, relations: int, n_radial: int) -> None:
        super().__init__(channels, relations, n_radial)
        self.idle = TypedLinear(relations, channels, channels, bias=False)


class DetachedWeight(Sound):
    """A weight that is used and never learns."""

    def mix(self, x: Tensor, edges: Edges) -> Tensor:
        return typed_product(x, self.update.weight.detach(), edges.union.centers)


class Quadrupoles(Sound):
    """Sound, with tensors of order 2 made of the edges' spherical harmonics."""

    @property
    def l_max(self) -> int:
        return 2

    def forward(self, features: Features, edges: Edges) -> Features:
        ds, dv = super().forward(features, edges)
        dt = self.collect((self.harmonics(edges) * edges.weight.unsqueeze(-1)).unsqueeze(-1), edges)
        dt = dt * ds
        read = features[2].index_select(0, edges.union.center_atom)
        return ds + norm_over_components(read + dt).unsqueeze(1) * edges.presence.reshape(-1, 1, 1), dv, dt

    def harmonics(self, edges: Edges) -> Tensor:
        return edges.angular[:, 4:9]


class QuadrupolesInAnotherOrder(Quadrupoles):
    """Components of order 2 in an order of their own."""

    def harmonics(self, edges: Edges) -> Tensor:
        return super().harmonics(edges).roll(1, dims=1)
