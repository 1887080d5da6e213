"""What can be named in a config."""

import sys
from importlib.metadata import EntryPoint
from types import ModuleType

import pytest

from hermtk import registry
from hermtk.data.formats.base import Format
from hermtk.errors import ConfigError, HermtkError, UnknownName


class Sheet(Format):
    """A format of some plugin."""

    suffixes = (".sheet",)

    def __init__(self, *, columns: int, header: bool = True, name: str = "first") -> None:
        """``columns`` of numbers."""

    def read(self, path, units=None):
        yield from ()


@pytest.fixture
def plugin(monkeypatch):
    """Install entry points for the time of a test: ``plugin(name="module:attribute")``."""

    def install(**targets):
        points = [EntryPoint(name, target, "hermtk.formats") for name, target in targets.items()]
        monkeypatch.setattr(
            registry, "entry_points", lambda group: points if group == "hermtk.formats" else []
        )
        registry._entries.cache_clear()

    module = ModuleType("some_plugin")
    module.__dict__.update(Sheet=Sheet, number=3)
    monkeypatch.setitem(sys.modules, "some_plugin", module)
    yield install
    monkeypatch.undo()
    registry._entries.cache_clear()


def test_a_file_in_an_open_folder_is_listed_by_its_name():
    formats = registry.entries("format")
    assert set(formats) >= {"extxyz", "ragged", "sgdml", "ase"}
    assert formats["extxyz"].distribution == "hermtk"


def test_the_contract_and_private_files_are_not_listed():
    assert not {"base", "_npz"} & set(registry.entries("format"))


@pytest.mark.parametrize("name", sorted(registry.entries("format")))
def test_every_listed_format_loads_and_keeps_its_contract(name):
    assert issubclass(registry.find("format", name), Format)


def test_an_unknown_name_is_refused_with_the_nearest_one():
    with pytest.raises(UnknownName, match=r"no format named 'extxzy'. Did you mean 'extxyz'"):
        registry.find("format", "extxzy")


def test_a_plugin_is_listed_and_loaded(plugin):
    plugin(sheet="some_plugin:Sheet")
    assert registry.find("format", "sheet") is Sheet


def test_a_plugin_cannot_take_a_name_of_ours(plugin):
    plugin(extxyz="some_plugin:Sheet")
    assert registry.find("format", "extxyz") is not Sheet


@pytest.mark.parametrize("target", ["some_plugin:Missing", "no_such_module:Sheet", "some_plugin:number"])
def test_a_broken_plugin_disables_only_itself(plugin, target):
    plugin(broken=target, sheet="some_plugin:Sheet")
    with pytest.raises(HermtkError, match=r"broken|some_plugin:number"):
        registry.find("format", "broken")
    assert registry.find("format", "sheet") is Sheet


def test_options_are_the_keyword_arguments_with_their_defaults(plugin):
    plugin(sheet="some_plugin:Sheet")
    assert registry.checked_options("format", "sheet", {"columns": 4}) == {
        "columns": 4,
        "header": True,
        "name": "first",
    }


@pytest.mark.parametrize(
    ("values", "error", "words"),
    [
        ({"columns": 4, "heeder": False}, UnknownName, "heeder.*Did you mean 'header'"),
        ({"columns": "four"}, ConfigError, "columns.*cannot be 'four'"),
        ({}, ConfigError, "needs the option 'columns'"),
    ],
)
def test_wrong_options_are_refused_by_name(plugin, values, error, words):
    plugin(sheet="some_plugin:Sheet")
    with pytest.raises(error, match=words):
        registry.checked_options("format", "sheet", values)
