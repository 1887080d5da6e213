"""Distributions as an installer leaves them: a package, its name and version, its entry points."""

import importlib
import shutil
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hermtk import plugins, registry

SUBNET = '''
"""A plugin."""
from hermtk.nn.segment import segment_sum
from hermtk.nn.typed import TypedLinear
from hermtk.subnets.base import Subnet


class Damped(Subnet):
    """Scalars, damped."""

    l_max = 0

    def __init__(self, channels, relations, n_radial, *, power: int = 1):
        """``power``: of nothing."""
        super().__init__(channels, relations, n_radial)
        self.filter = TypedLinear(relations, n_radial, channels, bias=False)

    def forward(self, features, edges):
        union = edges.union
        sent = features[0].squeeze(1)[union.neighbor_atom] * self.filter(edges.radial, union.edges)
        return (segment_sum(sent, union.center, union.center_atom.shape[0]).unsqueeze(1),)
'''


@dataclass
class World:
    """A folder on the path that distributions are installed in."""

    place: Path

    def install(self, name: str, version: str = "1.0", source: str = SUBNET, **points: str) -> Path:
        """A distribution with one module, ``NAME.module``; ``points`` are ``subnets="a = b:C"`` and so on.

        One that is there already is replaced. Returns the folder of its package.
        """
        self.uninstall(name)
        package = self.place / name
        package.mkdir()
        (package / "__init__.py").touch()
        (package / "module.py").write_text(source, encoding="utf-8")
        _write_facts(self.place, name, version, {f"hermtk.{group}": lines for group, lines in points.items()})
        forget(name)
        return package

    def uninstall(self, name: str) -> None:
        """As if it had never been there."""
        for path in [self.place / name, *self.place.glob(f"{name}-*.dist-info")]:
            if path.exists():
                shutil.rmtree(path)
        forget(name)


def write_facts(place: Path, pyproject: Path) -> None:
    """What an installer writes of a distribution beside its package."""
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    points = {
        group: "\n".join(f"{name} = {target}" for name, target in targets.items())
        for group, targets in project["entry-points"].items()
    }
    _write_facts(place, project["name"], project["version"], points)


def _write_facts(place: Path, name: str, version: str, points: dict[str, str]) -> None:
    about = place / f"{name.replace('-', '_')}-{version}.dist-info"
    about.mkdir()
    about.joinpath("METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8"
    )
    groups = "".join(f"[{group}]\n{lines}\n" for group, lines in points.items())
    about.joinpath("entry_points.txt").write_text(groups, encoding="utf-8")


def forget(*names: str) -> None:
    """What this process knows of packages and of what is installed."""
    for module in [m for m in sys.modules if m.partition(".")[0] in names]:
        del sys.modules[module]
    importlib.invalidate_caches()
    registry._entries.cache_clear()
    plugins.source_digest.cache_clear()


def plugin_world(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A world for the time of a test."""
    monkeypatch.syspath_prepend(str(place))
    yield World(place)
    names = [path.name for path in place.iterdir()]
    monkeypatch.undo()
    forget(*names)
