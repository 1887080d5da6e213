"""`hermtk report`: the report that training wrote, made again."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from hermtk.data.dataset import write_structures
from hermtk_cli.main import run as command
from training_world import clusters

TINY = ("channels=4", "layers=1", "n_basis=4", "cutoff=3.0")
SETTINGS = [word for value in TINY for word in ("--set", f"model.{value}")]


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data and a finished run of six epochs."""
    folder = tmp_path_factory.mktemp("world")
    write_structures(folder / "clusters.xyz", clusters(40))
    options = [
        "--data",
        str(folder / "clusters.xyz"),
        "--steps",
        "24",
        "--out",
        str(folder / "run"),
        "--variant",
        "hpnet",
    ]
    assert command(["train", *options, *SETTINGS]) == 0
    return folder


@pytest.fixture
def run(world: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    shutil.copytree(world / "run", tmp_path / "run")
    return tmp_path / "run"


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_training_leaves_a_report(world: Path):
    assert {"report.html", "report.md", "report.json", "parity.png", "learning.png", "worst.extxyz"} <= left(
        world / "run" / "report"
    )
    values = json.loads((world / "run" / "report" / "report.json").read_text())
    results = json.loads((world / "run" / "results.json").read_text())
    assert values["errors"] == results["errors"]
    assert (values["set"], values["ended"]) == ("test", "all steps were done")
    assert values["kept_step"] == results["best_step"]


def test_the_report_made_again_is_that_of_training(hermtk, run: Path):
    before = json.loads((run / "report" / "report.json").read_text())
    shutil.rmtree(run / "report")
    shown = hermtk("report", run)
    assert shown.status == 0, shown.err
    assert f"wrote {run}/report/report.html" in shown.err
    assert "meV/Å" in shown.out
    assert "- Mean absolute errors on 4 structures that decided nothing" in shown.out
    again = json.loads((run / "report" / "report.json").read_text())
    assert again["errors"]["forces"]["mae"] == pytest.approx(before["errors"]["forces"]["mae"], rel=1e-5)
    assert [p["name"] for p in again["relations"]] == [p["name"] for p in before["relations"]]
    assert again["kept_step"] == before["kept_step"]


def test_json_is_the_numbers_and_writes_nothing(hermtk, run: Path, unchanged):
    before = (run / "report" / "report.html").read_bytes()
    shown = hermtk("report", run, "--json")
    assert (shown.status, shown.err) == (0, "")
    values = json.loads(shown.out)
    assert values["verdict"][0]["kind"] == "result"
    assert (run / "report" / "report.html").read_bytes() == before


def test_a_run_that_is_not_finished_has_a_report(hermtk, run: Path):
    (run / "results.json").unlink()
    shutil.rmtree(run / "report")
    rows = (run / "metrics.csv").read_text().splitlines()[:4]
    (run / "metrics.csv").write_text("\n".join(rows) + "\n")
    shown = hermtk("report", run)
    assert shown.status == 0
    assert "The run is not finished (12 of 24 steps)" in " ".join(shown.out.split())
    assert "report.html" in left(run / "report")


def test_other_structures_get_a_report_of_their_own(hermtk, run: Path):
    others = [replace(s, source=f"others.xyz:{k}") for k, s in enumerate(clusters(7, seed=5))]
    write_structures("others.xyz", others)
    before = (run / "report" / "report.json").read_text()
    shown = hermtk("report", run, "--data", "others.xyz")
    assert shown.status == 0, shown.err
    values = json.loads((run / "report-others" / "report.json").read_text())
    assert (values["set"], values["structures"]) == ("others.xyz", 7)
    assert (run / "report" / "report.json").read_text() == before
    assert hermtk("report", run, "--data", "others.xyz", "--out", "there").status == 0
    assert "report.html" in left(Path("there"))


def test_data_that_changed_since_are_said(hermtk, run: Path, world: Path):
    facts = json.loads((run / "run.json").read_text())
    facts["data"]["sha256"] = dict.fromkeys(facts["data"]["sha256"], "0" * 64)
    (run / "run.json").write_text(json.dumps(facts))
    assert "changed after the run began" in " ".join(hermtk("report", run).out.split())


def test_a_folder_without_a_run_or_a_model_is_refused(hermtk, run: Path, tmp_path: Path):
    assert "holds no run" in hermtk("report", tmp_path).error
    (run / "model.pt").unlink()
    assert "holds no model yet" in hermtk("report", run).error


def test_structures_that_cannot_be_tested_on_are_refused(hermtk, run: Path, alloy: Path):
    assert "holds Pd, Au" in hermtk("report", run, "--data", alloy).error
    write_structures("bare.xyz", [replace(s, energy=None, forces=None) for s in clusters(2)])
    assert "has no energies" in hermtk("report", run, "--data", "bare.xyz").error
    assert "there is no file" in hermtk("report", run, "--data", "nowhere.xyz").error


def test_a_report_that_cannot_be_written_does_not_spoil_the_run(hermtk, world: Path, monkeypatch):
    from hermtk.errors import RunError

    def fails(*_: object) -> None:
        raise RunError("the disk is full")

    monkeypatch.setattr("hermtk.evaluation.report.write.write_report", fails)
    shown = hermtk("train", "--data", world / "clusters.xyz", "--steps", 4, "--out", "run", *SETTINGS)
    assert shown.status == 0
    assert "no report: the disk is full" in shown.out
    assert {"model.pt", "results.json"} <= left(Path("run"))
