"""`hermtk new`: a plugin to start from."""

import re
from importlib.util import find_spec
from keyword import iskeyword
from pathlib import Path
from string import Template
from typing import Annotated

import typer

from hermtk.errors import ConfigError, RunError, UnknownName

TEMPLATES = Path(__file__).parents[1] / "templates"
_LONGEST = 30
_NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
# classes that the package imports by these names
_IMPORTED = {"Edges", "Features", "Law", "Path", "Subject", "Subnet", "TypedLinear", "TypedMLP"}


def run(
    kind: Annotated[str, typer.Argument(metavar="subnet", help="What to start: a subnet.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is called in configs, e.g. damped.")],
    into: Annotated[Path, typer.Option("--into", help="Folder to write the package in.")] = Path(),
) -> None:
    """Write an installable package hermtk-NAME with a small working subnet, its tests, README and docs page."""
    from hermtk.files import making
    from hermtk_cli.output import note

    kinds = sorted(path.name for path in TEMPLATES.iterdir())
    if kind not in kinds:
        raise UnknownName("kind of plugin to start", kind, kinds)
    words = names(name)
    _refuse_taken(words)
    folder = into / words["distribution"]
    if not into.is_dir():
        raise RunError(f"there is no folder {into} to write {words['distribution']} in")
    with making(folder) as beside:
        for path, text in files(kind, words).items():
            (beside / path).parent.mkdir(parents=True, exist_ok=True)
            (beside / path).write_text(text, encoding="utf-8")
    note(
        f"wrote {folder}. Next, in it: pip install -e '.[dev]'; pytest; "
        f"hermtk train --subnet {words['name']} --variant hvnet"
    )


def names(name: str) -> dict[str, str]:
    """What a subnet of some name is called in a config, as a distribution, as a package and as a class.

    Raises:
        ConfigError: it cannot be called so; says what would do.
    """
    if not _NAME.fullmatch(name) or len(name) > _LONGEST:
        near = "_".join(re.findall("[a-z0-9]+", name.lower())).lstrip("0123456789_")[:_LONGEST].rstrip("_")
        raise ConfigError(
            f"a subnet cannot be called {name!r}: small letters and digits, words joined by '_', a letter first, at most "
            f"{_LONGEST} characters{f'; {near!r} would do' if near else ''}"
        )
    plain = name.replace("-", "_")
    words = {
        "name": plain,
        "distribution": f"hermtk-{plain.replace('_', '-')}",
        "module": f"hermtk_{plain}",
        "Class": "".join(word.capitalize() for word in plain.split("_")),
    }
    if words["Class"] in _IMPORTED or iskeyword(words["Class"]):
        raise ConfigError(
            f"a subnet cannot be called {name!r}: its class {words['Class']} has a meaning already"
        )
    return words


def files(kind: str, words: dict[str, str]) -> dict[Path, str]:
    """The package's files by their paths in its folder."""
    folder = TEMPLATES / kind
    found = {}
    for path in sorted(folder.rglob("*.txt")):
        parts = [words["module"] if part == "package" else part for part in path.relative_to(folder).parts]
        text = Template(path.read_text(encoding="utf-8")).substitute(words)
        found[Path(*parts).with_suffix("")] = text
    return found


def _refuse_taken(words: dict[str, str]) -> None:
    from hermtk import registry
    from hermtk_cli.describe import variants

    known = [*(entry for kind in registry.KINDS for entry in registry.installed(kind)), *variants()]
    for one in known:
        if one.name == words["name"]:
            raise ConfigError(
                f"there is a {one.kind} named {one.name!r} already ({one.distribution} {one.version}): "
                "choose another name"
            )
    if find_spec(words["module"]):
        raise ConfigError(f"a package named {words['module']} is installed already: choose another name")
