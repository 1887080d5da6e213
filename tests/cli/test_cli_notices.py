"""What the library says beside its results: one line each, on standard error, without the place in the code."""

import io
import json
import logging
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import Progress

from hermtk.kernels import library
from hermtk_cli.notices import notices

ORDINARY = pytest.mark.filterwarnings("default")
# stands for a compiler
COMPILER = """#!/bin/sh
if [ "$1" = --version ]; then echo fake; exit 0; fi
{body}
"""
BUILDING = "building the kernels once for this machine (about 15 s)\n"


@pytest.fixture
def listing(monkeypatch):
    """Put a function in the place of `hermtk list`."""

    def put(function):
        import hermtk_cli.commands.list as module

        monkeypatch.setattr(module, "run", function)

    return put


@ORDINARY
def test_a_warning_is_one_line_without_its_place(hermtk, listing):
    def run() -> None:
        warnings.warn("something is [strange]\n   here", RuntimeWarning, stacklevel=1)
        sys.stdout.write("the result\n")

    listing(run)
    shown = hermtk("list")
    assert (shown.status, shown.out) == (0, "the result\n")
    assert shown.err == "warning: something is [strange] here\n"


@ORDINARY
def test_with_tracebacks_a_warning_says_where_it_comes_from(hermtk, listing, monkeypatch):
    def run() -> None:
        warnings.warn("strange", RuntimeWarning, stacklevel=1)

    listing(run)
    monkeypatch.setenv("HERMTK_TRACEBACK", "1")
    with warnings.catch_warnings(record=True) as recorded:
        assert hermtk("list").err == ""
    assert [Path(warning.filename).name for warning in recorded] == [Path(__file__).name]


def test_what_the_library_logs_is_a_line_and_what_others_log_is_not(hermtk, listing):
    def run() -> None:
        logging.getLogger("hermtk.kernels.library").info("building %s", "something")
        logging.getLogger("hermtk").debug("details")
        logging.getLogger("other").info("noise")

    listing(run)
    assert hermtk("list").err == "building something\n"


def test_afterwards_everything_is_as_it_was():
    logger, show = logging.getLogger("hermtk"), warnings.showwarning
    before = (logger.level, [*logger.handlers])
    with notices():
        assert warnings.showwarning is not show
        assert logger.handlers != before[1]
    assert warnings.showwarning is show
    assert (logger.level, logger.handlers) == before


def test_a_line_stands_above_a_progress_bar(monkeypatch):
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    console = Console(file=screen, force_terminal=True, width=60)
    with notices(), Progress(console=console, auto_refresh=False) as bar:
        bar.add_task("working", total=3)
        bar.refresh()
        assert sys.stderr is not screen
        logging.getLogger("hermtk").info("said meanwhile")
        bar.refresh()
    after = screen.getvalue().split("said meanwhile")
    assert len(after) == 2
    assert after[1].startswith("\n")
    assert "working" in after[1]


def command(*words: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hermtk_cli.main", *map(str, words)],
        cwd=cwd,
        env={**os.environ, library.VARIABLE: "auto", "XDG_CACHE_HOME": str(cwd / "cache"), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def compiler(folder: Path, body: str) -> str:
    program = folder / "some-c++"
    program.write_text(COMPILER.format(body=body))
    program.chmod(0o755)
    return str(program)


def test_without_a_compiler_one_line_says_how_to_get_the_speed(tmp_path, model, data):
    done = command("evaluate", model, data, "--json", cwd=tmp_path, CXX="no-such-compiler")
    assert done.returncode == 0
    assert json.loads(done.stdout)["forces"]["mae"] > 0
    assert done.stderr == (
        "warning: no C++ compiler was found (looked for no-such-compiler): models give the same, several times "
        "slower. Install one, or name yours in CXX. HERMTK_KERNELS=torch silences this.\n"
    )
    silent = command("evaluate", model, data, "--json", cwd=tmp_path, HERMTK_KERNELS="torch", CXX="none")
    assert (silent.stdout, silent.stderr) == (done.stdout, "")


def test_a_build_is_announced_before_it_begins(tmp_path, model, data):
    broken = compiler(tmp_path, 'echo "k.cpp:1: error: no such thing" >&2; exit 1')
    done = command("predict", model, data, "out.xyz", cwd=tmp_path, CXX=broken)
    assert done.returncode == 0
    first, second, third = done.stderr.splitlines(keepends=True)
    assert first == BUILDING
    assert second.startswith("warning: the kernels could not be built: k.cpp:1: error: no such thing: models")
    assert third.startswith("wrote out.xyz")


@pytest.mark.parametrize("words", [["--help"], ["list"], ["show", "painn"]])
def test_what_computes_nothing_builds_nothing(tmp_path, words):
    done = command(*words, cwd=tmp_path, CXX="no-such-compiler")
    assert (done.returncode, done.stderr) == (0, "")
    assert not (tmp_path / "cache").exists()


def test_an_unknown_choice_of_kernels_is_an_error(tmp_path, model, data):
    done = command("evaluate", model, data, cwd=tmp_path, HERMTK_KERNELS="troch")
    assert done.returncode == 1
    assert done.stderr.startswith("error: no kernels (environment variable HERMTK_KERNELS) named 'troch'.")


@pytest.mark.slow
@pytest.mark.skipif(bool(library.compiler_missing()), reason=library.compiler_missing())
def test_the_first_command_builds_and_says_so_and_the_next_finds_it(tmp_path, data):
    words = ("--data", data, "--steps", 2, "--json", "--set", "model.channels=8", "--set", "model.layers=1")
    first = command("train", *words, "--out", "a", cwd=tmp_path)
    assert first.returncode == 0
    assert first.stderr.count(BUILDING) == 1
    assert json.loads(first.stdout)["steps"] == 2
    second = command("train", *words, "--out", "b", cwd=tmp_path)
    assert BUILDING not in second.stderr
    assert len([*(tmp_path / "cache" / "hermtk").iterdir()]) == 1
