"""The report of a study: whole, self-contained, safe, and the numbers in its files are those of the findings."""

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from findings_world import VARIANTS, Example, findings, many_relations
from matplotlib.figure import Figure

from hermtk.ablation.findings import ArmErrors, Difference, Findings
from hermtk.ablation.report.sections import CAPTIONS
from hermtk.ablation.report.write import write_study_report
from hermtk.errors import RunError
from page_world import Page

FILES = {"report.html", "report.md", "results.json", "errors.csv", "differences.csv", "runs.csv"}
OF_SIZES = {"learning.png", "gain.png"}


class Study(NamedTuple):
    """A report and what it was made from."""

    found: Findings
    folder: Path
    page: Page


def reported(found: Findings, folder: Path) -> Study:
    page = write_study_report(found, folder)
    assert page == folder / "report.html"
    return Study(found, folder, Page(page.read_text(encoding="utf-8")))


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module", autouse=True)
def coarse() -> Iterator[None]:
    """Pictures of few points: what is in them is looked at elsewhere."""
    with pytest.MonkeyPatch.context() as patch:
        original = Figure.savefig
        patch.setattr(
            Figure, "savefig", lambda figure, path, dpi, format: original(figure, path, dpi=30, format=format)
        )
        yield


@pytest.fixture(scope="module")
def ordinary(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Two of eight arms lost runs: one all, one seed 2."""
    example = Example(failed=frozenset({"unite-htnet", ("painn-hvnet", 2)}))
    return reported(findings(example), tmp_path_factory.mktemp("study") / "report")


def test_a_page_needs_nothing_but_itself(ordinary: Study):
    ordinary.page.needs_nothing()
    assert "http" not in (ordinary.folder / "report.html").read_text(encoding="utf-8")


def test_every_picture_of_the_folder_is_on_both_pages(ordinary: Study):
    drawn = {path.name for path in ordinary.folder.glob("*.png")}
    assert drawn == CAPTIONS.keys() - OF_SIZES
    assert len(ordinary.page.all("img")) == len(drawn)
    assert set(re.findall(r"\]\((.*?)\)", (ordinary.folder / "report.md").read_text())) == drawn
    assert {path.name for path in ordinary.folder.iterdir()} == drawn | FILES


def test_the_verdict_stands_first(ordinary: Study):
    text = ordinary.page.text
    places = [text.index(verdict.text) for verdict in ordinary.found.verdicts]
    assert places == sorted(places)
    assert places[-1] < text.index("Arms")
    assert "Look: unite-htnet has no finished run." in text
    assert "34 of 40 runs finished" in text


def test_failed_runs_are_named_and_the_others_have_their_numbers(ordinary: Study):
    said = "the loss of step 17 is nan: the learning rate 0.01 may be too high"
    assert ["painn-hvnet", "2", said] in ordinary.page.rows
    assert ["unite-htnet", "0, 1, 2, 3, 4", said] in ordinary.page.rows
    cost = {row[0]: row for row in ordinary.page.rows if row[-1:] and row[-1].endswith(" of 5")}
    assert [cost[arm][-1] for arm in ("painn-hvnet", "unite-htnet", "unite-hpnet")] == [
        "4 of 5",
        "0 of 5",
        "5 of 5",
    ]


def test_results_json_holds_every_number(ordinary: Study):
    found = ordinary.found
    values = json.loads((ordinary.folder / "results.json").read_text(), parse_constant=pytest.fail)
    assert [arm["name"] for arm in values["arms"]] == [facts.arm.name for facts in found.arms]
    assert values["arms"][1]["problems"] == {"2": found.arms[1].problems[2]}
    for table, kept in zip(found.tables, values["tables"], strict=True):
        assert [ArmErrors(**as_tuples(one)) for one in kept["errors"]] == list(table.errors)
        assert [Difference(**as_tuples(one)) for one in kept["differences"]] == list(table.differences)
    assert values["seen"][0]["relations"] == found.seen[None]
    assert values["commands"] == found.commands


def as_tuples(values: dict) -> dict:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def test_tables_in_csv_hold_the_same(ordinary: Study):
    found, folder = ordinary.found, ordinary.folder
    errors = [float(row["value"]) for row in rows(folder / "errors.csv")]
    assert errors == [value for table in found.tables for one in table.errors for value in one.values]
    kept = rows(folder / "differences.csv")
    every = [one for table in found.tables for one in table.differences]
    assert [float(row["p_holm"]) for row in kept] == [one.p_holm for one in every]
    assert [(float(row["ci_low"]), float(row["ci_high"])) for row in kept] == [one.interval for one in every]
    assert {row["seeds"] for row in kept} == {"0 1 2 3 4", "0 1 3 4"}
    runs = {(row["arm"], row["seed"]): row for row in rows(folder / "runs.csv")}
    assert len(runs) == 40
    assert runs["painn-hvnet", "2"]["state"] == "failed"
    assert runs["painn-hvnet", "3"]["state"] == "finished"
    assert runs["painn-hvnet", "3"]["command"] == found.commands["painn-hvnet seed 3"]


def test_the_tables_of_both_pages_are_rectangular(ordinary: Study):
    blocks = (ordinary.folder / "report.md").read_text().split("\n\n")
    tables = [block.strip().splitlines() for block in blocks if block.strip().startswith("|")]
    assert len(tables) > 10
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table}) == 1


def test_differences_are_shown_with_sign_interval_and_chance(ordinary: Study):
    table = next(t for t in ordinary.found.tables if (t.metric.quantity, t.metric.kind) == ("forces", "mae"))
    one = next(d for d in table.differences if d.arm == "painn-hpnet")
    assert one.interval is not None
    row = next(row for row in after(ordinary.page, "force MAE (meV/Å)") if row[0].startswith("painn-hpnet"))
    low, _, high = row[2].partition(" to ")
    assert [float(x) for x in (row[1], low, high)] == pytest.approx([one.mean, *one.interval], rel=0.03)
    assert float(row[3].removesuffix(" %")) == pytest.approx(100 * one.relative, abs=0.06)
    assert row[-1] == "5"


def after(page: Page, head: str) -> list[list[str]]:
    """Rows below the head of a table."""
    return page.rows[next(k for k, row in enumerate(page.rows) if row[0] == head) + 1 :]


def test_every_command_hash_and_the_study_file_are_on_the_page(ordinary: Study):
    for command in ordinary.found.commands.values():
        assert command in ordinary.page.text
    assert ordinary.found.study.rstrip() in ordinary.page.text
    assert ["SHA-256 of a|b.xyz", "ab12" * 16] in ordinary.page.rows


def test_what_comes_from_outside_is_text(tmp_path: Path):
    evil = '<script>alert("x")</script>|`&'
    found = findings(Example(subnets=("painn",), seeds=(0, 1), failed=frozenset({("painn-hvnet", 1)})))
    facts = replace(found.arms[1], problems={1: evil * 40})
    found = replace(found, name=evil, arms=(found.arms[0], facts, *found.arms[2:]), notes=(evil,), study=evil)
    study = reported(found, tmp_path)
    study.page.needs_nothing()
    assert evil[:20] in study.page.text


CASES = {
    "one arm, one seed": (
        Example(subnets=("painn",), variants=VARIANTS[:1], seeds=(7,)),
        {"errors.png"},
    ),
    "one seed": (Example(subnets=("painn",), seeds=(0,)), CAPTIONS.keys() - OF_SIZES),
    "no stress": (Example(subnets=("painn",), quantities=("energy", "forces")), CAPTIONS.keys() - OF_SIZES),
    "energy only, no parts": (
        Example(subnets=("painn",), quantities=("energy",), elements=(), relations=()),
        {"errors.png", "differences.png", "paired.png", "cost.png"},
    ),
    "control failed": (
        Example(subnets=("painn",), failed=frozenset({"painn-homogeneous"})),
        {"errors.png", "paired.png", "cost.png"},
    ),
    "all failed": (
        Example(failed=frozenset(f"{s}-{v}" for s in ("painn", "unite") for v in VARIANTS)),
        set(),
    ),
    "a size failed": (
        Example(subnets=("painn",), sizes=(50, 200), failed=frozenset(f"painn-{v}-200" for v in VARIANTS)),
        CAPTIONS.keys(),
    ),
    "long names, many relations, sizes": (
        Example(
            subnets=("painn", "a_subnet_of_a_plugin_with_a_very_long_name"),
            variants=("homogeneous", "hvnet", "all_of_my_own_relations_together"),
            seeds=(0, 1),
            relations=many_relations(60),
            sizes=(50, 55, 1000),
        ),
        CAPTIONS.keys(),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_report_survives(name: str, tmp_path: Path):
    example, pictures = CASES[name]
    study = reported(findings(example), tmp_path)
    study.page.needs_nothing()
    assert {path.name for path in tmp_path.glob("*.png")} == set(pictures)


def test_numbers_that_are_none_are_nowhere(tmp_path: Path):
    found = findings(Example(subnets=("painn",), seeds=(0, 1)))
    table = found.tables[0]
    errors = tuple(
        replace(one, values=(np.nan, 1.0), mean=np.nan, sd=np.nan) if one.arm == "painn-hvnet" else one
        for one in table.errors
    )
    nothing = dict.fromkeys(("mean", "sd", "standard_error", "p", "p_holm", "effect", "relative"), np.nan)
    differences = tuple(
        replace(one, values=(np.nan, 1.0), interval=(np.nan, np.nan), **nothing)
        if one.arm == "painn-hvnet"
        else one
        for one in table.differences
    )
    found = replace(
        found, tables=(replace(table, errors=errors, differences=differences), *found.tables[1:])
    )  # fmt: skip
    study = reported(found, tmp_path)
    for name in FILES - {"report.html"}:
        assert not re.search(r"\b(nan|NaN|inf)\b", (tmp_path / name).read_text()), name
    assert "nan" not in study.page.text


def test_another_report_leaves_nothing_of_the_one_before(tmp_path: Path):
    reported(findings(Example(subnets=("painn",), seeds=(0, 1), sizes=(50, 200))), tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    reported(findings(Example(subnets=("painn",), variants=VARIANTS[:1], seeds=(0,))), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == FILES | {"errors.png", "notes.txt"}


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path):
    (tmp_path / "report").write_text("a file")
    with pytest.raises(RunError, match="report could not be"):
        write_study_report(findings(Example(subnets=("painn",), seeds=(0,))), tmp_path / "report")
