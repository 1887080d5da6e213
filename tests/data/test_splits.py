"""Splits by seed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermtk.data.splits import split_random
from hermtk.errors import DataError

SIZES = st.tuples(st.integers(0, 20), st.integers(0, 20), st.integers(0, 20))


@given(SIZES, st.integers(0, 10), st.integers(0, 2**32))
def test_the_parts_have_their_sizes_and_no_structure_twice(sizes, spare, seed):
    n = sum(sizes) + spare
    parts = split_random(n, sizes, seed)
    assert tuple(len(part) for part in parts) == sizes
    together = np.concatenate(parts)
    assert len(set(together.tolist())) == len(together)
    assert set(together.tolist()) <= set(range(n))


@given(st.integers(0, 30), st.integers(0, 20), st.integers(0, 2**32))
def test_a_larger_training_set_holds_the_smaller_one(small, more, seed):
    few, _, _ = split_random(60, (small, 5, 5), seed)
    many, _, _ = split_random(60, (small + more, 5, 5), seed)
    assert np.array_equal(many[:small], few)


def test_the_seed_alone_decides():
    assert np.array_equal(split_random(100, (50, 20, 30), 7)[0], split_random(100, (50, 20, 30), 7)[0])
    assert not np.array_equal(split_random(100, (50, 20, 30), 7)[0], split_random(100, (50, 20, 30), 8)[0])


def test_a_split_larger_than_the_set_is_refused_with_its_numbers():
    with pytest.raises(
        DataError, match=r"950 \+ 50 \+ 1000 = 2000 structures is larger than the set, which has 1000"
    ):
        split_random(1000, (950, 50, 1000), 0)


def test_a_negative_size_is_refused():
    with pytest.raises(DataError, match="cannot be negative: 10, -1, 3"):
        split_random(100, (10, -1, 3), 0)
