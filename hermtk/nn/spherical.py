"""Linear maps of spherical tensors: channels are mixed within each order, directions kept."""

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from hermtk.nn.typed import TypedLinear, over_components
from hermtk.relations.union import Rows


class SphericalLinear(nn.Module):
    """A typed linear map without bias for each order."""

    def __init__(self, relations: int, inputs: Sequence[int], outputs: int) -> None:
        """``inputs``: the channels of each order."""
        super().__init__()
        self.orders = nn.ModuleList(TypedLinear(relations, n, outputs, bias=False) for n in inputs)

    def forward(self, features: tuple[Tensor, ...], rows: Rows) -> tuple[Tensor, ...]:
        """Features of order l are [rows, 2l+1, inputs of l]."""
        return tuple(_mapped(layer, f, rows) for f, layer in zip(features, self.orders, strict=True))

    def part(self, features: tuple[Tensor, ...], rows: Rows) -> tuple[Tensor, ...]:
        """Of the orders that are given what they make as the first of the inputs, the others zero."""
        found = []
        for f, layer in zip(features, self.orders, strict=False):
            assert isinstance(layer, TypedLinear)
            found.append(_mapped(layer.part, f, rows))
        return tuple(found)


def _mapped(linear: Callable[[Tensor, Rows], Tensor], features: Tensor, rows: Rows) -> Tensor:
    """Every component by the same map."""
    mapped = linear(features.flatten(0, 1), over_components(rows, features.shape[1]))
    return mapped.unflatten(0, features.shape[:2])
