"""What can be named in a config."""

import sys
from importlib.metadata import EntryPoint
from types import ModuleType

import pytest

from hermtk import registry
from hermtk.data.formats.base import Format
from hermtk.errors import ConfigError, HermtkError, UnknownName
from plugin_world import SUBNET


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
    plugin(extxyz="some_plugin:Sheet", sheet="some_plugin:Sheet")
    assert registry.find("format", "extxyz") is not Sheet
    (disabled,) = [entry for entry in registry.installed("format") if entry.problem]
    assert disabled.problem == (
        "the format 'extxyz' of unknown unknown is disabled: hermtk has a format of that name"
    )
    assert registry.find("format", "sheet") is Sheet


def test_of_two_plugins_with_one_name_neither_is_used_and_both_are_named(world):
    world.install("first", "1.0", subnets="damped = first.module\nown = first.module:Damped")
    world.install("second", "2.0", subnets="damped = second.module")
    problems = {e.distribution: e.problem for e in registry.installed("subnet") if e.name == "damped"}
    assert "'damped' of first 1.0 is disabled: second 2.0 has a subnet of that name too" in problems["first"]
    assert "'damped' of second 2.0 is disabled: first 1.0 has a subnet" in problems["second"]
    assert "damped" not in registry.entries("subnet")
    with pytest.raises(HermtkError, match=r"is disabled: .* uninstall one of them"):
        registry.find("subnet", "damped")
    assert registry.find("subnet", "own").__name__ == "Damped"
    world.uninstall("second")
    assert registry.find("subnet", "damped").__name__ == "Damped"


def test_one_name_may_stand_for_components_of_two_kinds(world):
    world.install("first", subnets="damped = first.module")
    world.install("second", formats="damped = second.module")
    assert registry.find("subnet", "damped").__name__ == "Damped"


@pytest.mark.parametrize("target", ["some_plugin:Missing", "no_such_module:Sheet", "some_plugin:number"])
def test_a_broken_plugin_disables_only_itself(plugin, target):
    plugin(broken=target, sheet="some_plugin:Sheet")
    with pytest.raises(HermtkError, match=r"the format 'broken' of unknown unknown c"):
        registry.find("format", "broken")
    assert registry.find("format", "sheet") is Sheet


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import sys; sys.exit(3)", r"could not be loaded: SystemExit\(3\)"),
        ("def f(:", "could not be loaded: SyntaxError"),
        ("number = 3", r"cannot be used: mine.module must hold one Subnet.*, it holds 0"),
        ("from hermtk.subnets.base import Subnet\nclass A(Subnet): pass", "Subnet without forward, l_max"),
        (SUBNET.replace("channels, relations, n_radial, *, power", "*, power"), "must take channels, rel"),
        (SUBNET.replace("*, power: int = 1", "power"), "and then options, by keyword only"),
        (f"{SUBNET}\nclass Other(Damped): pass", "must hold one Subnet.*, it holds 2"),
    ],
)
def test_a_plugin_that_breaks_its_contract_is_named_with_the_reason(world, source, said):
    world.install("mine", "0.3", source, subnets="mine = mine.module")
    with pytest.raises(HermtkError, match=f"the subnet 'mine' of mine 0.3 .*{said}"):
        registry.find("subnet", "mine")
    assert registry.find("subnet", "painn")


def test_listing_imports_no_plugin(world):
    world.install("mine", source="raise RuntimeError", subnets="mine = mine.module")
    assert "mine" in registry.entries("subnet")


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
