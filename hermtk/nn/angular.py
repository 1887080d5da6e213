"""Functions of a direction: real spherical harmonics."""

import torch
from e3nn import o3
from jaxtyping import Float
from torch import Tensor


def spherical_harmonics(
    directions: Float[Tensor, "edges 3"], l_max: int
) -> Float[Tensor, "edges components"]:
    """All orders up to ``l_max`` side by side, (l_max+1)^2 components, each order of length one: 1, then x, y, z, then ...

    e3nn's basis ("norm" normalisation); times sqrt(2l+1) it has e3nn's "component" normalisation.
    """
    if l_max > 1:
        return o3.spherical_harmonics(
            list(range(l_max + 1)), directions, normalize=False, normalization="norm"
        )
    one = torch.ones_like(directions[:, :1])
    return torch.cat([one, directions], dim=1) if l_max else one
