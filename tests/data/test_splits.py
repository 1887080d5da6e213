"""Splits by seed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermtk.data.splits import (
    composition_of,
    elements_key,
    split_blocks,
    split_groups,
    split_random,
    split_stratified,
    whole_sizes,
)
from hermtk.data.structure import Structure
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
def test_a_larger_training_set_holds_the_smaller_one_and_is_tested_on_the_same(small, more, seed):
    few, *others = split_random(60, (small, 5, 5), seed)
    many, *same = split_random(60, (small + more, 5, 5), seed)
    assert np.array_equal(many[:small], few)
    assert np.array_equal(others, same)


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


SHARES = st.tuples(*[st.integers(0, 10)] * 3).filter(any).map(lambda w: tuple(float(k / sum(w)) for k in w))


@given(SHARES, st.integers(1, 200))
def test_shares_that_make_a_whole_use_every_structure(shares, n):
    sizes = whole_sizes(n, shares)
    assert sum(sizes) == n
    assert all(abs(size - share * n) <= 1 for size, share in zip(sizes, shares, strict=True))


@pytest.mark.parametrize(
    ("sizes", "whole"),
    [((0.8, 0.1, 0.1), (800, 100, 100)), ((950, 50, 0), (950, 50, 0)), ((900, 0.1, 0), (900, 100, 0))],
)
def test_sizes_are_numbers_or_shares(sizes, whole):
    assert whole_sizes(1000, sizes) == whole


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ((1.5, 0, 0), "1.5 is no share of a set"),
        ((-0.1, 0, 0), "-0.1 is no share"),
        ((0.9, 0.2, 0.0), "larger than the set, which has 10"),
        ((11, 0, 0), r"11 \+ 0 \+ 0 = 11 structures is larger"),
        ((5, -1, 0), "cannot be negative"),
    ],
)
def test_sizes_that_cannot_be_are_refused(sizes, said):
    with pytest.raises(DataError, match=said):
        whole_sizes(10, sizes)


@st.composite
def grouped(draw):
    keys = draw(st.lists(st.integers(0, 12), min_size=3, max_size=80))
    return keys, draw(SHARES), draw(st.integers(0, 100))


@given(grouped())
def test_groups_stay_together_and_no_part_is_empty(given):
    keys, sizes, seed = given
    wanted = whole_sizes(len(keys), sizes)
    if len(set(keys)) < np.count_nonzero(wanted):
        with pytest.raises(DataError, match="need a group each"):
            split_groups(keys, sizes, seed)
        return
    parts = split_groups(keys, sizes, seed)
    of = [{keys[k] for k in part} for part in parts]
    assert sum(map(len, of)) == len(set(keys))
    assert sum(map(len, parts)) == len(keys)
    assert [len(part) > 0 for part in parts] == [size > 0 for size in wanted]


def test_many_small_groups_meet_the_sizes():
    keys = np.repeat(np.arange(200), 5).tolist()
    assert [len(part) for part in split_groups(keys, (0.8, 0.1, 0.1), 3)] == [800, 100, 100]
    assert [len(part) for part in split_groups(keys, (300, 50, 50), 3)] == [300, 50, 50]
    assert not np.array_equal(
        split_groups(keys, (0.8, 0.1, 0.1), 3)[0], split_groups(keys, (0.8, 0.1, 0.1), 4)[0]
    )


def test_a_group_that_is_most_of_the_set_is_trained_on():
    keys = ["large"] * 90 + [f"g{k}" for k in range(10)]
    for seed in range(10):
        train, validation, test = split_groups(keys, (0.8, 0.1, 0.1), seed)
        assert set(range(90)) <= set(train.tolist())
        assert min(len(validation), len(test)) >= 1


def test_a_trajectory_is_cut_in_order_with_gaps():
    train, validation, test = split_blocks([0] * 100, (60, 20, 10), gap=5)
    assert train.tolist() == list(range(60))
    assert validation.tolist() == list(range(65, 85))
    assert test.tolist() == list(range(90, 100))
    shares = split_blocks([0] * 100, (0.8, 0.1, 0.1), gap=5)
    assert [len(part) for part in shares] == [72, 9, 9]
    assert shares[1][0] - shares[0][-1] == 6
    assert split_blocks([0] * 10, (0.5, 0, 0.5), gap=2)[2].tolist() == [6, 7, 8, 9]


def test_each_of_several_trajectories_is_cut():
    keys = ["a"] * 50 + ["b"] * 30
    train, validation, test = split_blocks(keys, (0.8, 0.1, 0.1))
    assert train.tolist() == [*range(40), *range(50, 74)]
    assert test.tolist() == [*range(45, 50), *range(77, 80)]
    assert split_blocks(keys, (64, 8, 8))[1].tolist() == validation.tolist()


@pytest.mark.parametrize(
    ("gap", "said"), [(-1, "gap of -1 frames"), (6, "12 frames of gaps leave nothing of trajectory t")]
)
def test_gaps_that_cannot_be_are_refused(gap, said):
    with pytest.raises(DataError, match=said):
        split_blocks(["t"] * 10, (0.8, 0.1, 0.1), gap)


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=100), SHARES, st.integers(0, 2**32))
def test_every_kind_is_in_the_parts_by_its_share_and_sizes_are_exact(keys, sizes, seed):
    parts = split_stratified(keys, sizes, seed)
    assert tuple(map(len, parts)) == whole_sizes(len(keys), sizes)
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(keys)))
    kinds = len(set(keys))
    for part, size in zip(parts, sizes, strict=True):
        for kind in set(keys):
            mine = sum(keys[k] == kind for k in part)
            assert abs(mine - size * keys.count(kind)) <= 1 + kinds


def test_keys_of_structures_are_their_formula_and_their_elements():
    s = Structure(np.array([8, 1, 6, 1]), np.eye(4, 3))
    assert (composition_of(s), elements_key(s)) == ("CH2O", "C-H-O")
