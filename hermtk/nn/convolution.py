"""The relational convolution: what a neighbour sends along an edge, summed over the edges of each centre slot.

    out[row(k), o, c] += sum over terms of  t x[atom(k), i, c] Y[edge(k), a] w[k, p, c]
    w[k, p, c] = phi[source(k), p, c] sum_n rho[edge(k), n] W[r(k), n, p, c]

k runs over the edges of the union, sorted by relation r(k); c over channels, which never mix. The list of terms
(``Couplings``) makes it SchNet's filter, PaiNN's message, or the channel-wise tensor product of NequIP and UNiTE. On CPU a
compiled kernel does it without ever writing an array of the size edges x channels; elsewhere torch does. Differentiable in
all of x, phi, rho, W and Y, by the kernel twice, by torch (``HERMTK_KERNELS=torch``) to any order.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import pad

from hermtk.kernels import convolution as kernels
from hermtk.nn.couplings import Couplings
from hermtk.nn.segment import segment_sum
from hermtk.nn.typed import typed_product
from hermtk.relations.union import Rows


@dataclass(frozen=True)
class Routes:
    """Where each of the K edges of the union reads and writes.

    Attributes:
        edge: row of ``radial`` and ``angular`` [K].
        source: row of ``source`` [K].
        atom: row of ``features`` [K].
        row: row of the result [K].
        rows: how many rows the result has.
        relations: how the K edges fall into relations.
    """

    edge: Int[Tensor, " k"]
    source: Int[Tensor, " k"]
    atom: Int[Tensor, " k"]
    row: Int[Tensor, " k"]
    rows: int
    relations: Rows


def convolve(
    features: Float[Tensor, "atoms inputs channels"],
    source: Float[Tensor, "sources filters"] | None,
    radial: Float[Tensor, "edges radials"],
    weight: Float[Tensor, "relations radials filters"],
    angular: Float[Tensor, "edges angulars"],
    couplings: Couplings,
    routes: Routes,
) -> Float[Tensor, "rows outputs channels"]:
    """The sum of the messages into each row.

    Args:
        features: x, what the neighbours hold.
        source: phi, a factor that depends on neighbour and relation; None for one.
        radial: rho, features of the distance that carry the envelope.
        weight: W, the typed linear map from rho to the filters.
        angular: Y, functions of the direction.
        couplings: the terms.
        routes: the indices.
    """
    if kernels.usable(features):
        indices = (routes.edge, routes.source, routes.atom, routes.row, routes.relations.ends)
        channels, paths = features.shape[2], couplings.paths
        spare = -channels % kernels.BLOCK
        summed = kernels.convolve(
            _widened(features, 1, spare),
            None if source is None else _widened(source, paths, spare),
            radial,
            _widened(weight, paths, spare),
            angular,
            *indices,
            routes.rows,
            couplings.text,
        )
        return summed[:, :, :channels] if spare else summed
    return convolve_by_torch(features, source, radial, weight, angular, couplings, routes)


def _widened(rows: Tensor, paths: int, spare: int) -> Tensor:
    """Zeros behind the channels of each path, so that the kernel can take whole blocks of them."""
    return pad(rows.unflatten(-1, (paths, -1)), (0, spare)).flatten(-2) if spare else rows


def convolve_by_torch(
    features: Tensor,
    source: Tensor | None,
    radial: Tensor,
    weight: Tensor,
    angular: Tensor,
    couplings: Couplings,
    routes: Routes,
) -> Tensor:
    """The same in torch's operations: on any device, in any trace, to any order of differentiation."""
    channels = features.shape[2]
    filters = typed_product(radial.index_select(0, routes.edge), weight, routes.relations)
    if source is not None:
        filters = filters * source.index_select(0, routes.source)
    paths = filters.unflatten(1, (couplings.paths, channels)).unbind(1)
    sent = features.index_select(0, routes.atom)
    functions = angular.index_select(0, routes.edge)
    parts: list[list[Tensor]] = [[] for _ in range(couplings.outputs)]
    for terms, path in zip(couplings.by_path, paths, strict=True):
        w = path.unsqueeze(1)  # (K, 1, C)
        y = functions[:, terms.angs]  # (K, angs)
        if terms.scaling is not None:
            factor = (terms.scaling * y).unsqueeze(2) * w
            message = factor if terms.only_filter else sent[:, terms.ins] * factor
        else:
            dense = torch.tensor(terms.dense, dtype=y.dtype, device=y.device)
            mixed = (y @ dense.flatten(1)).unflatten(1, dense.shape[1:]).transpose(1, 2)  # (K, outs, ins)
            reached = mixed if terms.only_filter else torch.bmm(mixed, sent[:, terms.ins])  # (K, outs, C)
            message = reached * w
        for place, out in enumerate(terms.outs):
            parts[out].append(message[:, place])
    zero = torch.zeros_like(paths[0])
    messages = torch.stack([sum(some[1:], some[0]) if some else zero for some in parts], dim=1)
    return segment_sum(messages, routes.row, routes.rows)
