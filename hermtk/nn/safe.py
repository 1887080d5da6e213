"""Functions whose derivatives stay finite where the obvious form's do not."""

import torch
from jaxtyping import Float
from torch import Tensor

# Far below the scale of features (order 1): smooth at zero, no visible effect elsewhere.
TINY = 1e-6


def norm_over_components(vectors: Float[Tensor, "rows m channels"]) -> Float[Tensor, "rows channels"]:
    """sqrt(|v|^2 + eps^2) - eps over the middle dimension: zero at zero, smooth to every order."""
    return (vectors.square().sum(dim=1) + TINY**2).sqrt() - TINY


def length(vectors: Float[Tensor, "rows 3"]) -> Float[Tensor, " rows"]:
    """Length of edge vectors. Edges join atoms at different places, so no guard is needed or wanted."""
    return torch.linalg.vector_norm(vectors, dim=1)
