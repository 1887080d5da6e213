"""`hermtk new`: a package that is right as it is written."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermtk.errors import ConfigError
from hermtk_cli.commands.new import _IMPORTED, TEMPLATES, files, names

EXAMPLE = Path(__file__).parents[2] / "plugins" / "hermtk-example"
# a word of one letter, and as long as it can be
NAMES = ["q", "damped", "many_words-in-a-very-long_name", 30 * "a"]


def content(folder: Path) -> dict[Path, str]:
    """Every file below a folder, but for what tools leave there."""
    left = {"__pycache__", ".pytest_cache", ".ruff_cache", ".hypothesis"}
    return {
        path.relative_to(folder): path.read_text(encoding="utf-8")
        for path in folder.rglob("*")
        if path.is_file() and not left & {*path.relative_to(folder).parts}
    }


def refusal(name: str) -> str:
    """Why a name cannot be; empty if it can."""
    try:
        names(name)
    except ConfigError as refused:
        return str(refused)
    return ""


def tool(folder: Path, *words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *words], cwd=folder, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_example_in_the_repository_is_what_is_written():
    assert content(EXAMPLE) == files("subnet", names("example"))


def test_the_command_writes_the_package_and_says_what_comes_next(hermtk):
    shown = hermtk("new", "subnet", "my-damped")
    assert (shown.status, shown.out) == (0, "")
    assert shown.err.startswith("wrote hermtk-my-damped. Next, in it: pip install -e")
    assert "--subnet my_damped" in shown.err
    assert [path.name for path in Path().iterdir()] == ["hermtk-my-damped"]
    assert content(Path("hermtk-my-damped")) == files("subnet", names("my-damped"))
    assert Path("hermtk-my-damped").stat().st_mode & 0o777 == 0o755


def test_it_can_be_written_in_another_folder(hermtk, tmp_path):
    assert hermtk("new", "subnet", "damped", "--into", tmp_path).status == 0
    assert (tmp_path / "hermtk-damped" / "hermtk_damped" / "subnet.py").is_file()


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_left_to_fill_in(name):
    words = names(name)
    written = files("subnet", words)
    assert {path.as_posix() for path in written} == {
        "LICENSE",
        "README.md",
        "docs/subnet.md",
        f"{words['module']}/__init__.py",
        f"{words['module']}/subnet.py",
        "pyproject.toml",
        "tests/test_subnet.py",
    }
    assert not any("$name" in text or "$mod" in text or "$Class" in text for text in written.values())
    project = tomllib.loads(written[Path("pyproject.toml")])["project"]
    assert project["name"] == words["distribution"]
    assert project["entry-points"]["hermtk.subnets"] == {
        words["name"]: f"{words['module']}.subnet:{words['Class']}"
    }


@pytest.mark.parametrize("name", NAMES)
def test_it_passes_ruff_under_its_own_settings(tmp_path, name):
    for path, text in files("subnet", names(name)).items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    tool(tmp_path, "ruff", "check", "--no-cache", ".")
    tool(tmp_path, "ruff", "format", "--no-cache", "--check", ".")


@pytest.mark.slow
def test_it_passes_its_own_tests_and_pyright(hermtk):
    hermtk("new", "subnet", "damped")
    folder = Path("hermtk-damped")
    tool(folder, "pytest", "-q", "-p", "no:cacheprovider")
    tool(folder, "pyright", "--pythonpath", sys.executable)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Damped", "'damped' would do"),
        ("my subnet", "'my_subnet' would do"),
        ("2body", "'body' would do"),
        ("a" * 31, f"'{'a' * 30}' would do"),
        ("../away", "'away' would do"),
        ("damped_", "'damped' would do"),
        ("größe", "'gr_e' would do"),
        ("", "a letter first, at most 30 characters"),
        ("subnet", "its class Subnet has a meaning already"),
        ("typed_linear", "its class TypedLinear has"),
        ("none", "its class None has"),
        ("painn", "there is a subnet named 'painn' already (hermtk "),
        ("triad", "there is a relation named 'triad' already (hermtk "),
        ("extxyz", "there is a format named 'extxyz' already (hermtk "),
        ("htnet", "there is a variant named 'htnet' already (hermtk "),
        ("cli", "a package named hermtk_cli is installed already"),
    ],
)
def test_a_name_that_cannot_be_is_refused_with_the_reason(hermtk, unchanged, name, said):
    shown = hermtk("new", "subnet", "--", name)
    assert shown.status == 1
    assert said in shown.error
    assert unchanged()


def test_a_name_of_a_plugin_is_refused_with_its_version(hermtk, world, unchanged):
    world.install("mine", "0.3", readouts="damped = mine.module")
    assert "there is a readout named 'damped' already (mine 0.3)" in hermtk("new", "subnet", "damped").error
    assert "'shared' already (mine 0.3)" not in hermtk("new", "subnet", "shared").err


@given(st.text(max_size=40))
def test_a_name_is_refused_or_gives_names_that_python_and_installers_accept(name):
    try:
        words = names(name)
    except ConfigError:
        return
    assert words["name"].isidentifier()
    assert words["module"].isidentifier()
    assert words["Class"].isidentifier()
    assert words["distribution"].replace("-", "").isalnum()


@given(st.text(max_size=40))
def test_what_is_said_would_do_does(name):
    said = refusal(name)
    _, _, rest = said.partition("characters; ")
    if rest:
        assert "would do" not in refusal(ast.literal_eval(rest.removesuffix(" would do")))


def test_every_class_that_the_package_imports_is_refused_as_a_name():
    found = set()
    for path, text in files("subnet", names("damped")).items():
        if path.suffix == ".py":
            imports = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)]
            found |= {alias.name for node in imports for alias in node.names if alias.name[0].isupper()}
    assert found - {"Damped"} == _IMPORTED


def test_an_unknown_kind_is_refused_with_the_nearest(hermtk):
    shown = hermtk("new", "subnets", "damped")
    assert "no kind of plugin to start named 'subnets'. Did you mean 'subnet'?" in shown.error


def test_a_folder_that_exists_is_left_alone(hermtk, unchanged):
    for place in (Path("hermtk-damped"), Path("hermtk-other")):
        place.mkdir()
    Path("hermtk-other/notes").write_text("mine")
    for name in ("damped", "other"):
        assert f"hermtk-{name} exists: choose another place" in hermtk("new", "subnet", name).error
    assert Path("hermtk-other/notes").read_text() == "mine"
    assert not list(Path("hermtk-damped").iterdir())


@pytest.mark.parametrize("place", ["nowhere", "file"])
def test_a_place_that_is_no_folder_is_refused(hermtk, place):
    Path("file").touch()
    shown = hermtk("new", "subnet", "damped", "--into", place)
    assert f"there is no folder {place} to write hermtk-damped in" in shown.error


def test_what_fails_on_the_way_leaves_nothing(hermtk, monkeypatch):
    write, calls = Path.write_text, []

    def fails_later(path, *arguments, **named):
        calls.append(path)
        if len(calls) == 4:
            raise OSError(28, "No space left on device")
        return write(path, *arguments, **named)

    monkeypatch.setattr(Path, "write_text", fails_later)
    shown = hermtk("new", "subnet", "damped")
    assert "hermtk-damped could not be written: No space left on device" in shown.error
    assert len(calls) == 4
    assert list(Path().iterdir()) == []


def test_the_templates_are_within_the_installed_package():
    import hermtk_cli

    (package,) = hermtk_cli.__path__
    assert TEMPLATES.parent == Path(package)
    assert all(path.suffix == ".txt" for path in TEMPLATES.rglob("*") if path.is_file())
