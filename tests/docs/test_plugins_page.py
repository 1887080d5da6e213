"""The page on plugins can be followed: an empty folder, two files, five commands."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from test_tutorial import SMALL, follow

from docs_pages import DOCS, blocks
from hermtk.data.dataset import write_structures
from hermtk_cli.commands.new import files, names
from plugin_world import write_facts
from training_world import clusters

PAGE = "plugins.md"
FOLDER = DOCS / "examples" / "plugins"


def written() -> list[list[str]]:
    """The commands of the section, as words."""
    block = next(block for block in blocks(PAGE, "console") if "pip install" in block.text)
    return [shlex.split(line.removeprefix("$ ")) for line in block.text.splitlines()]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the page with the package installed, and small data in place of the embedded set."""
    for path in FOLDER.glob("*.*"):
        shutil.copy(path, tmp_path)
    write_facts(tmp_path, tmp_path / "pyproject.toml")
    write_structures(tmp_path / "builtin.npz", clusters(20))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


def test_files_and_commands_are_less_than_sixty_lines():
    lines = [line for path in FOLDER.glob("*.*") for line in path.read_text(encoding="utf-8").splitlines()]
    assert len(lines) + len(written()) < 60


def test_every_file_is_shown():
    shown = {block.language.split()[-1] for block in blocks(PAGE) if "literalinclude" in block.language}
    assert shown == {
        *(f"examples/plugins/{path.name}" for path in FOLDER.glob("*.*")),
        "examples/extending/pyproject.toml",
    }


def test_the_commands_of_the_page_work_one_after_the_other(place: Path):
    pip, *rest = written()
    assert pip == ["pip", "install", "-e", "."]
    listed, checked, trained, shown = (words[1:] for words in rest)
    assert [words[0] for words in (listed, checked, trained, shown)] == ["list", "check", "train", "show"]
    # all variants, float32 and the compiler take a minute
    follow(place, [listed, [*checked, "--fast", "--variant", "htnet", "--dtype", "float64"]])
    follow(place, [[*trained, *shlex.split(SMALL)], shown])
    done = subprocess.run(
        [sys.executable, "-m", "hermtk_cli.main", *shown, "--json"],
        cwd=place,
        env=os.environ,
        capture_output=True,
        text=True,
        check=True,
    )
    need = json.loads(done.stdout)["needs"][0]
    assert (need["name"], need["distribution"], need["version"]) == ("damped", "hermtk-damped", "0.1.0")


def test_without_the_presence_the_check_fails_as_the_page_says(place: Path):
    path = place / "hermtk_damped.py"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("present * self.answer", "self.answer"), encoding="utf-8")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "hermtk_cli.main",
            "check",
            "damped",
            "--fast",
            "--variant",
            "hvnet",
            "--json",
        ],
        cwd=place,
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    laws = json.loads(done.stdout)["subnets"][0]["laws"]
    assert "a neighbor leaves smoothly" in {row["law"] for row in laws if not row["passed"]}


def test_the_tree_of_the_page_is_what_is_written():
    tree = next(block.text for block in blocks(PAGE, "text") if "hermtk-damped/" in block.text)
    said = {word for line in tree.splitlines()[1:] for word in line.split("  ") if word and "." in word}
    shown = {word.strip() for word in said if " " not in word.strip()} | {"LICENSE"}
    expected = {path.as_posix() for path in files("subnet", names("damped"))}
    assert shown == expected - {"hermtk_damped/__init__.py"}
