"""The page of a report: whole, self-contained, safe, and beside it what it speaks of."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from report_world import predicted, predicted_gaps, run_in, some_structures

from hermtk.data.dataset import read_structures
from hermtk.evaluation.report.numbers import make_report
from hermtk.evaluation.report.predicted import Predicted
from hermtk.evaluation.report.sections import CAPTIONS
from hermtk.evaluation.report.write import write_report
from page_world import Page


def written(folder: Path, tested: Predicted, name: str = "run", **data: object) -> Page:
    record = run_in(folder / name, tested, **data)
    page = write_report(record, make_report(record, tested, 60), tested, record.folder / "report")
    return Page(page.read_text(encoding="utf-8"))


class Ordinary(NamedTuple):
    """A report of a potential that has everything."""

    run: Path
    page: Page
    predicted: Predicted

    @property
    def folder(self) -> Path:
        return self.run / "report"


@pytest.fixture(scope="module")
def ordinary(tmp_path_factory: pytest.TempPathFactory) -> Ordinary:
    folder, tested = tmp_path_factory.mktemp("ordinary"), predicted(some_structures())
    return Ordinary(folder / "run", written(folder, tested), tested)


def test_a_page_needs_nothing_but_itself(ordinary: Ordinary):
    ordinary.page.needs_nothing()
    assert ordinary.page.all("img")
    assert "http" not in (ordinary.folder / "report.html").read_text(encoding="utf-8")


def test_every_picture_of_the_folder_is_on_both_pages(ordinary: Ordinary):
    page, folder = ordinary.page, ordinary.folder
    drawn = {path.name for path in folder.glob("*.png")}
    assert drawn == {
        "parity.png", "errors.png", "learning.png", "elements.png", "relations.png", "coverage.png", "magnitude.png",
        "compositions.png", "sizes.png",
    }  # fmt: skip
    assert len(page.all("img")) == len(drawn)
    assert set(re.findall(r"\]\((.*?)\)", (folder / "report.md").read_text())) == drawn


@pytest.mark.parametrize("variant", ["homogeneous", "hvnet", "hpnet"])
def test_of_relations_that_are_the_elements_or_one_there_is_no_picture(tmp_path: Path, variant: str):
    tested = predicted(some_structures(), variant)
    written(tmp_path, tested)
    assert (tmp_path / "run/report/relations.png").exists() == (variant == "hpnet")


def test_the_verdict_stands_before_everything_else(ordinary: Ordinary):
    page = ordinary.page
    assert page.text.index("Mean absolute errors on 8 structures that decided nothing") < page.text.index(
        "Learning"
    )
    order = [tag for tag, _ in page.seen if tag in ("h1", "ul", "h2")]
    assert order[:3] == ["h1", "ul", "h2"]


def test_what_comes_from_outside_is_text(tmp_path: Path):
    evil = '<script>alert("x")</script>|`&'
    structures = [
        replace(s, source=f"{evil}:{k}", info={"config_type": evil * (k % 2)})
        for k, s in enumerate(some_structures())
    ]
    page = written(tmp_path, predicted(structures), name="<b>run", train=f"{evil}.xyz")
    assert not page.all("script")
    assert not page.all("b") or "<b>run" in page.text
    assert evil in page.text
    assert any(evil in cell for row in page.rows for cell in row)


def test_tables_are_rectangular_on_both_pages(tmp_path: Path):
    structures = [replace(s, source=f"a|b.xyz:{k}") for k, s in enumerate(some_structures())]
    written(tmp_path, predicted(structures))
    blocks = (tmp_path / "run/report/report.md").read_text().split("\n\n")
    tables = [block.strip().splitlines() for block in blocks if block.strip().startswith("|")]
    assert len(tables) > 6
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table}) == 1
    assert any("a\\|b.xyz" in line for table in tables for line in table)


def test_the_worst_structures_come_with_reference_and_prediction(ordinary: Ordinary):
    tested = ordinary.predicted
    values = json.loads((ordinary.folder / "report.json").read_text())
    found = read_structures(ordinary.folder / "worst.extxyz")
    assert [s.info["source"] for s in found] == [w["source"] for w in values["worst"]]
    index = values["worst"][0]["index"]
    rows = tested.structure == index
    assert np.allclose(found[0].forces, tested.structures[index].forces, atol=1e-7)
    assert np.allclose(found[0].info["predicted_forces"], tested.evaluation.forces.predicted[rows], atol=1e-7)
    assert found[0].energy == pytest.approx(tested.structures[index].energy)
    assert found[0].info["predicted_energy"] == pytest.approx(tested.evaluation.energy.predicted[index])


def test_of_a_property_the_worst_have_its_name(tmp_path: Path):
    tested = predicted_gaps(some_structures())
    written(tmp_path, tested, target="gap")
    first, *_ = read_structures(tmp_path / "run/report/worst.extxyz")
    assert first.energy is None
    assert 5.0 <= first.info["gap"] <= 6.0
    assert "predicted_gap" in first.info
    assert (tmp_path / "run/report/holding.png").exists() is False


def test_another_report_leaves_nothing_of_the_one_before(tmp_path: Path):
    written(tmp_path, predicted(some_structures()))
    mine = tmp_path / "run/report/notes.txt"
    mine.write_text("mine")
    written(tmp_path, predicted_gaps(some_structures()), target="gap")
    left = {path.name for path in (tmp_path / "run/report").iterdir()}
    assert mine.name in left
    assert not left & {"elements.png", "relations.png", "magnitude.png"}
    assert left <= {*CAPTIONS, "notes.txt", "worst.extxyz", "report.html", "report.md", "report.json"}


def test_without_any_label_or_validation_there_is_still_a_page(tmp_path: Path):
    bare = [replace(s, energy=None, forces=None) for s in some_structures()]
    head = "epoch,step,seconds,validation_loss\n"
    page = written(tmp_path, predicted(bare), metrics=head, ended="")
    assert not page.all("img")
    assert "not finished" in page.text


def test_the_command_that_makes_the_run_again_is_on_the_page(ordinary: Ordinary):
    page, run = ordinary.page, ordinary.run
    assert f"hermtk train {run / 'config.yaml'} --out {run.with_name('run-again')}" in page.text
    assert "ab12" in page.text
    assert "variant: htnet" in page.text


def test_a_single_structure_can_be_reported(tmp_path: Path):
    page = written(tmp_path, predicted(some_structures(1)))
    assert page.all("img")
