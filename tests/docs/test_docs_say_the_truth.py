"""What the pages name exists, and what exists has its place on the pages."""

import doctest
import pkgutil
import re
import shlex
from collections.abc import Iterator
from fnmatch import fnmatch
from importlib import import_module
from itertools import pairwise

import pytest
import yaml
from pydantic import BaseModel

import hermtk_cli.commands
from docs_pages import DOCS, Block, blocks, pages, text_of
from hermtk import registry
from hermtk.ablation.study import make_study
from hermtk.training.config import RunConfig, make_config, set_key
from hermtk_cli import group

REPOSITORY = DOCS.parent
# a file with an underscore is a command of two words
COMMANDS = sorted(
    module.name.replace("_", " ") for module in pkgutil.iter_modules(hermtk_cli.commands.__path__)
)
# what some of them begin with lists them
FAMILIES = {name.split()[0] for name in COMMANDS if " " in name}
GROUPS = {f"hermtk.{package.split('.')[-1]}" for package, _ in registry.KINDS.values()} | {"hermtk.commands"}
# what `hermtk init` writes
DEFAULT_CONFIG = "hermtk.yaml"
_CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")


def sections(model: type[BaseModel] = RunConfig, place: str = "") -> Iterator[tuple[str, list[str]]]:
    """Every section of the configuration by its dotted name, with its own keys."""
    inner = {
        name: field.annotation
        for name, field in model.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
    }
    yield place, [name for name in model.model_fields if name not in inner]
    for name, section in inner.items():
        yield from sections(section, f"{place}.{name}".lstrip("."))


def command_lines() -> list[tuple[str, str]]:
    """Every ``hermtk ...`` of a console block: where it stands, and its words."""
    found = []
    for page in [*pages(), "../README.md"]:
        for block in blocks(page, "console", "bash", "sh"):
            joined = block.text.replace("\\\n", " ")
            found += [
                (str(block), line)
                for line in re.findall(r"(?:^|[\s/])(hermtk [a-z].*)$", joined, re.MULTILINE)
            ]
    return found


def command_of(words: list[str]) -> str:
    """The command that a line begins with: two words where one is called so, or where the first alone is none."""
    both = " ".join(words[:2])
    return both if both in COMMANDS or words[0] not in COMMANDS else words[0]


def test_every_command_is_on_the_page_of_commands():
    text = text_of("cli.md")
    assert [name for name in COMMANDS if f"hermtk {name}" not in text] == []


@pytest.mark.parametrize(("place", "line"), command_lines())
def test_a_command_line_of_a_page_is_one_that_exists(place: str, line: str):
    _, *words = shlex.split(line.split(" # ", maxsplit=1)[0])
    name = command_of(words)
    if name in FAMILIES:
        assert words == [name]
        return
    words = words[len(name.split()) :]
    known = {option: p for p in group.load(name).params for option in (*p.opts, *p.secondary_opts)}
    options = [word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)]
    assert [option for option in options if option not in {*known, "--help"}] == []
    for before, word in pairwise(words):
        if before == "--set":
            set_key({}, word.split("=")[0], 0)


@pytest.mark.parametrize("page", pages())
def test_commands_named_in_the_text_exist(page: str):
    named = {
        command_of(code.split()[1:])
        for code in _CODE.findall(text_of(page))
        if re.match(r"hermtk [a-z]", code)
    }
    assert named - {*COMMANDS, *FAMILIES} == set()


@pytest.mark.parametrize("block", [block for page in pages() for block in blocks(page, "pycon")], ids=str)
def test_a_session_of_a_page_gives_what_it_shows(block: Block):
    test = doctest.DocTestParser().get_doctest(block.text, {}, str(block), None, block.line)
    assert doctest.DocTestRunner().run(test).failed == 0


@pytest.mark.parametrize("page", pages())
def test_a_config_of_a_page_is_accepted(page: str):
    for block in blocks(page, "yaml"):
        values = yaml.safe_load(block.text)
        (make_study if "variants" in values else make_config)(values)


def test_every_section_of_the_configuration_has_its_table():
    tables = re.findall(r"^```\{config-keys\}(.*)$", text_of("configuration.md"), re.MULTILINE)
    assert sorted(table.strip() for table in tables) == sorted(place for place, _ in sections())


@pytest.mark.parametrize(("section", "keys"), list(sections()))
def test_a_table_has_every_key_of_its_section(monkeypatch: pytest.MonkeyPatch, section: str, keys: list[str]):
    pytest.importorskip("sphinx", reason="the tables are made by Sphinx: install hermtk[docs]")
    monkeypatch.syspath_prepend(str(DOCS / "_ext"))
    rows = import_module("config_keys").rows(section)
    assert [row.key for row in rows] == keys
    assert all(row.allowed and row.default for row in rows)


def test_a_table_says_default_bounds_and_meaning(monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("sphinx", reason="the tables are made by Sphinx: install hermtk[docs]")
    monkeypatch.syspath_prepend(str(DOCS / "_ext"))
    extension = import_module("config_keys")
    training = {row.key: row for row in extension.rows("training")}
    assert training["ema"][1:3] == ("0.999", "number ≥ 0, < 1")
    assert training["epochs"][1:3] == ("null", "whole number ≥ 1, or null")
    assert training["schedule"][1:3] == ("cosine", "cosine, plateau or constant")


@pytest.mark.parametrize("page", pages())
def test_names_of_the_library_can_be_resolved(page: str):
    names = {code for code in _CODE.findall(text_of(page)) if re.fullmatch(r"hermtk(\.\w+)+", code)}
    for name in sorted(names - GROUPS - {DEFAULT_CONFIG}):
        assert pkgutil.resolve_name(name) is not None


@pytest.mark.parametrize("page", pages())
def test_files_named_in_the_text_exist(page: str):
    named = re.findall(r"`((?:hermtk|cli|docs|tests)/[\w./-]+)`", text_of(page))
    assert [name for name in named if "NAME" not in name and not (REPOSITORY / name).exists()] == []


def test_every_decision_is_in_the_index():
    index = "\n".join(block.text for block in blocks("decisions/index.md", "{toctree}"))
    entries = [line for line in index.splitlines() if line and not line.startswith(":")]
    decisions = [path.stem for path in (DOCS / "decisions").glob("*.md") if path.stem != "index"]
    assert [name for name in decisions if not any(fnmatch(name, entry) for entry in entries)] == []


@pytest.mark.parametrize("page", [page for page in pages() if re.match(r"decisions/\d", page)])
def test_a_decision_says_context_choice_and_consequence(page: str):
    number = page.split("/")[1].split("-", maxsplit=1)[0]
    title, *headings = re.findall(r"^#+ (.*)$", text_of(page), re.MULTILINE)
    assert title.startswith(f"{number}: ")
    assert headings[:3] == ["Context", "Choice", "Consequence"]


def test_numbers_of_decisions_are_used_once():
    numbers = [page.split("/")[1][:4] for page in pages() if re.match(r"decisions/\d", page)]
    assert len(numbers) == len(set(numbers))


def test_a_wrong_name_would_be_seen():
    with pytest.raises((AttributeError, ModuleNotFoundError)):
        pkgutil.resolve_name("hermtk.models.build.bild_model")
    with pytest.raises(Exception, match="Did you mean"):
        set_key({}, "training.los.forces", 0)
