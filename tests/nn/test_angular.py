"""Spherical harmonics: e3nn's, each order of length one, smooth in the direction."""

import pytest
import torch
from e3nn import o3

from hermtk.nn.angular import spherical_harmonics
from hermtk.testing.laws.symmetry import wigner

ORDERS = range(5)


def directions(count: int = 20) -> torch.Tensor:
    random = torch.Generator().manual_seed(0)
    vectors = torch.randn(count, 3, generator=random, dtype=torch.float64)
    axes = torch.cat([torch.eye(3), -torch.eye(3)]).double()
    return torch.cat([vectors / vectors.norm(dim=1, keepdim=True), axes])


@pytest.mark.parametrize("l_max", ORDERS)
def test_they_are_those_of_e3nn(l_max: int):
    found = spherical_harmonics(directions(), l_max)
    expected = o3.spherical_harmonics(
        list(range(l_max + 1)), directions(), normalize=True, normalization="norm"
    )
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-13)


def test_component_normalisation_is_a_factor_per_order():
    ours = spherical_harmonics(directions(), 3)
    factors = torch.tensor([size**0.5 for size in (1, 3, 5, 7) for _ in range(size)], dtype=torch.float64)
    theirs = o3.spherical_harmonics([0, 1, 2, 3], directions(), normalize=True, normalization="component")
    torch.testing.assert_close(ours * factors, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("l_max", ORDERS)
def test_every_order_has_length_one(l_max: int):
    components = spherical_harmonics(directions(), l_max)
    assert components.shape == (26, (l_max + 1) ** 2)
    for part in components.split([2 * order + 1 for order in range(l_max + 1)], dim=1):
        torch.testing.assert_close(part.norm(dim=1), torch.ones(26, dtype=torch.float64))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_first_four_are_one_and_the_direction(dtype: torch.dtype):
    unit = directions().to(dtype)
    for l_max in (1, 2, 3):
        found = spherical_harmonics(unit, l_max)
        assert found.dtype == dtype
        torch.testing.assert_close(found[:, :4], torch.cat([torch.ones_like(unit[:, :1]), unit], dim=1))
    assert torch.equal(spherical_harmonics(unit, 0), torch.ones_like(unit[:, :1]))


def test_they_turn_with_the_direction_and_keep_their_parity():
    turn = o3.angles_to_matrix(*torch.tensor([0.3, 1.1, -2.0], dtype=torch.float64))
    before, after = spherical_harmonics(directions(), 4), spherical_harmonics(directions() @ -turn.T, 4)
    for order in ORDERS:
        part = slice(order**2, (order + 1) ** 2)
        expected = before[:, part] @ wigner(order, -turn.numpy()).T
        torch.testing.assert_close(after[:, part], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("l_max", ORDERS[1:])
def test_they_are_smooth_in_the_vector(l_max: int):
    def of_vectors(vectors: torch.Tensor) -> torch.Tensor:
        return spherical_harmonics(vectors / vectors.norm(dim=1, keepdim=True), l_max)

    # the poles among them, where angles would not be smooth
    vectors = (1.3 * directions(1)).requires_grad_()
    assert torch.autograd.gradcheck(of_vectors, (vectors,))
    assert torch.autograd.gradgradcheck(of_vectors, (vectors,))


def test_no_edges_have_no_components():
    assert spherical_harmonics(torch.zeros(0, 3), 2).shape == (0, 9)
