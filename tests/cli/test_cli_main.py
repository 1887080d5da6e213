"""What every command has in common: help, errors, exit statuses, plugins."""

import os
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import pytest

import hermtk_cli.commands
from hermtk import __version__, registry
from hermtk.errors import DataError
from hermtk_cli import group
from hermtk_cli.group import COMMANDS


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], check=False, capture_output=True, text=True
    )


@pytest.fixture
def listing(monkeypatch):
    """Put a function in the place of `hermtk list`."""

    def put(function):
        import hermtk_cli.commands.list as module

        monkeypatch.setattr(module, "run", function)

    return put


@pytest.fixture
def plugin(monkeypatch):
    """Install commands for the time of a test: ``plugin(name="module:attribute")``."""

    def install(**targets):
        points = [EntryPoint(name, target, group.PLUGINS) for name, target in targets.items()]
        monkeypatch.setattr(registry, "entry_points", lambda group: points)

    module = ModuleType("some_plugin")

    def run(times: int = 1) -> None:
        """Say it."""
        sys.stdout.write("plugged in " * times + "\n")

    module.__dict__.update(run=run, number=3)
    monkeypatch.setitem(sys.modules, "some_plugin", module)
    return install


HELP = """
import sys, time
began = time.process_time()
from hermtk_cli.main import run
for arguments in [["--help"], ["--version"], *([*name.split(), "--help"] for name in sys.argv[1:])]:
    assert run(arguments) == 0
print("heavy:", sorted({"torch", "numpy", "ase", "matplotlib"} & set(sys.modules)))
print(time.process_time() - began)
"""


def test_help_of_every_command_needs_neither_torch_nor_numpy():
    done = python(HELP, *COMMANDS)
    assert done.returncode == 0, done.stderr
    assert "heavy: []" in done.stdout


@pytest.mark.benchmark
def test_time_of_help(capsys):
    times = [float(python(HELP).stdout.splitlines()[-1]) for _ in range(5)]
    with capsys.disabled():
        sys.stdout.write(f"hermtk --help: {min(times):.3f} s of CPU time\n")


def test_every_file_of_commands_is_listed_and_the_other_way_round():
    (folder,) = hermtk_cli.commands.__path__
    files = {path.stem for path in Path(folder).glob("*.py")} - {"__init__"}
    assert files == {group.module_name(name) for name in COMMANDS}


def test_every_command_says_what_it_does(hermtk, monkeypatch):
    # long names of plugins' commands leave less room
    monkeypatch.setenv("COLUMNS", "160")
    shown = hermtk("--help")
    assert shown.status == 0
    for name, line in COMMANDS.items():
        assert name in shown.out
        assert line in shown.out
        assert hermtk(*name.split(), "-h").status == 0


def test_without_a_command_there_is_help(hermtk):
    shown = hermtk()
    assert (shown.status, shown.err) == (0, "")
    assert "evaluate" in shown.out


@pytest.mark.parametrize("arguments", [["data"], ["data", "--help"], ["data", "-h"]])
def test_the_first_word_of_several_commands_lists_them(hermtk, arguments):
    shown = hermtk(*arguments)
    assert (shown.status, shown.err) == (0, "")
    for name in ("info", "audit", "split", "subset"):
        assert name in shown.out
    assert "Divide a set into training, validation and test" in shown.out
    assert "benchmark" not in shown.out


def test_an_unknown_second_word_is_a_misuse_with_the_nearest(hermtk):
    shown = hermtk("data", "inf")
    assert shown.status == 2
    assert "no command named 'data inf'. Did you mean 'data info'?" in shown.error


def test_the_version_is_the_librarys(hermtk):
    assert hermtk("--version").out == f"hermtk {__version__}\n"


def test_an_unknown_command_is_a_misuse_with_the_nearest_name(hermtk):
    shown = hermtk("evalute", "model.pt")
    assert shown.status == 2
    assert "no command named 'evalute'. Did you mean 'evaluate'?" in shown.error


@pytest.mark.parametrize(
    "arguments", [["list", "--jsn"], ["show"], ["evaluate", "a", "b", "--batch-size", "0"]]
)
def test_a_misuse_is_one_paragraph_and_status_two(hermtk, arguments):
    shown = hermtk(*arguments)
    assert shown.status == 2
    assert shown.error.endswith(f"Try `hermtk {arguments[0]} --help`.")


def test_an_error_of_the_library_is_one_paragraph_and_status_one(hermtk, listing):
    def run():
        raise DataError("data.xyz:3: the [bold] energy is not finite: nan " + 30 * "and more ")

    listing(run)
    shown = hermtk("list")
    assert shown.status == 1
    assert shown.error.startswith("data.xyz:3: the [bold] energy is not finite: nan and more and more")


def test_an_error_of_the_system_names_the_file(hermtk, listing):
    def run():
        open("nowhere/file")  # noqa: SIM115

    listing(run)
    shown = hermtk("list")
    assert (shown.status, shown.error) == (1, "nowhere/file: No such file or directory")


def test_too_little_memory_is_no_bug(hermtk, listing):
    def run():
        raise MemoryError("tried to allocate 9 TB\nand so on")

    listing(run)
    shown = hermtk("list")
    assert shown.status == 1
    assert "not enough memory (tried to allocate 9 TB)" in shown.error


def test_a_bug_is_one_paragraph_with_its_traceback_in_a_file(hermtk, listing, monkeypatch, tmp_path):
    def run():
        raise ZeroDivisionError("by nothing")

    listing(run)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    shown = hermtk("list")
    assert shown.status == 70
    assert "this is a bug in hermtk: ZeroDivisionError: by nothing." in shown.error
    (kept,) = tmp_path.glob("hermtk-traceback-*.txt")
    assert str(kept) in shown.error
    assert "Traceback" in kept.read_text()
    assert f"hermtk {__version__}" in kept.read_text()


@pytest.mark.parametrize("how", ["option", "environment"])
def test_a_traceback_is_shown_where_one_is_wanted(hermtk, listing, monkeypatch, how):
    def run():
        raise DataError("no good")

    listing(run)
    if how == "environment":
        monkeypatch.setenv("HERMTK_TRACEBACK", "1")
    shown = hermtk(*(["--traceback"] if how == "option" else []), "list")
    assert shown.status == 1
    assert "Traceback (most recent call last)" in shown.err
    assert shown.err.endswith("error: no good\n")


def test_an_interrupt_ends_a_command_with_one_line(hermtk, listing):
    def run():
        raise KeyboardInterrupt

    listing(run)
    shown = hermtk("list")
    assert (shown.status, shown.out, shown.err) == (130, "", "interrupted\n")


PLAIN = """
import sys
import hermtk_cli.commands.list as module
from hermtk_cli.main import run
module.run = lambda: sys.stdout.write("plain")
sys.exit(run(["list"]))
"""


@pytest.mark.parametrize("program", [["-m", "hermtk_cli.main", "list", "--json"], ["-c", PLAIN]])
def test_a_reader_that_has_gone_is_no_error(program):
    # unbuffered output would fail at once, and not where a program ends
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    command = [sys.executable, *program]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=buffered
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1


def test_commands_of_plugins_are_listed_and_run(hermtk, plugin):
    plugin(hello="some_plugin:run", again="some_plugin")
    assert "hello" in hermtk("--help").out
    assert hermtk("hello", "--times", "2").out == "plugged in plugged in \n"
    assert hermtk("again").out == "plugged in \n"
    assert "Say it." in hermtk("again", "--help").out


def test_a_plugins_command_may_have_two_words_and_share_the_first_with_ours(hermtk, plugin):
    plugin(**{"list.plugged": "some_plugin:run", "say.it": "some_plugin"})
    assert "list plugged" in hermtk("--help").out
    assert hermtk("list", "plugged", "--times", "2").out == "plugged in plugged in \n"
    assert hermtk("say", "it").out == "plugged in \n"
    assert "hermtk say it" in hermtk("say", "it", "--help").out
    assert "painn" in hermtk("list", "subnet").out
    assert "no command named 'say that'. Did you mean 'say it'?" in hermtk("say", "that").error


def test_a_plugin_does_not_take_the_name_of_a_command_of_ours(hermtk, plugin):
    plugin(list="some_plugin:run")
    assert "plugged in" not in hermtk("list").out


@pytest.mark.parametrize(
    ("target", "said"),
    [("no_such_module:run", "could not be loaded"), ("some_plugin:number", "neither a function")],
)
def test_a_broken_plugin_is_named_and_disturbs_nothing_else(hermtk, plugin, target, said):
    plugin(broken=target)
    shown = hermtk("broken")
    assert shown.status == 1
    assert said in shown.error
    assert hermtk("--help").status == 0
    assert hermtk("list").status == 0


def test_two_plugins_with_one_command_are_both_disabled_and_named(hermtk, world):
    source = "def run() -> None:\n    '''Say it.'''\n    print('plugged in')\n"
    world.install("first", "1.0", source, commands="hello = first.module:run\nown = first.module")
    world.install("second", "2.0", source, commands="hello = second.module:run")
    shown = hermtk("hello")
    assert shown.status == 1
    assert "the command 'hello' of" in shown.error
    assert {"first 1.0", "second 2.0"} == {
        name for name in ("first 1.0", "second 2.0") if name in shown.error
    }
    assert "has a command of that name too; uninstall one of them" in shown.error
    assert "hello" not in hermtk("--help").out
    assert hermtk("own").out == "plugged in\n"


def test_a_command_that_cannot_be_parsed_is_named_and_no_bug_of_ours(hermtk, world):
    world.install("mine", "0.3", "def run(what: 'missing') -> None: ...", commands="odd = mine.module:run")
    shown = hermtk("odd")
    assert shown.status == 1
    assert "the command 'odd' of mine 0.3 cannot be used: name 'missing' is not defined" in shown.error
