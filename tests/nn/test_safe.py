"""Norms that can be differentiated at zero."""

import torch

from hermtk.nn.safe import length, norm_over_components


def test_a_zero_vector_has_zero_norm_and_zero_slope():
    v = torch.zeros(2, 3, 4, dtype=torch.float64, requires_grad=True)
    norm = norm_over_components(v)
    (slope,) = torch.autograd.grad(norm.sum(), v, create_graph=True)
    assert not norm.any()
    assert not slope.any()
    (curvature,) = torch.autograd.grad(slope[0, 0, 0], v)
    assert torch.isfinite(curvature).all()


def test_the_curvature_at_zero_is_no_larger_than_features_need():
    v = torch.zeros(1, 3, 1, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(norm_over_components(v).sum(), v, create_graph=True)
    (curvature,) = torch.autograd.grad(slope[0, 0, 0], v)
    assert 1 < float(curvature[0, 0, 0]) <= 100


def test_a_long_vector_has_its_length_less_a_constant():
    v = torch.randn(1, 3, 4, dtype=torch.float64) * 1e3
    rest = norm_over_components(v) - v.norm(dim=1)
    torch.testing.assert_close(rest, rest[:, :1].expand_as(rest), rtol=1e-2, atol=0)


def test_norms_can_be_differentiated_twice():
    v = torch.randn(2, 3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(norm_over_components, (v,))
    assert torch.autograd.gradgradcheck(norm_over_components, (v,))


def test_lengths_are_lengths():
    assert length(torch.tensor([[3.0, 0, 4], [0, 0, 2]])).tolist() == [5, 2]
    assert length(torch.zeros(0, 3)).shape == (0,)
