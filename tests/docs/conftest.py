"""The components of the page on extending: on the path, in the open folders, or in a distribution of their own."""

import shutil
import sys
import tomllib
from pathlib import Path

import pytest

import hermtk.data.formats
import hermtk.readouts
import hermtk.relations
import hermtk.subnets
from docs_pages import EXAMPLES
from hermtk import registry

sys.path.insert(0, str(EXAMPLES))

# name of the component -> the folder that it would lie in
FOLDERS = {
    "faded": hermtk.subnets,
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
        sys.modules.pop(f"hermtk_example.{name}", None)
    sys.modules.pop("hermtk_example", None)


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
    project = tomllib.loads((EXAMPLES / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    package, facts = tmp_path / "hermtk_example", tmp_path / "hermtk_example-0.1.0.dist-info"
    package.mkdir()
    facts.mkdir()
    (package / "__init__.py").touch()
    for name in FOLDERS:
        shutil.copy(EXAMPLES / f"{name}.py", package)
    about = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (facts / "METADATA").write_text(about, encoding="utf-8")
    points = [
        f"[{group}]\n" + "".join(f"{name} = {target}\n" for name, target in targets.items())
        for group, targets in project["entry-points"].items()
    ]
    (facts / "entry_points.txt").write_text("\n".join(points), encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
