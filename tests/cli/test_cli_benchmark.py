"""`hermtk benchmark`: tables, files, JSON, errors before any work, and what an interrupt leaves."""

import json
from collections import Counter
from pathlib import Path

import pytest

from hermtk.benchmark import memory, run
from hermtk.benchmark.run import Benchmark

TINY = ("--channels", 4, "--layers", 1, "--cutoff", 3, "--repeats", 2)
SMALL = (*TINY, "--atoms", 4, "--elements", 2, "--variant", "hvnet")


@pytest.fixture
def without_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """No helper process, which takes seconds to start."""
    monkeypatch.setattr(memory, "can_measure", lambda device: False)


@pytest.fixture
def nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is refused is refused before this."""

    def fail(*_: object) -> None:
        pytest.fail("something was measured")

    monkeypatch.setattr(Benchmark, "run", fail)


def test_tables_and_files_are_made_with_time_and_memory(hermtk):
    shown = hermtk("benchmark", *SMALL, "--molecules", 2, "--out", "there")
    assert shown.status == 0
    for text in (
        "training, alloy of 4 atoms, ",
        "inference, alloy of 4 atoms, ",
        "training, 2 ethanols, 18 atoms, ",
        "painn hvnet",
        "µs/atom",
        "B/edge",
        "1 of ",
        "samples of CPU time",
    ):
        assert text in shown.out
    assert "wrote there/results.json, there/results.csv, there/benchmark.png" in shown.err
    assert sorted(path.name for path in Path("there").iterdir()) == [
        "benchmark.png",
        "results.csv",
        "results.json",
    ]
    found = json.loads(Path("there/results.json").read_text())
    assert found["complete"]
    assert [(row["job"], row["system"]) for row in found["cases"]] == [
        ("training", "alloy of 4 atoms"),
        ("training", "2 ethanols"),
        ("inference", "alloy of 4 atoms"),
        ("inference", "2 ethanols"),
    ]
    if memory.can_measure("cpu"):
        assert all(row["bytes_per_edge"] > 0 for row in found["cases"])


@pytest.mark.usefixtures("without_memory")
def test_json_is_all_there_is_on_standard_output_and_no_file_is_written(hermtk, unchanged):
    shown = hermtk("benchmark", *SMALL, "--inference", "--json")
    assert (shown.status, shown.err) == (0, "")
    (row,) = json.loads(shown.out)["cases"]
    assert (row["job"], row["variant"], len(row["cpu_ms"])) == ("inference", "hvnet", 2)
    assert unchanged()


@pytest.mark.usefixtures("without_memory")
def test_against_looped_every_case_has_its_twin(hermtk):
    shown = hermtk(
        "benchmark", *SMALL, "--variant", "htnet", "--against", "looped", "--json", "--output", "there"
    )
    rows = json.loads(shown.out)["cases"]
    assert Counter((row["job"], row["variant"], row["how"]) for row in rows) == Counter(
        (job, variant, how)
        for job in ("training", "inference")
        for variant in ("hvnet", "htnet")
        for how in ("grouped", "looped")
    )
    assert {row["compared_with"] for row in rows} == {"looped hvnet", "looped htnet"}
    assert json.loads(Path("there/results.json").read_text())["cases"] == rows


@pytest.mark.usefixtures("without_memory")
def test_results_go_below_runs_unless_told_otherwise(hermtk):
    shown = hermtk("benchmark", *SMALL, "--training")
    (folder,) = Path("runs").iterdir()
    assert folder.name.startswith("benchmark-")
    assert f"wrote {folder}/results.json" in shown.err
    assert "inference" not in shown.out


@pytest.mark.usefixtures("without_memory")
@pytest.mark.parametrize("more", [(), ("--json",)])
def test_an_interrupt_leaves_whole_files_with_what_was_measured(hermtk, monkeypatch, more):
    real, seen = run.by_turns, []

    def interrupted(*arguments):
        for found in real(*arguments):
            yield found
            seen.append(found)
            if len(seen) == 5:
                raise KeyboardInterrupt

    monkeypatch.setattr(run, "by_turns", interrupted)
    shown = hermtk("benchmark", *SMALL, "--elements", 1, "--out", "there", *more)
    assert shown.status == 130
    assert "interrupted: what had been measured is kept" in shown.err
    found = json.loads(Path("there/results.json").read_text())
    assert not found["complete"]
    # two cases of training are whole, the first of inference has a sample
    assert [len(row["cpu_ms"]) for row in found["cases"]] == [2, 2, 1, 0]
    assert sorted(path.name for path in Path("there").iterdir()) == [
        "benchmark.png",
        "results.csv",
        "results.json",
    ]
    if more:
        assert json.loads(shown.out)["cases"] == found["cases"]
    else:
        assert "training, alloy of 4 atoms" in shown.out


@pytest.mark.usefixtures("without_memory")
def test_an_interrupt_before_anything_was_measured_leaves_valid_json(hermtk, monkeypatch):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Benchmark, "run", interrupted)
    shown = hermtk("benchmark", *SMALL, "--out", "there")
    assert shown.status == 130
    assert json.loads(Path("there/results.json").read_text())["cases"] == []
    assert "benchmark.png" not in shown.err


@pytest.mark.usefixtures("without_memory")
def test_a_case_that_cannot_be_run_is_named_below_the_tables(hermtk, monkeypatch):
    real = run.workload

    def workload(case, settings):
        if case.job == "training":
            raise RuntimeError("not enough memory")
        return real(case, settings)

    monkeypatch.setattr(run, "workload", workload)
    shown = hermtk("benchmark", *SMALL)
    assert shown.status == 0
    assert "training, alloy of 4 atoms, 2 elements, painn hvnet grouped: not enough memory" in shown.err


@pytest.mark.usefixtures("nothing_runs")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--subnet", "pain"), "no subnet named 'pain'. Did you mean 'painn'?"),
        (("--variant", "hvnt"), "no variant named 'hvnt'. Did you mean 'hvnet'?"),
        (("--dtype", "float23"), "no dtype named 'float23'. Did you mean 'float32'?"),
        (("--against", "loop"), "no form to compare with named 'loop'. Did you mean 'looped'?"),
        (("--atoms", 30), "30 atoms do not fill fcc cells of four: 28 or 32 do"),
        (("--atoms", 4, "--elements", 5), "4 atoms cannot be of 5 elements: 4 at most"),
        (("--atoms", 400, "--elements", 30), "an alloy is made of 1 to 29 elements, not of 30"),
        (("--molecules", 0), "a batch holds one molecule at least, not 0"),
        (("--molecules", 2, "--elements", 2), "--elements is for alloys, ethanol has three"),
        (("--device", "warp"), "the device 'warp' cannot be used here"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(hermtk, unchanged, arguments, said):
    shown = hermtk("benchmark", *arguments, "--out", "there")
    assert shown.status == 1
    assert said in shown.error
    assert unchanged()
    assert not Path("there").exists()


@pytest.mark.usefixtures("nothing_runs")
def test_without_a_compiler_compiling_is_refused(hermtk, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    shown = hermtk("benchmark", *SMALL, "--compile")
    assert shown.status == 1
    assert (
        "models cannot be compiled here: no C++ compiler was found (looked for no-such-compiler)"
        in shown.error
    )


@pytest.mark.usefixtures("nothing_runs")
def test_a_file_in_the_place_of_the_folder_is_refused(hermtk):
    Path("there").write_text("mine")
    shown = hermtk("benchmark", *SMALL, "--out", "there")
    assert (shown.status, shown.error) == (1, "the folder there could not be made: File exists")
    assert Path("there").read_text() == "mine"


@pytest.mark.usefixtures("nothing_runs")
@pytest.mark.parametrize(
    "arguments", [("--repeats", 0), ("--threads", 0), ("--channels", 2), ("--cutoff", 0)]
)
def test_numbers_that_make_no_sense_are_a_misuse(hermtk, arguments):
    assert hermtk("benchmark", *arguments).status == 2
