import pytest

from hermtk.ablation.arms import arms_of
from hermtk.ablation.findings import ArmErrors, ArmFacts, Difference, Findings, Metric, RunCost, Table
from hermtk.ablation.study import make_study
from hermtk.ablation.verdict import outcome, verdicts

FORCES = Metric("forces", "mae", "", 1e3, "meV/Å")
ENERGY = Metric("energy", "mae", "", 1e3, "meV/atom")


def difference(mean, half, p, arm="painn-hvnet", control_error=50.0):
    return Difference(
        arm,
        "painn-homogeneous",
        (0, 1, 2),
        (mean,) * 3,
        mean,
        1.0,
        half / 4.3,
        (mean - half, mean + half),
        p,
        p,
        mean,
        mean / control_error,
    )


def single(mean):
    return Difference(
        "painn-hvnet", "painn-homogeneous", (0,), (mean,), mean, None, None, None, None, None, None, mean / 50
    )


def findings(*tables, match="none", problems=None):
    arms = arms_of(make_study({"variants": ["homogeneous", "hvnet"]}))
    facts = tuple(
        ArmFacts(arm, {} if problems else dict.fromkeys((0, 1, 2), RunCost(10, 1.0, 1.0)), problems or {})
        for arm in arms
    )
    errors = (ArmErrors("painn-homogeneous", (0, 1, 2), (50.0,) * 3, 50.0, 0.0),)
    made = tuple(Table(metric, errors, tuple(found)) for metric, found in tables)
    return Findings("s", match, "homogeneous", (0, 1, 2), (), facts, made, {}, (), "", {}, {}, "")


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        (difference(-5.0, 3.0, 0.01), "better"),
        (difference(5.0, 3.0, 0.01), "worse"),
        # not told from nothing, and nothing larger than 5 % of 50 could be there
        (difference(-0.5, 1.9, 0.4), "alike"),
        (difference(-0.5, 2.1, 0.4), "undecided"),
        (difference(-5.0, 6.0, 0.06), "undecided"),
        (single(-40.0), "undecided"),
    ],
)
def test_a_difference_is_called_what_its_interval_supports(found, kind):
    assert outcome(found) == kind


def test_the_answer_stands_first_with_its_numbers_and_what_was_equal():
    said = list(verdicts(findings((FORCES, [difference(-0.8, 0.3, 0.004)]), match="params")))
    assert said[0].kind == "better"
    assert said[0].text == (
        "Typing by element pays: lower force error in 1 of 1 comparison with homogeneous at equal parameters; most in "
        "painn-hvnet (-1.6 %)."
    )
    assert said[1].text == (
        "painn-hvnet lowers the force error of painn-homogeneous by 0.8 ± 0.0698 meV/Å (-1.6 %; 95 % CI -1.1 to -0.5, p 0.004, "
        "Holm 0.004; equal parameters, 3 seeds)."
    )


def test_forces_decide_the_headline_whatever_the_order_of_the_tables():
    tables = (ENERGY, [difference(-9.0, 1.0, 0.001)]), (FORCES, [difference(4.0, 1.0, 0.02)])
    said = list(verdicts(findings(*tables)))
    assert said[0].text.startswith("Typing by element does not pay: higher force error in 1 of 1 comparison")
    assert [verdict.kind for verdict in said] == ["worse", "worse", "better"]


def test_what_is_undecided_claims_nothing():
    said = list(verdicts(findings((FORCES, [difference(-284.0, 1500.0, 0.2)]))))
    assert said[0].text.startswith("Undecided: no difference in force error is shown to homogeneous")
    assert "-284 meV/Å" in said[1].text
    assert "95 % CI -1,784 to +1,216" in said[1].text
    assert "lowers" not in said[1].text


def test_one_seed_is_said_to_decide_nothing():
    (_, said) = verdicts(findings((FORCES, [single(-20.0)])))
    assert said.text.endswith("one seed decides nothing.")


def test_failed_runs_are_named_and_no_run_at_all_is_said():
    said = list(verdicts(findings(problems={1: "out of memory"})))
    assert said[0].text == "No run has finished: there is nothing to compare."
    assert said[1].text == "painn-homogeneous failed with seed 1: out of memory"
