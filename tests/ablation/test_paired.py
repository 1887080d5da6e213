import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from hermtk.ablation.statistics import Draws, Sample, compare, holm


def sample(errors_by_seed, kind="mae", weights=None):
    """Each row: the absolute errors of a run's structures, one component each."""
    sums, sources = {}, {}
    for seed, row in enumerate(errors_by_seed):
        errors = np.abs(np.asarray(row, dtype=float))
        weight = np.ones_like(errors) if weights is None else np.asarray(weights, dtype=float)
        sums[seed] = np.stack([errors * weight, errors**2 * weight, weight])
        sources[seed] = tuple(f"test.xyz:{k}" for k in range(len(errors)))
    return Sample(kind, sums, sources)


def test_metrics_are_means_over_components_not_over_structures():
    uneven = sample([[1.0, 4.0]], weights=[3, 1])
    assert uneven.value(0) == pytest.approx((3 * 1 + 4) / 4)
    assert sample([[1.0, 4.0]], "rmse", [3, 1]).value(0) == pytest.approx(np.sqrt((3 * 1 + 16) / 4))


def test_equal_arms_do_not_differ():
    errors = np.random.default_rng(0).random((4, 30))
    found = compare(sample(errors), sample(errors), Draws())
    assert found.mean == 0
    assert found.p == 1
    assert found.interval == (0, 0)
    assert found.effect is None


def test_the_same_gain_everywhere_is_certain_however_much_seeds_differ():
    errors = np.random.default_rng(1).random((3, 30)) + np.array([[0.0], [10.0], [100.0]])
    found = compare(sample(errors), sample(errors + 0.5), Draws())
    assert found.mean == pytest.approx(-0.5)
    assert found.standard_error == pytest.approx(0, abs=1e-12)
    assert found.interval == pytest.approx((-0.5, -0.5))


def test_with_many_structures_it_is_the_paired_t_test():
    random = np.random.default_rng(2)
    shifts = random.normal(0.2, 0.5, size=(6, 1))
    control = random.random((6, 1)) + np.full((6, 400), 5.0)
    arm = control + shifts
    found = compare(sample(arm), sample(control), Draws(draws=20000))
    expected = stats.ttest_rel(arm.mean(axis=1), control.mean(axis=1))
    low, high = expected.confidence_interval()
    assert found.p == pytest.approx(expected.pvalue, rel=0.05)
    assert found.interval == pytest.approx((low, high), abs=0.02)
    assert found.effect == pytest.approx(shifts.mean() / shifts.std(ddof=1))


def test_one_seed_has_no_interval():
    found = compare(sample([[1.0, 2.0]]), sample([[2.0, 2.0]]), Draws())
    assert found.mean == -0.5
    assert found.interval is None
    assert found.p is None


def test_only_seeds_that_both_have_are_compared():
    arm, control = sample(np.ones((3, 4))), sample(np.ones((5, 4)))
    del arm.sums[0]
    assert compare(arm, control, Draws()).seeds == (1, 2)
    with pytest.raises(ValueError, match="no seed in common"):
        compare(sample(np.ones((0, 4))), control, Draws())


@pytest.mark.parametrize("seeds", [3, 6])
def test_no_difference_is_taken_for_one_in_at_most_one_of_twenty(seeds):
    """Arms that differ by chance of the seed and of the structure; the bound is what 400 studies allow at 5 %."""
    random = np.random.default_rng(seeds)
    false = 0
    for study in range(400):
        structures = 3 + random.random((1, 40))
        control, arm = (
            structures + 0.2 * random.normal(size=(seeds, 1)) + 0.3 * random.random((seeds, 40))
            for _ in range(2)
        )
        found = compare(sample(arm), sample(control), Draws(seed=study, draws=300))
        false += found.p < 0.05
    assert false <= stats.binom.ppf(0.999, 400, 0.05)


def test_an_interval_covers_the_truth_as_often_as_it_says():
    random, truth, covered = np.random.default_rng(7), -0.3, 0
    for study in range(400):
        control = 3 + 0.2 * random.normal(size=(4, 1)) + 0.3 * random.random((4, 40))
        arm = control + truth + 0.15 * random.normal(size=(4, 1)) + 0.2 * random.normal(size=(4, 40))
        low, high = compare(sample(arm), sample(control), Draws(seed=study, draws=300)).interval
        covered += low <= truth <= high
    assert covered >= stats.binom.ppf(0.001, 400, 0.95)


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_that_of_the_definition(p):
    corrected = holm(p)
    order = sorted(range(len(p)), key=lambda k: p[k])
    for rank, place in enumerate(order):
        expected = max(min(1.0, (len(p) - before) * p[order[before]]) for before in range(rank + 1))
        assert corrected[place] == pytest.approx(expected)


def test_holm_passes_over_what_has_no_probability():
    assert holm([0.01, None, 0.04]) == [0.02, None, 0.04]
