"""Numbers of a study as text, and what is chosen to be shown."""

from dataclasses import replace

import numpy as np
import pytest
from findings_world import Example, findings
from hypothesis import given
from hypothesis import strategies as st

from hermtk.ablation.report.tables import chance, failed_table, places_of, plus_minus, sure_parts_table
from hermtk.ablation.report.view import arms_at, largest, main, parts, short, title_of


@pytest.mark.parametrize(
    ("mean", "sd", "text"),
    [
        (41.2345, 0.8321, "41.23 ± 0.83"),
        (41.2345, 12.1, "41 ± 12"),
        (0.012341, 0.00012, "0.01234 ± 0.00012"),
        (2345.6, 110.0, "2,346 ± 110"),
        (41.2345, None, "41.2"),
        (41.2345, 0.0, "41.2"),
        (41.2345, float("nan"), "41.2"),
    ],
)
def test_a_mean_has_the_places_of_its_spread(mean: float, sd: float | None, text: str):
    assert plus_minus(mean, sd) == text


@given(st.floats(1e-7, 1e7))
def test_places_show_two_digits_that_count(spread: float):
    shown = float(f"{spread:.{places_of(spread)}f}")
    assert shown == pytest.approx(spread, rel=0.051)


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (None, "–"),
        (np.nan, "–"),
        (0.0, "< 0.001"),
        (0.00123, "0.0012"),
        (0.049, "0.049"),
        (0.1, "0.10"),
        (1.0, "1.00"),
    ],
)
def test_chances_have_two_digits(p: float | None, text: str):
    assert chance(p) == text


@given(st.text("abc_", min_size=1, max_size=60))
def test_long_names_keep_beginning_and_end(name: str):
    text = short(name)
    assert len(text) <= 19
    assert text == name or (name.startswith(text[:9]) and name.endswith(text[-9:]) and "…" in text)


def test_names_of_metrics_have_their_unit():
    found = findings(Example(seeds=(0,)))
    assert [title_of(table.metric) for table in main(found)] == [
        "energy MAE (meV/atom)",
        "force MAE (meV/Å)",
        "stress MAE (meV/Å³)",
    ]
    gap = replace(found.tables[0].metric, quantity="gap", unit="")
    assert title_of(gap) == "gap MAE"


def test_where_there_is_no_mean_absolute_error_the_other_is_drawn():
    found = findings(Example(seeds=(0,)))
    bare = replace(found, tables=tuple(t for t in found.tables if t.metric.kind == "rmse"))
    assert [table.metric.kind for table in main(bare)] == ["rmse"] * 3


def test_parts_are_those_of_forces():
    found = findings(Example(seeds=(0,)))
    energies = [
        replace(table, metric=replace(table.metric, quantity="energy"))
        for table in found.tables
        if table.metric.part.startswith("element")
    ]
    both = replace(found, tables=(*energies, *found.tables))
    assert {table.metric.quantity for table in parts(both, "element").values()} == {"forces"}
    only = replace(found, tables=tuple(energies))
    assert list(parts(only, "element")) == ["H", "C", "N", "O"]
    assert parts(only, "relation") == {}


def test_pictures_of_one_size_show_the_largest_that_has_results():
    failed = frozenset(f"painn-{v}-1000" for v in ("homogeneous", "hvnet", "hpnet", "htnet"))
    found = findings(Example(subnets=("painn",), sizes=(50, 200, 1000), failed=failed))
    assert largest(found) == 200
    assert [arm.size for arm in arms_at(found, 200)] == [200] * 4
    assert largest(findings(Example(seeds=(0,)))) is None


def test_runs_that_were_not_made_are_told_from_failed_ones():
    found = findings(Example(subnets=("painn",), failed=frozenset({("painn-hvnet", 1)})))
    lost = replace(found.arms[2], costs={seed: found.arms[2].costs[seed] for seed in (0, 1, 2)})
    table = failed_table(replace(found, arms=(*found.arms[:2], lost, found.arms[3])))
    assert table.rows == (
        ("painn-hvnet", "1", "the loss of step 17 is nan: the learning rate 0.01 may be too high"),
        ("painn-hpnet", "3, 4", "not run"),
    )


def test_sure_parts_are_counted_and_the_largest_come_first():
    found = findings()
    tables = parts(found, "relation")
    table = sure_parts_table(tables, "relation")
    every = [one for own in tables.values() for one in own.differences]
    found_sure = sorted(
        (one for one in every if (one.p_holm or 1) < 0.05), key=lambda one: -abs(one.relative)
    )
    assert len(table.rows) == 20 < len(found_sure)
    assert f"of {len(every)} differences {len(found_sure)} with" in table.note
    assert [row[1] for row in table.rows] == [f"{one.arm} − {one.control}" for one in found_sure[:20]]
