"""How far two results are apart, as a share of their size."""

import torch
from torch import Tensor

# results below this are as good as zero: eV, eV/Angstrom
_SMALL = 1e-2


def apart(first: Tensor, second: Tensor) -> float:
    """Largest difference over the largest value; NaN if anything is NaN, infinite if the shapes differ."""
    if first.shape != second.shape:
        return float("inf")
    if not first.numel():
        return 0.0
    first, second = first.detach().double(), second.detach().double()
    size = torch.maximum(first.abs().max(), second.abs().max()).clamp(min=_SMALL)
    return float((first - second).abs().max() / size)
