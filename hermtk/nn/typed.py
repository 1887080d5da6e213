"""Linear maps whose weights depend on the row's relation; rows are sorted by relation.

    y_n = x_n W[r(n)] + b[r(n)]

Two custom operators, the segment product and the segment outer product, are each the other's derivative, so that any order of
differentiation works, also under ``torch.compile`` and in float64. In eager float32 torch's grouped matrix product does the
same with less overhead, unless there are many rows and a bias, which it cannot add.
"""

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from hermtk.relations.union import Rows

_GROUPED = hasattr(F, "grouped_mm")
_MANY = 64  # rows per relation from which one call for each costs less than a second pass over the result


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
        return _affine(x, self.weight, self.bias, rows)

    def part(
        self, x: Float[Tensor, "rows some"], rows: Rows, outputs: Sequence[slice] | None = None
    ) -> Float[Tensor, "rows wanted"]:
        """What x makes as the first of the inputs, the others zero; of the outputs those in ``outputs``, if given."""
        weight, bias = self.weight[:, : x.shape[1]].contiguous(), self.bias
        if outputs is not None:
            weight, bias = columns(weight, outputs), None if bias is None else columns(bias, outputs)
        return _affine(x, weight, bias, rows)

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

    def part(
        self, x: Float[Tensor, "rows some"], rows: Rows, outputs: Sequence[slice]
    ) -> Float[Tensor, "rows wanted"]:
        """What x makes as the first of the inputs, the others zero; of the outputs those in ``outputs``."""
        return self.second.part(F.silu(self.first.part(x, rows)), rows, outputs)


def columns(weight: Float[Tensor, "*any outputs"], wanted: Sequence[slice]) -> Float[Tensor, "*any wanted"]:
    """Some of the outputs."""
    return torch.cat([weight[..., some] for some in wanted], dim=-1)


def _one_call_each(x: Tensor, weight: Tensor) -> bool:
    # not in training, where the operator would always compute the weights' gradient, wanted or not
    learning = weight.requires_grad and torch.is_grad_enabled()
    many = x.shape[0] >= _MANY * weight.shape[0]
    return many and not learning and not torch.compiler.is_compiling()


def _affine(x: Tensor, weight: Tensor, bias: Tensor | None, rows: Rows) -> Tensor:
    if bias is None:
        return typed_product(x, weight, rows)
    if weight.shape[0] == 1:
        return torch.addmm(bias, x, weight[0])
    if _one_call_each(x, weight):
        return _segment_affine(x, weight, bias, rows.relation, rows.ends)
    return typed_product(x, weight, rows) + bias.index_select(0, rows.relation)


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


@torch.library.custom_op("hermtk::segment_affine", mutates_args=())
def _segment_affine(x: Tensor, weight: Tensor, bias: Tensor, relation: Tensor, ends: Tensor) -> Tensor:
    y = x.new_empty(x.shape[0], weight.shape[2])
    counts = ends.diff(prepend=ends.new_zeros(1)).tolist()
    for b, part, w, out in zip(bias, x.split(counts), weight, y.split(counts), strict=True):
        torch.addmm(b, part, w, out=out)
    return y


@_segment_product.register_fake
def _(x: Tensor, weight: Tensor, ends: Tensor) -> Tensor:
    return x.new_empty(x.shape[0], weight.shape[2])


@_segment_affine.register_fake
def _(x: Tensor, weight: Tensor, bias: Tensor, relation: Tensor, ends: Tensor) -> Tensor:
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


def _affine_save(ctx, inputs, output) -> None:
    x, weight, _, relation, ends = inputs
    ctx.save_for_backward(x, weight, relation, ends)


def _affine_backward(ctx, g):
    x, weight, relation, ends = ctx.saved_tensors
    rows = Rows(relation, ends)
    slopes = typed_product(g, weight.transpose(1, 2), rows) if ctx.needs_input_grad[0] else None
    changes = _segment_outer(x, g, ends) if ctx.needs_input_grad[1] else None
    shifts = g.new_zeros(weight.shape[0], g.shape[1]).index_add(0, relation, g)
    return slopes, changes, shifts, None, None


_segment_affine.register_autograd(_affine_backward, setup_context=_affine_save)
_segment_product.register_autograd(_product_backward, setup_context=_save)
_segment_outer.register_autograd(_outer_backward, setup_context=_save)
