"""Subsets: random by seed, or far from each other."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermtk.data.subsets import farthest_subset, random_subset
from hermtk.errors import DataError


@given(st.integers(1, 50), st.integers(0, 50), st.integers(0, 2**32))
def test_a_random_subset_is_in_order_and_holds_the_smaller_ones(count, more, seed):
    large = random_subset(count + more, count, seed)
    assert len(set(large.tolist())) == count
    assert large.tolist() == sorted(large.tolist())
    assert set(random_subset(count + more, max(count - 3, 1), seed).tolist()) <= set(large.tolist())


@given(st.integers(0, 2**32), st.integers(1, 12))
def test_each_point_is_the_farthest_from_those_before(seed, count):
    points = np.random.default_rng(seed).normal(size=(12, 3))
    chosen, far = farthest_subset(points, count, seed)
    scaled = (points - points.mean(0)) / points.std(0)
    assert len(set(chosen.tolist())) == count
    assert np.isinf(far[0])
    for k in range(1, count):
        apart = np.linalg.norm(scaled[:, None] - scaled[chosen[:k]], axis=-1).min(1)
        assert far[k] == pytest.approx(apart.max())
        assert apart[chosen[k]] == pytest.approx(apart.max())


def test_one_of_each_cluster_comes_before_any_second():
    rng = np.random.default_rng(0)
    centers = np.array([[0, 0], [10, 0], [0, 10], [10, 10.0]])
    points = np.repeat(centers, 25, axis=0) + rng.normal(scale=0.1, size=(100, 2))
    chosen, far = farthest_subset(points, 5, 1)
    assert sorted((chosen[:4] // 25).tolist()) == [0, 1, 2, 3]
    assert far[4] < 0.2 * far[3]


def test_copies_and_constant_numbers_are_no_trouble():
    chosen, far = farthest_subset(np.ones((4, 2)), 4, 0)
    assert sorted(chosen.tolist()) == [0, 1, 2, 3]
    assert far[1:].tolist() == [0, 0, 0]


@pytest.mark.parametrize(("count", "said"), [(0, "at least 1"), (11, "larger than the set, which has 10")])
def test_sizes_that_cannot_be_are_refused(count, said):
    with pytest.raises(DataError, match=said):
        random_subset(10, count, 0)
    with pytest.raises(DataError, match=said):
        farthest_subset(np.zeros((10, 2)), count, 0)
