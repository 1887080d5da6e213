from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermtk.ablation.arms import arms_of, changed
from hermtk.ablation.match import TOLERANCE, match_parameters, match_time, share_budget
from hermtk.ablation.study import make_study
from hermtk.errors import ConfigError
from hermtk.planning.plan import parameters_of

# how many copies of its weights each variant has, with three elements
COPIES = {"homogeneous": 1, "hvnet": 3, "hpnet": 9, "htnet": 18}


def arms(channels=64, **study):
    return arms_of(make_study({"run": {"model": {"channels": channels}}, **study}))


@given(st.integers(32, 256))
def test_widths_give_equal_parameters(channels):
    def count(arm, width):
        return COPIES[arm.variant] * 11 * width**2 + 70 * width + 1

    own = arms(channels)
    matched = match_parameters(own, own[0], count)
    numbers = [arm.parameters for arm in matched]
    assert max(numbers) / min(numbers) <= TOLERANCE
    assert numbers == [count(arm, arm.config.model.channels) for arm in matched]
    assert abs(matched[0].config.model.channels - channels) <= channels / 4
    assert [arm.config.model.channels for arm in matched] == sorted(
        (arm.config.model.channels for arm in matched), reverse=True
    )


@pytest.mark.parametrize("subnet", ["painn", "unite"])
def test_real_models_can_be_matched(subnet):
    own = arms(48, subnets=[subnet], options={"unite": {"l_max": 1}} if subnet == "unite" else {})
    matched = match_parameters(
        own, own[0], lambda arm, c: parameters_of(changed(arm.config, "model", channels=c), [1, 6, 8])
    )
    numbers = [arm.parameters for arm in matched]
    assert max(numbers) / min(numbers) <= TOLERANCE


def test_widths_too_small_to_be_matched_are_refused_with_the_nearest():
    own = arms(5)
    with pytest.raises(
        ConfigError, match=r"of painn-htnet to the 150 of painn-homogeneous are 1,728 with 4 channels"
    ):
        match_parameters(own, own[0], lambda arm, c: COPIES[arm.variant] * 6 * c * c)


def test_equal_time_gives_slower_arms_fewer_steps():
    matched = match_time(arms(), 9000.0, lambda arm, seconds: int(seconds / COPIES[arm.variant]))
    assert [arm.config.training.steps for arm in matched] == [9000, 3000, 1000, 500]


def test_an_arm_without_time_for_its_warm_up_is_refused():
    with pytest.raises(ConfigError, match=r"painn-htnet does 33 steps in 60 minutes, fewer than its warm-up"):
        match_time(arms(), 3600.0, lambda arm, seconds: 33 if arm.variant == "htnet" else 400)


@given(st.floats(1e4, 1e6))
def test_a_budget_is_used_up_and_kept(seconds):
    own = [replace(arm, parameters=1) for arm in arms()]

    def time_of(arm, steps):
        return 20.0 + COPIES[arm.variant] * steps

    shared = share_budget(own, seconds, time_of)
    steps = {arm.config.training.steps for arm in shared}
    assert len(steps) == 1
    (number,) = steps
    assert sum(time_of(arm, number) for arm in own) <= seconds
    assert sum(time_of(arm, number + 1) for arm in own) > seconds
