"""Radial bases: the formulas, and the derivatives that forces need."""

import math

import pytest
import torch

from hermtk.nn.radial import BASES, bessel, gaussian

CUTOFF = 4.3


def test_bessel_functions_are_those_of_the_paper():
    d = torch.tensor([0.8, 2.9], dtype=torch.float64)
    for row, distance in zip(bessel(d, CUTOFF, 4).tolist(), d.tolist(), strict=True):
        expected = [
            math.sqrt(2 / CUTOFF) * math.sin(k * math.pi * distance / CUTOFF) / distance for k in range(1, 5)
        ]
        assert row == pytest.approx(expected, rel=1e-13)


def test_bessel_functions_vanish_at_the_cutoff():
    assert bessel(torch.tensor([CUTOFF], dtype=torch.float64), CUTOFF, 5).abs().max() < 1e-14


def test_bessel_functions_are_orthonormal_in_the_sphere():
    d = torch.linspace(1e-6, CUTOFF, 4001, dtype=torch.float64)
    f = bessel(d, CUTOFF, 5)
    overlap = torch.trapezoid(f.unsqueeze(1) * f.unsqueeze(2) * d.square().reshape(-1, 1, 1), d, dim=0)
    torch.testing.assert_close(overlap, torch.eye(5, dtype=torch.float64), atol=1e-5, rtol=0)


def test_gaussians_peak_at_even_steps_with_that_width():
    centers = torch.linspace(0, CUTOFF, 6, dtype=torch.float64)
    values = gaussian(centers, CUTOFF, 6)
    torch.testing.assert_close(values.diagonal(), torch.ones(6, dtype=torch.float64))
    torch.testing.assert_close(values.diagonal(1), torch.full((5,), math.exp(-0.5), dtype=torch.float64))


@pytest.mark.parametrize("name", BASES)
def test_bases_can_be_differentiated_twice(name):
    d = torch.tensor([0.6, 1.7, 4.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: BASES[name](x, CUTOFF, 3), (d,))
    assert torch.autograd.gradgradcheck(lambda x: BASES[name](x, CUTOFF, 3), (d,))


@pytest.mark.parametrize("name", BASES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_bases_keep_the_precision_they_are_given(name, dtype):
    d = torch.tensor([0.6, 1.7], dtype=dtype)
    found = BASES[name](d, CUTOFF, 4)
    assert found.dtype == dtype
    torch.testing.assert_close(found.double(), BASES[name](d.double(), CUTOFF, 4), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", BASES)
def test_no_edges_have_no_functions(name):
    assert BASES[name](torch.zeros(0), CUTOFF, 4).shape == (0, 4)
