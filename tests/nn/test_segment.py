"""Sums of rows into slots."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hermtk.nn.segment import segment_sum


@settings(max_examples=40, deadline=None)
@given(index=st.lists(st.integers(0, 4), max_size=12))
@pytest.mark.parametrize("rest", [(), (3,), (3, 2)])
def test_every_row_lands_in_its_slot(index, rest):
    values = torch.randn(len(index), *rest, dtype=torch.float64)
    expected = torch.zeros(5, *rest, dtype=torch.float64)
    for slot, row in zip(index, values, strict=True):
        expected[slot] += row
    torch.testing.assert_close(segment_sum(values, torch.tensor(index, dtype=torch.long), 5), expected)


def test_sums_can_be_differentiated_twice():
    index = torch.tensor([0, 0, 2, 2, 2])
    values = torch.randn(5, 2, dtype=torch.float64, requires_grad=True)

    def squares(rows):
        return segment_sum(rows, index, 4).square()

    assert torch.autograd.gradcheck(squares, (values,))
    assert torch.autograd.gradgradcheck(squares, (values,))


def test_no_slots_hold_nothing():
    assert segment_sum(torch.zeros(0, 3), torch.zeros(0, dtype=torch.long), 0).shape == (0, 3)
