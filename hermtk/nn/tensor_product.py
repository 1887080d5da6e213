"""Channel-wise products of spherical tensors with e3nn's Clebsch-Gordan coefficients, natural parity (-1)^l throughout.

A path (l1, l2, l3) couples an order l1 and an order l2 to an order l3: |l1 - l2| <= l3 <= l1 + l2, and l1 + l2 + l3 even, as
parity wants. The coefficients are normalised so that independent components of variance one make components of variance one.
Where all orders lie side by side, order l begins at l^2.
"""

from functools import cache

import numpy as np
import torch
from e3nn import o3
from jaxtyping import Float
from torch import Tensor, nn

from hermtk.kernels import convolution as kernels
from hermtk.nn.convolution import Routes, convolve
from hermtk.nn.couplings import Couplings, Entry
from hermtk.relations.union import Rows

Path = tuple[int, int, int]


def allowed_paths(l_max: int) -> list[Path]:
    """All paths between orders up to ``l_max``, those to the lowest order first."""
    orders = range(l_max + 1)
    return [
        (l1, l2, l3)
        for l3 in orders
        for l1 in orders
        for l2 in orders
        if abs(l1 - l2) <= l3 <= l1 + l2 and (l1 + l2 + l3) % 2 == 0
    ]


def paths_to(l_max: int) -> list[int]:
    """How many paths lead to each order."""
    paths = allowed_paths(l_max)
    return [sum(path[2] == order for path in paths) for order in range(l_max + 1)]


@cache
def coefficients(path: Path) -> np.ndarray:
    """sqrt(2 l3 + 1) times e3nn's Wigner 3j symbol, [2 l1 + 1, 2 l2 + 1, 2 l3 + 1]: its "component" normalisation."""
    found = o3.wigner_3j(*path, dtype=torch.float64).numpy() * (2 * path[2] + 1) ** 0.5
    return np.where(np.abs(found) < 1e-12, 0.0, found)


@cache
def message_couplings(l_max: int) -> Couplings:
    """A neighbour's features times the spherical harmonics of its direction, a filter for every path, for ``convolve``.

    In the result every path has components of its own, so that a linear map can mix them: for each order, component by
    component, the paths to that order. Harmonics are those of ``spherical_harmonics``, each order of length one.
    """
    paths, entries, start = allowed_paths(l_max), [], 0
    for order, count in enumerate(paths_to(l_max)):
        into = [path for path in paths if path[2] == order]
        for place, path in enumerate(into):
            # from length one to variance one of each component
            values = coefficients(path) * (2 * path[1] + 1) ** 0.5
            entries += [
                Entry(
                    path=paths.index(path),
                    inp=path[0] ** 2 + a,
                    ang=path[1] ** 2 + b,
                    out=start + c * count + place,
                    coefficient=float(values[a, b, c]),
                )
                for a, b, c in np.argwhere(values).tolist()
            ]
        start += (2 * order + 1) * count
    size = (l_max + 1) ** 2
    return Couplings(tuple(entries), inputs=size, angulars=size, outputs=start)


@cache
def opening_couplings(l_max: int) -> Couplings:
    """Of ``message_couplings`` the paths (0, l, l), the first to each order: all there is while the features are scalars."""
    entries = [
        Entry(path=order, inp=0, ang=at, out=at, coefficient=float((2 * order + 1) ** 0.5 * values[m, m]))
        for order, values in enumerate(coefficients((0, order, order))[0] for order in range(l_max + 1))
        for m, at in enumerate(range(order**2, (order + 1) ** 2))
    ]
    size = (l_max + 1) ** 2
    return Couplings(tuple(entries), inputs=1, angulars=size, outputs=size)


class TensorProduct(nn.Module):
    """All allowed products of two sets of spherical tensors, channel by channel; products to the same order are added.

    out_l3 = n_l3^(-1/2) sum over paths (l1, l2, l3) of sqrt(2 l3 + 1) <l1 l2|l3> a_l1 b_l2, n_l3 the number of paths.
    """

    def __init__(self, l_max: int) -> None:
        super().__init__()
        size = (l_max + 1) ** 2
        dense, counts = np.zeros((size, size, size)), paths_to(l_max)
        for path in allowed_paths(l_max):
            place = tuple(slice(order**2, (order + 1) ** 2) for order in path)
            dense[place] = coefficients(path) * counts[path[2]] ** -0.5
        # for the kernels a row is its own neighbour: a its features, b the filters
        entries = [Entry(b, a, 0, c, float(dense[a, b, c])) for a, b, c in np.argwhere(dense).tolist()]
        self.couplings = Couplings(tuple(entries), inputs=size, angulars=1, outputs=size)
        # no buffer: single precision would cost it digits for good
        self.dense = torch.as_tensor(dense.reshape(size * size, size).T.copy())
        self.by_scalars = [float(dense[0, order**2, order**2]) for order in range(l_max + 1)]

    def with_scalars(
        self, scalars: Float[Tensor, "rows 1 channels"], b: tuple[Tensor, ...]
    ) -> tuple[Tensor, ...]:
        """The same where the first of the two has no other orders; b and the product order by order."""
        return tuple(factor * scalars * f for factor, f in zip(self.by_scalars, b, strict=True))

    def forward(
        self, a: Float[Tensor, "rows size channels"], b: Float[Tensor, "rows size channels"]
    ) -> Float[Tensor, "rows size channels"]:
        """Both with all orders side by side."""
        if not kernels.usable(a):
            return self.dense.to(a) @ (a.unsqueeze(2) * b.unsqueeze(1)).flatten(1, 2)
        rows, one = a.shape[0], a.new_ones(1, 1)
        each = torch.arange(rows, device=a.device)
        first = torch.zeros_like(each)
        routes = Routes(
            first, each, each, each, rows, Rows(first, each.new_full((1,), rows, dtype=torch.int32))
        )
        filters = one.expand(1, 1, b.shape[1] * b.shape[2])
        return convolve(a, b.flatten(1), one, filters, one, self.couplings, routes)
