"""Linear maps whose weights depend on the row's relation; rows are sorted by relation.

    y_n = x_n W[r(n)] + b[r(n)]

Two custom operators, the segment product and the segment outer product, are each the other's derivative, so that any order of
differentiation works, also under ``torch.compile`` and in float64. In eager float32 torch's grouped matrix product does the
same with less overhead.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from hermtk.relations.union import Rows

_GROUPED = hasattr(F, "grouped_mm")


def typed_product_reference(x: Tensor, weight: Tensor, rows: Rows) -> Tensor:
    """The obvious form: every row times its own relation's matrix. Copies a matrix per row; for tests."""
    return torch.bmm(x.unsqueeze(1), weight[rows.relation]).squeeze(1)


def typed_product(
    x: Float[Tensor, "rows inputs"], weight: Float[Tensor, "relations inputs outputs"], rows: Rows
) -> Float[Tensor, "rows outputs"]:
    """Every row times its relation's matrix."""
    if weight.shape[0] == 1:
        return x @ weight[0]
    if not torch.compiler.is_compiling() and _grouped_fits(x, weight):
        return F.grouped_mm(x, weight, offs=rows.ends)
    return _segment_product(x, weight, rows.ends)


class TypedLinear(nn.Module):
    """One linear map per relation."""

    def __init__(self, relations: int, inputs: int, outputs: int, bias: bool = True) -> None:
        """Weights start alike for all relations (variance 1/inputs), biases at zero."""
        super().__init__()
        start = torch.randn(inputs, outputs) * inputs**-0.5
        self.weight = nn.Parameter(start.expand(relations, inputs, outputs).clone())
        self.bias = nn.Parameter(torch.zeros(relations, outputs)) if bias else None

    def forward(self, x: Float[Tensor, "rows inputs"], rows: Rows) -> Float[Tensor, "rows outputs"]:
        """Map every row with its relation's weights."""
        y = typed_product(x, self.weight, rows)
        if self.bias is None:
            return y
        if self.bias.shape[0] == 1:
            return y + self.bias
        return y + self.bias.index_select(0, rows.relation)

    def extra_repr(self) -> str:
        """Relations x inputs -> outputs."""
        relations, inputs, outputs = self.weight.shape
        return f"{relations} x ({inputs} -> {outputs}), bias={self.bias is not None}"


class TypedMLP(nn.Module):
    """Linear, SiLU, linear, all typed."""

    def __init__(self, relations: int, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.first = TypedLinear(relations, inputs, hidden)
        self.second = TypedLinear(relations, hidden, outputs)

    def forward(self, x: Float[Tensor, "rows inputs"], rows: Rows) -> Float[Tensor, "rows outputs"]:
        """Both layers with the row's relation."""
        return self.second(F.silu(self.first(x, rows)), rows)


def over_components(rows: Rows, components: int) -> Rows:
    """The rows of a [rows, components, channels] tensor flattened to [rows * components, channels]."""
    return Rows(rows.relation.repeat_interleave(components), rows.ends * components)


def _grouped_fits(x: Tensor, weight: Tensor) -> bool:
    # torch's grouped product wants rows of whole 16 bytes and has no float64
    return (
        _GROUPED
        and x.dtype in (torch.float32, torch.bfloat16)
        and all((size * x.element_size()) % 16 == 0 for size in weight.shape[1:])
        and x.shape[0] > 0
    )


def _segments(ends: Tensor) -> Iterator[tuple[int, int, int]]:
    start = 0
    for relation, stop in enumerate(ends.tolist()):
        if stop > start:
            yield relation, start, stop
        start = stop


@torch.library.custom_op("hermtk::segment_product", mutates_args=())
def _segment_product(x: Tensor, weight: Tensor, ends: Tensor) -> Tensor:
    if _grouped_fits(x, weight):
        return F.grouped_mm(x.contiguous(), weight.contiguous(), offs=ends)
    y = x.new_empty(x.shape[0], weight.shape[2])
    for relation, start, stop in _segments(ends):
        torch.mm(x[start:stop], weight[relation], out=y[start:stop])
    return y


@torch.library.custom_op("hermtk::segment_outer", mutates_args=())
def _segment_outer(x: Tensor, g: Tensor, ends: Tensor) -> Tensor:
    if _grouped_fits(x, x.new_empty(1, x.shape[1], g.shape[1])):
        return F.grouped_mm(x.contiguous().t(), g.contiguous(), offs=ends)
    y = x.new_zeros(ends.shape[0], x.shape[1], g.shape[1])
    for relation, start, stop in _segments(ends):
        torch.mm(x[start:stop].t(), g[start:stop], out=y[relation])
    return y


@_segment_product.register_fake
def _(x: Tensor, weight: Tensor, ends: Tensor) -> Tensor:
    return x.new_empty(x.shape[0], weight.shape[2])


@_segment_outer.register_fake
def _(x: Tensor, g: Tensor, ends: Tensor) -> Tensor:
    return x.new_empty(ends.shape[0], x.shape[1], g.shape[1])


def _save(ctx, inputs, output) -> None:
    ctx.save_for_backward(*inputs)


def _product_backward(ctx, g):
    x, weight, ends = ctx.saved_tensors
    return _segment_product(g, weight.transpose(1, 2), ends), _segment_outer(x, g, ends), None


def _outer_backward(ctx, gw):
    x, g, ends = ctx.saved_tensors
    return _segment_product(g, gw.transpose(1, 2), ends), _segment_product(x, gw, ends), None


_segment_product.register_autograd(_product_backward, setup_context=_save)
_segment_outer.register_autograd(_outer_backward, setup_context=_save)
