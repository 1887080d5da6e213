"""Envelopes: one at the atom, zero from the cut-off on, with the derivatives they promise."""

import pytest
import torch

from hermtk.nn.cutoff import ENVELOPES, cosine, polynomial

CUTOFF = 4.3


def derivatives(envelope, distance: float) -> list[float]:
    """Value and three derivatives."""
    d = torch.tensor([distance], dtype=torch.float64, requires_grad=True)
    found = [envelope(d, CUTOFF)]
    for _ in range(3):
        found += torch.autograd.grad(found[-1].sum(), d, create_graph=True)
    return [float(value.detach()) for value in found]


@pytest.mark.parametrize("name", ENVELOPES)
def test_an_envelope_falls_from_one_to_zero(name):
    d = torch.linspace(0, CUTOFF, 200, dtype=torch.float64)
    values = ENVELOPES[name](d, CUTOFF)
    assert float(values[0]) == 1
    assert abs(float(values[-1])) < 1e-12
    assert bool((values.diff() <= 1e-12).all())


@pytest.mark.parametrize("name", ENVELOPES)
@pytest.mark.parametrize("distance", [CUTOFF, 1.0001 * CUTOFF, 10 * CUTOFF])
def test_an_envelope_is_exactly_zero_at_the_cutoff_and_beyond_with_its_slope(name, distance):
    assert derivatives(ENVELOPES[name], distance) == [0, 0, 0, 0]


def test_the_polynomial_reaches_the_cutoff_with_two_derivatives():
    value, slope, curvature, third = derivatives(polynomial, CUTOFF * (1 - 1e-7))
    assert (value, slope, curvature) == pytest.approx((0, 0, 0), abs=1e-5)
    assert third == pytest.approx(-336 / CUTOFF**3, rel=1e-4)


def test_the_cosine_has_a_kink_in_its_slope():
    value, slope, curvature, _ = derivatives(cosine, CUTOFF * (1 - 1e-7))
    assert (value, slope) == pytest.approx((0, 0), abs=1e-6)
    assert curvature == pytest.approx(torch.pi**2 / 2 / CUTOFF**2)


@pytest.mark.parametrize("name", ENVELOPES)
def test_an_envelope_is_flat_at_the_atom(name):
    assert abs(derivatives(ENVELOPES[name], 1e-9)[1]) < 1e-6


def test_the_polynomial_is_the_one_of_the_paper():
    u, p = 0.37, 6
    expected = 1 - (p + 1) * (p + 2) / 2 * u**p + p * (p + 2) * u ** (p + 1) - p * (p + 1) / 2 * u ** (p + 2)
    assert derivatives(polynomial, u * CUTOFF)[0] == pytest.approx(expected, rel=1e-14)
