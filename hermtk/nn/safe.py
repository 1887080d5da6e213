"""Functions whose derivatives stay finite where the obvious form's do not."""

import torch
from jaxtyping import Float
from torch import Tensor

# Below the scale of features (order 1), yet not tiny: where vectors cancel by symmetry (a perfect crystal) the curvature is
# 1/SOFT, so a tiny value leaves a cone there: forces that jump over a displacement of that size, and noise in single precision.
# With vectors that grow by one per Angstrom, displacements of 0.01 Angstrom still give force constants right to a percent.
SOFT = 0.1


def norm_over_components(vectors: Float[Tensor, "rows m channels"]) -> Float[Tensor, "rows channels"]:
    """sqrt(|v|^2 + SOFT^2) - SOFT over the middle dimension: zero at zero, smooth to every order."""
    return (vectors.square().sum(dim=1) + SOFT**2).sqrt() - SOFT


def length(vectors: Float[Tensor, "rows 3"]) -> Float[Tensor, " rows"]:
    """Length of edge vectors. Edges join atoms at different places, so no guard is needed or wanted."""
    return torch.linalg.vector_norm(vectors, dim=1)
