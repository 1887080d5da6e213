"""The files of a benchmark, drawn and written from any part of its results."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from hermtk.benchmark.picture import draw
from hermtk.benchmark.write import COLUMNS, write_results
from hermtk.errors import DataError, RunError


def row(**given: Any) -> dict[str, Any]:
    time, atoms = given.pop("time", 10.0), given.get("atoms", 32)
    standard = {
        "job": "training",
        "kind": "alloy",
        "system": f"alloy of {atoms} atoms",
        "elements": 2,
        "subnet": "painn",
        "variant": "hvnet",
        "how": "grouped",
        "atoms": atoms,
        "edges": 42 * atoms,
        "problem": "",
        "median_ms": time,
        "min_ms": 0.9 * time,
        "max_ms": 1.2 * time,
        "us_per_atom": 1e3 * time / atoms,
        "bytes_per_atom": 4096.0,
    }
    return standard | given


def results(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"settings": {"clock": "cpu"}, "cases": list(rows)}


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """What was drawn, before it became a file."""
    kept: list[Figure] = []
    real = Figure.savefig

    def keep(self: Figure, *arguments: Any, **options: Any) -> None:
        kept.append(self)
        real(self, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", keep)
    return kept


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_a_line_is_one_model_on_one_kind_of_system(figures: list[Figure], tmp_path: Path):
    rows = [
        row(atoms=n, variant=v, elements=k, time=float(n * k))
        for n in (108, 32)
        for v in ("hvnet", "htnet")
        for k in (1, 2)
    ]
    draw(results(*rows), tmp_path / "b.png")
    time, memory = figures[0].axes
    assert [list(line.get_xdata()) for line in time.lines] == [[32, 108]] * 4
    assert sorted(line.get_ydata()[0] for line in time.lines) == [1000, 1000, 2000, 2000]
    assert all(list(line.get_ydata()) == [4, 4] for line in memory.lines)
    assert (time.get_xlabel(), memory.get_xlabel()) == ("", "number of atoms")
    assert legend(figures[0]) == ["hvnet", "htnet", "1 element", "2 elements"]


def test_where_only_elements_differ_they_are_the_axis(figures: list[Figure], tmp_path: Path):
    draw(results(*(row(elements=k) for k in (2, 4, 8))), tmp_path / "b.png")
    assert list(figures[0].axes[0].lines[0].get_xdata()) == [2, 4, 8]
    assert figures[0].axes[1].get_xlabel() == "number of elements"
    assert legend(figures[0]) == ["hvnet"]


def test_jobs_stand_side_by_side_and_memory_may_be_missing(figures: list[Figure], tmp_path: Path):
    rows = [row(job=job, bytes_per_atom=None) for job in ("training", "inference")]
    draw(results(*rows), tmp_path / "b.png")
    assert [axes.get_title() for axes in figures[0].axes] == ["training", "inference"]
    assert figures[0].axes[0].get_ylabel() == "CPU time (µs/atom)"


def test_subnets_forms_and_molecules_can_be_told_apart(figures: list[Figure], tmp_path: Path):
    rows = [row(subnet=s, how=how) for s in ("painn", "other") for how in ("looped", "grouped")]
    rows.append(row(kind="ethanol", system="8 ethanols", elements=3, atoms=72))
    draw(results(*rows), tmp_path / "b.png")
    assert legend(figures[0]) == ["painn hvnet", "other hvnet", "2 elements", "ethanol", "grouped", "looped"]


def test_of_nothing_there_is_no_picture(tmp_path: Path):
    failed = {**row(), "median_ms": None}
    with pytest.raises(DataError, match="nothing to draw"):
        draw(results(failed), tmp_path / "b.png")
    assert write_results(tmp_path, results(failed)) == ["results.json", "results.csv"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results.csv", "results.json"]


def test_tables_and_picture_are_written(tmp_path: Path):
    given = results(row(), row(job="inference", problem="why, oh why"))
    assert write_results(tmp_path, given) == ["results.json", "results.csv", "benchmark.png"]
    assert json.loads((tmp_path / "results.json").read_text()) == given
    with (tmp_path / "results.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    assert [tuple(line) for line in found] == [COLUMNS] * 2
    assert found[1]["problem"] == "why, oh why"
    assert float(found[0]["median_ms"]) == 10.0
    assert (tmp_path / "benchmark.png").read_bytes()[:4] == b"\x89PNG"


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path):
    with pytest.raises(RunError, match=r"results.json could not be written"):
        write_results(tmp_path / "nowhere", results(row()))
