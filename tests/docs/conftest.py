"""The components of the page on extending: on the path, in the open folders, or in a distribution of their own."""

import shutil
import sys
from pathlib import Path

import pytest

import hermtk.data.formats
import hermtk.readouts
import hermtk.relations
import hermtk.subnets
from docs_pages import EXAMPLES
from hermtk import registry
from plugin_world import write_facts

sys.path.insert(0, str(EXAMPLES))

# name of the component -> the folder that it would lie in
FOLDERS = {
    "faded": hermtk.subnets,
    "blind": hermtk.subnets,
    "classes": hermtk.relations,
    "invariants": hermtk.readouts,
    "jsonl": hermtk.data.formats,
}


@pytest.fixture
def fresh_registry():
    """What a test adds is forgotten afterwards."""
    registry._entries.cache_clear()
    yield
    registry._entries.cache_clear()
    for name, folder in FOLDERS.items():
        sys.modules.pop(f"{folder.__name__}.{name}", None)
        sys.modules.pop(f"hermtk_mine.{name}", None)
    sys.modules.pop("hermtk_mine", None)


@pytest.fixture
def added(fresh_registry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Each component as a file of its open folder."""
    for name, folder in FOLDERS.items():
        place = tmp_path / name
        place.mkdir()
        shutil.copy(EXAMPLES / f"{name}.py", place)
        monkeypatch.setattr(folder, "__path__", [*folder.__path__, str(place)])


@pytest.fixture
def installed(fresh_registry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """The distribution of the page as an installer leaves it: the package, its name and its entry points."""
    package = tmp_path / "hermtk_mine"
    package.mkdir()
    (package / "__init__.py").touch()
    for name in FOLDERS:
        shutil.copy(EXAMPLES / f"{name}.py", package)
    write_facts(tmp_path, EXAMPLES / "pyproject.toml")
    monkeypatch.syspath_prepend(str(tmp_path))
