"""Channel-wise tensor products against e3nn's own: values, first and second derivatives."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from e3nn import o3
from torch import Tensor

from hermtk.nn.angular import spherical_harmonics
from hermtk.nn.convolution import Routes, convolve, convolve_by_torch
from hermtk.nn.tensor_product import TensorProduct, allowed_paths, coefficients, message_couplings, paths_to
from hermtk.relations.union import Rows
from hermtk.testing.structures import rotations

CHANNELS = 4
L_MAX = (0, 1, 2, 3)


@pytest.fixture(autouse=True)
def double_by_default() -> Iterator[None]:
    """e3nn keeps its constants in the default precision."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def irrep(order: int) -> Any:
    """Natural parity; e3nn has no types here."""
    return o3.Irrep(order, (-1) ** order)


def irreps(l_max: int, channels: int = CHANNELS) -> Any:
    return o3.Irreps(" + ".join(f"{channels}x{order}{'eo'[order % 2]}" for order in range(l_max + 1)))


def close(found: list[Tensor], expected: list[Tensor]) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def to_e3nn(h: Tensor, l_max: int) -> Tensor:
    """[rows, (l_max+1)^2, channels] in e3nn's layout: order by order, channel by channel."""
    parts = h.split([2 * order + 1 for order in range(l_max + 1)], dim=1)
    return torch.cat([part.transpose(1, 2).flatten(1) for part in parts], dim=1)


def from_e3nn(h: Tensor, orders: list[int]) -> Tensor:
    """[rows, components, channels]: the inverse for a list of orders."""
    parts = h.split([(2 * order + 1) * CHANNELS for order in orders], dim=1)
    return torch.cat([p.unflatten(1, (CHANNELS, -1)).transpose(1, 2) for p in parts], dim=1)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=random, dtype=torch.float64).requires_grad_()


def derivatives(product, *inputs: Tensor) -> list[Tensor]:
    """Values, the gradients of a scalar of them, and those of a scalar of these."""
    y = product(*inputs)
    first = torch.autograd.grad(y.sin().sum(), inputs, create_graph=True, materialize_grads=True)
    slopes = torch.stack([g.square().sum() for g in first]).sum()
    return [y, *first, *torch.autograd.grad(slopes, inputs, materialize_grads=True)]


def test_paths_are_those_that_angular_momentum_and_parity_allow():
    for l_max in L_MAX:
        found = {
            (l1, l2, out.l)
            for l1 in range(l_max + 1)
            for l2 in range(l_max + 1)
            for out in irrep(l1) * irrep(l2)
            if out.l <= l_max and out.p == (-1) ** out.l
        }
        assert set(allowed_paths(l_max)) == found
        assert sum(paths_to(l_max)) == len(allowed_paths(l_max)) == len(found)
    assert len(allowed_paths(2)) == 11


@pytest.mark.parametrize("path", allowed_paths(3), ids=str)
def test_coefficients_keep_the_variance(path):
    """Independent components of variance one make components of variance one."""
    variance = coefficients(path) ** 2
    assert variance.sum(axis=(0, 1)) == pytest.approx(1)


@pytest.mark.parametrize("l_max", L_MAX)
def test_a_product_is_e3nns(l_max):
    paths = allowed_paths(l_max)
    theirs = o3.TensorProduct(
        irreps(l_max),
        irreps(l_max),
        irreps(l_max),
        [(l1, l2, l3, "uuu", False) for l1, l2, l3 in paths],
        irrep_normalization="component",
        path_normalization="path",
    ).double()
    size = (l_max + 1) ** 2
    a, b = drawn(5, size, CHANNELS), drawn(5, size, CHANNELS, seed=1)

    def reference(a: Tensor, b: Tensor) -> Tensor:
        return from_e3nn(theirs(to_e3nn(a, l_max), to_e3nn(b, l_max)), list(range(l_max + 1)))

    ours = TensorProduct(l_max)
    close(derivatives(ours, a, b), derivatives(reference, a, b))


@pytest.mark.parametrize("l_max", L_MAX)
def test_without_kernels_a_product_is_the_same(l_max, monkeypatch: pytest.MonkeyPatch):
    size = (l_max + 1) ** 2
    a, b = drawn(5, size, CHANNELS), drawn(5, size, CHANNELS, seed=1)
    product = TensorProduct(l_max)
    fast = derivatives(product, a, b)
    monkeypatch.setattr("hermtk.kernels.convolution.usable", lambda _: False)
    close(derivatives(product, a, b), fast)


def routes(edges: int, atoms: int) -> Routes:
    random = torch.Generator().manual_seed(2)
    each = torch.arange(edges)
    atom = torch.randint(atoms, (edges,), generator=random)
    ends = torch.tensor([edges // 2, edges], dtype=torch.int32)
    return Routes(each, atom, atom, each % 3, 3, Rows((each >= edges // 2).long(), ends))


@pytest.mark.parametrize("evaluate", [convolve, convolve_by_torch], ids=["kernel", "torch"])
@pytest.mark.parametrize("l_max", L_MAX)
def test_messages_are_e3nns(l_max, evaluate):
    """Every path with a filter of its own: e3nn's "uvu" with external weights, summed into rows."""
    paths, couplings = allowed_paths(l_max), message_couplings(l_max)
    theirs = o3.TensorProduct(
        irreps(l_max),
        irreps(l_max, 1),
        o3.Irreps([(CHANNELS, (l3, (-1) ** l3)) for _, _, l3 in paths]),
        [(l1, l2, place, "uvu", True) for place, (l1, l2, _) in enumerate(paths)],
        irrep_normalization="component",
        path_normalization="none",
        shared_weights=False,
        internal_weights=False,
    ).double()
    edges, atoms, radials = 9, 4, 3
    way = routes(edges, atoms)
    x, phi = drawn(atoms, (l_max + 1) ** 2, CHANNELS), drawn(atoms, len(paths) * CHANNELS, seed=3)
    rho, weight = drawn(edges, radials, seed=4), drawn(2, radials, len(paths) * CHANNELS, seed=5)
    vectors = drawn(edges, 3, seed=6)

    def angular(vectors: Tensor) -> Tensor:
        return spherical_harmonics(vectors / vectors.norm(dim=1, keepdim=True), l_max)

    def ours(x: Tensor, phi: Tensor, rho: Tensor, weight: Tensor, vectors: Tensor) -> Tensor:
        return evaluate(x, phi, rho, weight, angular(vectors), couplings, way)

    def reference(x: Tensor, phi: Tensor, rho: Tensor, weight: Tensor, vectors: Tensor) -> Tensor:
        filters = torch.einsum("kn,knp->kp", rho, weight[way.relations.relation]) * phi[way.source]
        harmonics = o3.spherical_harmonics(
            irreps(l_max, 1), vectors, normalize=True, normalization="component"
        )
        found = theirs(to_e3nn(x[way.atom], l_max), harmonics, filters)
        message = by_component(from_e3nn(found, [l3 for _, _, l3 in paths]), l_max)
        return message.new_zeros(way.rows, *message.shape[1:]).index_add(0, way.row, message)

    inputs = (x, phi, rho, weight, vectors)
    close(derivatives(ours, *inputs), derivatives(reference, *inputs))


def by_component(messages: Tensor, l_max: int) -> Tensor:
    """From path by path to, for each order, component by component the paths to it."""
    parts = messages.split([2 * l3 + 1 for _, _, l3 in allowed_paths(l_max)], dim=1)
    orders = [[p for p in parts if p.shape[1] == 2 * order + 1] for order in range(l_max + 1)]
    return torch.cat([torch.stack(found, dim=2).flatten(1, 2) for found in orders], dim=1)


@pytest.mark.parametrize(("name", "rotation"), rotations())
def test_a_product_turns_with_its_factors(name, rotation):
    turn = irreps(3, 1).D_from_matrix(torch.as_tensor(rotation))
    a, b, product = drawn(4, 16, CHANNELS), drawn(4, 16, CHANNELS, seed=1), TensorProduct(3)
    torch.testing.assert_close(product(turn @ a, turn @ b), turn @ product(a, b), rtol=0, atol=1e-11)


def test_a_product_of_two_independent_tensors_has_their_size():
    a, b = drawn(2000, 9, CHANNELS).detach(), drawn(2000, 9, CHANNELS, seed=1).detach()
    for part in TensorProduct(2)(a, b).split([1, 3, 5], dim=1):
        assert float(part.square().mean()) == pytest.approx(1, abs=0.1)


def test_the_coefficients_are_not_part_of_the_weights():
    product = TensorProduct(2).float()
    assert not product.state_dict()
    assert product.dense.dtype == torch.float64
