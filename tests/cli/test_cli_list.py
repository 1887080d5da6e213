"""`hermtk list`: components and where they come from."""

import json
import subprocess
import sys
from importlib.metadata import EntryPoint
from types import ModuleType

import pytest

from hermtk import __version__, registry
from hermtk.models.variants import VARIANTS
from hermtk.subnets.base import Subnet
from plugin_world import SUBNET


class Faded(Subnet):
    """Neighbors add what they are."""

    l_max = 0

    def forward(self, features, edges):
        return features


@pytest.fixture
def plugins(monkeypatch):
    """Two plugins, of which one cannot be imported."""
    module = ModuleType("some_plugin")
    module.__dict__.update(Faded=Faded)
    monkeypatch.setitem(sys.modules, "some_plugin", module)
    points = [
        EntryPoint("faded", "some_plugin:Faded", "hermtk.subnets"),
        EntryPoint("gone", "no_such_module:Gone", "hermtk.subnets"),
    ]
    monkeypatch.setattr(registry, "entry_points", lambda group: points if group == "hermtk.subnets" else [])
    registry._entries.cache_clear()
    yield
    monkeypatch.undo()
    registry._entries.cache_clear()


def test_everything_that_can_be_named_is_listed_with_where_it_comes_from(hermtk):
    found = json.loads(hermtk("list", "--json").out)
    names = {(c["kind"], c["name"]) for c in found}
    for kind in registry.KINDS:
        assert {(kind, name) for name in registry.entries(kind)} <= names
    assert {("variant", name) for name in VARIANTS} <= names
    assert {(c["distribution"], c["version"]) for c in found} >= {("hermtk", __version__)}
    assert all(c["summary"] for c in found)


def test_every_component_that_is_listed_can_be_shown(hermtk):
    for component in json.loads(hermtk("list", "--json").out):
        if component["kind"] == "command" or component["problem"]:
            continue
        shown = hermtk("show", component["name"])
        assert shown.status == 0, shown.err
        assert component["summary"].split()[0] in shown.out


@pytest.mark.parametrize("name", ["format", "formats"])
def test_one_kind_can_be_listed_alone(hermtk, name):
    found = json.loads(hermtk("list", name, "--json").out)
    assert {c["kind"] for c in found} == {"format"}
    assert {"extxyz", "sgdml"} <= {c["name"] for c in found}


def test_an_unknown_kind_is_refused_with_the_nearest(hermtk):
    shown = hermtk("list", "subnest")
    assert shown.status == 1
    assert "no kind of component named 'subnest'. Did you mean 'subnet'?" in shown.error


def test_ours_are_listed_without_torch():
    # whatever plugins the machine has
    code = "import sys; from hermtk import registry; registry.entry_points = lambda **_: []; "
    code += "from hermtk_cli.main import run; run(['list']); sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "painn" in done.stdout


def test_plugins_are_listed_and_broken_ones_named(hermtk, plugins):
    shown = hermtk("list", "subnet")
    assert shown.status == 0
    assert "Neighbors add what they are." in shown.out
    assert "disabled" in shown.out
    assert shown.err.startswith("the subnet 'gone' of unknown unknown could not be loaded")
    problems = {c["name"]: c["problem"] for c in json.loads(hermtk("list", "subnet", "--json").out)}
    assert problems["painn"] == problems["faded"] == ""
    assert "no_such_module" in problems["gone"]


def test_every_component_and_command_of_a_plugin_is_listed_with_its_version(hermtk, world):
    source = f"{SUBNET}\ndef run() -> None:\n    '''Say it.'''\n"
    world.install("mine", "0.3", source, subnets="damped = mine.module", commands="say.it = mine.module:run")
    found = json.loads(hermtk("list", "--json").out)
    own = [c for c in found if c["distribution"] == "mine"]
    assert own == [
        {"kind": kind, "name": name, "distribution": "mine", "version": "0.3", "summary": said, "problem": ""}
        for kind, name, said in [("subnet", "damped", "Scalars, damped."), ("command", "say it", "Say it.")]
    ]
    shown = hermtk("list")
    assert shown.err == ""
    assert shown.out.count("mine 0.3") == 2


def test_clashing_plugins_are_listed_as_disabled_with_the_reason(hermtk, world):
    world.install("first", "1.0", subnets="damped = first.module\npainn = first.module")
    world.install(
        "second", "2.0", "def run(): ...", subnets="damped = second.module", commands="list = second.module"
    )
    found = [c for c in json.loads(hermtk("list", "--json").out) if c["problem"]]
    assert {(c["kind"], c["name"], c["distribution"], c["version"]) for c in found} == {
        ("subnet", "damped", "first", "1.0"),
        ("subnet", "damped", "second", "2.0"),
        ("subnet", "painn", "first", "1.0"),
        ("command", "list", "second", "2.0"),
    }
    shown = hermtk("list")
    assert shown.status == 0
    assert shown.out.count("disabled") == 4
    said = shown.err.splitlines()
    assert sorted(said) == sorted(c["problem"] for c in found)
    assert "the subnet 'painn' of first 1.0 is disabled: hermtk has a subnet of that name" in said
