"""Sums of rows into slots."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from hermtk import backends


def segment_sum(
    values: Float[Tensor, "rows *rest"], index: Int[Tensor, " rows"], size: int
) -> Float[Tensor, "{size} *rest"]:
    """Add each row of ``values`` to the slot that ``index`` names.

    Fastest where ``index`` ascends. Deterministic on CPU, right to any order of differentiation. By torch-scatter where it is
    installed, but not under ``torch.compile``.
    """
    if not torch.compiler.is_compiling():
        summed = backends.scatter_sum(values, index, size)
        if summed is not None:
            return summed
    return values.new_zeros((size, *values.shape[1:])).index_add(0, index, values)
