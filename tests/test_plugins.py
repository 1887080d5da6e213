"""What files say of the plugins they need, held against what is installed."""

import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from hermtk import __version__, plugins
from hermtk.errors import HermtkError, PluginChanged, UnknownName
from hermtk.plugins import check_needs, needs, source_digest
from plugin_world import SUBNET, forget

PLACE = Path("model.pt")
PARTS = [("subnet", "damped"), ("relation", "pair")]


@pytest.fixture
def needed(world):
    """What a file says that was written with mine 1.0."""
    world.install("mine", "1.0", subnets="damped = mine.module:Damped")
    return needs(PARTS)


def test_a_need_says_where_a_component_is_from(needed):
    own, ours = needed
    assert own == {
        "kind": "subnet",
        "name": "damped",
        "distribution": "mine",
        "version": "1.0",
        "sha256": source_digest("mine"),
    }
    assert ours == {"kind": "relation", "name": "pair", "distribution": "hermtk", "version": __version__}


def test_what_does_not_exist_is_no_need():
    with pytest.raises(UnknownName, match="Did you mean 'painn'"):
        needs([("subnet", "pain")])


def test_with_the_same_plugin_there_is_nothing_to_say(needed):
    check_needs(PLACE, needed)


def test_a_missing_plugin_is_named_with_what_to_install(world, needed):
    world.uninstall("mine")
    with pytest.raises(
        HermtkError,
        match=r"^model\.pt needs the subnet 'damped' of mine 1\.0, which is not installed: "
        r"install it by `pip install mine==1\.0`$",
    ):
        check_needs(PLACE, needed)


def test_another_version_without_the_component_is_named(world, needed):
    world.install("mine", "2.0", subnets="undamped = mine.module:Damped")
    with pytest.raises(
        HermtkError, match=r"mine 1\.0, but mine 2\.0, which is installed, has none: .*mine==1\.0"
    ):
        check_needs(PLACE, needed)


def test_the_same_name_of_somebody_else_will_not_do(world, needed):
    world.uninstall("mine")
    world.install("other", "3.0", subnets="damped = other.module:Damped")
    with pytest.raises(
        HermtkError, match=r"not installed \(the one of other 3\.0 is another\): .*mine==1\.0"
    ):
        check_needs(PLACE, needed)


def test_a_plugin_that_is_disabled_or_broken_is_named_with_the_reason(world, needed):
    world.install("other", "3.0", subnets="damped = other.module:Damped")
    with pytest.raises(HermtkError, match=r"needs .* of mine 1\.0, which cannot be used: .*other 3\.0 has a"):
        check_needs(PLACE, needed)
    world.uninstall("other")
    world.install("mine", "1.0", "raise OSError('no')", subnets="damped = mine.module:Damped")
    with pytest.raises(HermtkError, match=r"which cannot be used: .* could not be loaded: OSError\('no'\)"):
        check_needs(PLACE, needed)


def test_another_version_is_warned_of_by_both_names(world, needed):
    world.install("mine", "1.1", subnets="damped = mine.module:Damped")
    with pytest.warns(PluginChanged, match=r"model\.pt: made with mine 1\.0, installed is mine 1\.1"):
        check_needs(PLACE, needed)


def test_other_sources_under_the_same_version_are_warned_of(world, needed):
    world.install("mine", "1.0", f"{SUBNET}\n# other", subnets="damped = mine.module:Damped")
    with pytest.warns(PluginChanged, match=r"made with mine 1\.0, and the one installed has other source"):
        check_needs(PLACE, needed)


def test_a_plugin_with_several_components_is_warned_of_once(world, needed):
    world.install("mine", "1.1", subnets="damped = mine.module:Damped")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_needs(PLACE, [needed[0], needed[0]])
    assert len(caught) == 1


def test_a_file_of_before_the_digests_is_taken_as_it_is(needed):
    check_needs(PLACE, [{name: need[name] for name in need if name != "sha256"} for need in needed])


@pytest.mark.parametrize(
    ("key", "value"), [("distribution", "mine; rm -r /"), ("version", "1 && evil"), ("kind", "spell")]
)
def test_a_forged_need_is_refused_and_nothing_of_it_becomes_a_command(world, needed, key, value):
    world.uninstall("mine")
    with pytest.raises(HermtkError) as refused:
        check_needs(PLACE, [{**needed[0], key: value}])
    assert f"pip install {value}" not in str(refused.value)
    assert f"=={value}" not in str(refused.value)


def test_a_digest_changes_with_content_and_names_of_sources_alone(world):
    package = world.install("mine")
    before = source_digest("mine.module")
    (package / "notes.txt").write_text("words")
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "module.cpython-311.pyc").write_bytes(b"compiled")
    forget()
    assert source_digest("mine.module") == before
    for change in (
        lambda: (package / "kernel.cpp").write_text("int a;"),
        lambda: (package / "kernel.cpp").rename(package / "kernels.cpp"),
        lambda: (package / "__init__.py").write_text("# a"),
    ):
        change()
        forget()
        assert source_digest("mine.module") != before
        before = source_digest("mine.module")


def test_a_digest_does_not_depend_on_the_place(world):
    package = world.install("mine")
    here = source_digest("mine")
    code = "import sys; sys.path.insert(0, sys.argv[1]); from hermtk.plugins import source_digest as d; print(d('mine'))"
    elsewhere = world.place.parent / "elsewhere"
    package.parent.rename(elsewhere)
    done = subprocess.run(
        [sys.executable, "-c", code, str(elsewhere)], check=True, capture_output=True, text=True
    )
    elsewhere.rename(package.parent)
    assert done.stdout.strip() == here


def test_nothing_is_imported_for_a_digest(world):
    world.install("mine", source="raise RuntimeError")
    assert len(source_digest("mine.module")) == 64
    assert "mine" not in sys.modules


def test_a_package_in_a_namespace_has_a_digest_of_its_own(world):
    (world.place / "shared").mkdir()
    one, other = world.install("one"), world.install("other", source="number = 1")
    for package in (one, other):
        package.rename(world.place / "shared" / package.name)
    forget()
    assert source_digest("shared.one.module") != source_digest("shared.other.module")
    assert len(source_digest("shared.one")) == 64


def test_a_module_without_a_package_is_its_own_source(world):
    (world.place / "alone.py").write_text("number = 1")
    (world.place / "other.py").write_text("number = 1")
    forget()
    assert plugins._source_files("alone") == {"alone.py": world.place / "alone.py"}
    assert len(source_digest("alone")) == 64


@pytest.mark.parametrize("name", ["nowhere", "nowhere.module", "hermtk.errors.deeper", "sys"])
def test_what_has_no_sources_has_no_digest(name):
    found = source_digest(name)
    assert found == (source_digest("hermtk") if name.startswith("hermtk") else "")
