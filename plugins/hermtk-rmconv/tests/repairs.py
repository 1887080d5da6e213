"""The published layer with one defect repaired each, with all repaired, and with all repaired but one."""

from torch import Tensor

from hermtk.nn.segment import segment_sum
from hermtk.relations.union import UnionGraph
from hermtk.subnets.base import Edges
from hermtk_rmconv.subnet import RMConv


class Rounded(RMConv):
    """Lengths are rounded over a size that features have."""

    eps = 0.3


class Masked(RMConv):
    """The filter goes through the model's envelope too."""

    def filter(self, r: Tensor, edges: Edges) -> Tensor:
        return super().filter(r, edges) * edges.weight.unsqueeze(-1)


class Faded(RMConv):
    """Sums weighted by the envelope in place of plain means."""

    def mean(self, rows: Tensor, edges: Edges) -> Tensor:
        weight = edges.weight.reshape(-1, *[1] * (rows.ndim - 1))
        return segment_sum(rows * weight, edges.union.center, edges.union.center_atom.shape[0])


class OneShell(RMConv):
    """Sources are seen as they came."""

    def seen(self, old: Tensor, change: Tensor, union: UnionGraph) -> Tensor:
        return old


class Repaired(Rounded, Masked, Faded, OneShell):
    """All four."""


class SmallEps(Masked, Faded, OneShell):
    """All but the first."""


class NoMask(Rounded, Faded, OneShell):
    """All but the second."""


class PlainMeans(Rounded, Masked, OneShell):
    """All but the third."""


class SecondShell(Rounded, Masked, Faded):
    """All but the fourth."""
