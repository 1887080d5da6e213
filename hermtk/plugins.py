"""Which plugins a model was made with, and whether the same ones are installed here.

Files hold a ``need`` per component: ``kind``, ``name``, ``distribution``, ``version`` and, of a plugin, ``sha256``: the digest
of its package's source files. Only what is installed is read; nothing is run that a file brings.
"""

import hashlib
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.machinery import ModuleSpec
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hermtk import registry
from hermtk.errors import HermtkError, PluginChanged

Need = dict[str, str]

_SOURCES = {".py", ".c", ".cc", ".cpp", ".cu", ".h", ".hpp"}
# what a distribution and its version may be written with: they become part of a command that the user is told
_HARMLESS = re.compile(r"[A-Za-z0-9._+!-]+")


def needs(components: Iterable[tuple[str, str]]) -> list[Need]:
    """What components, as kind and name, come from.

    Raises:
        UnknownName: there is no such component.
    """
    return [_need(registry.entry(kind, name)) for kind, name in components]


def check_needs(place: Path, needed: Sequence[Mapping[str, Any]]) -> None:
    """Hold what a file says against what is installed.

    Raises:
        HermtkError: a plugin is missing, disabled or broken, or somebody else has its name; says what to install.

    Warns:
        PluginChanged: a plugin has another version, or other source files under the same version.
    """
    told = set()
    for need in needed:
        if need["distribution"] == "hermtk":
            continue
        found = _installed(place, need)
        change = _change(need, found)
        if change and change not in told:
            told.add(change)
            warnings.warn(f"{place}: {change}", PluginChanged, stacklevel=3)


@cache
def source_digest(module: str) -> str:
    """SHA-256 over the source files, with their names, of the package that a module is in; nothing is imported.

    Of a package in a namespace: the first real package below it. Empty if there are no files. Once per process: what is
    edited later is not what runs.
    """
    files = _source_files(module)
    if not files:
        return ""
    digest = hashlib.sha256()
    for name, path in sorted(files.items()):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{name}\0{content}\n".encode())
    return digest.hexdigest()


def _need(entry: registry.Entry) -> Need:
    need = {
        "kind": entry.kind,
        "name": entry.name,
        "distribution": entry.distribution,
        "version": entry.version,
    }
    if entry.distribution == "hermtk":
        return need
    return {**need, "sha256": source_digest(entry.target.partition(":")[0])}


def _installed(place: Path, need: Mapping[str, Any]) -> registry.Entry:
    """The component that a need speaks of."""
    what = f"{place} needs the {need['kind']} {need['name']!r} of {need['distribution']} {need['version']}"
    known = registry.installed(need["kind"]) if need["kind"] in registry.KINDS else []
    named = [entry for entry in known if entry.name == need["name"]]
    own = [entry for entry in named if entry.distribution == need["distribution"]]
    if not own:
        raise HermtkError(f"{what}, {_why_not(need, named)}")
    try:
        own[0].load()
    except HermtkError as problem:
        raise HermtkError(f"{what}, which cannot be used: {problem}") from None
    return own[0]


def _why_not(need: Mapping[str, Any], rivals: Sequence[registry.Entry]) -> str:
    """Why it is not there, and what would be right."""
    name, wanted = need["distribution"], need["version"]
    if not (_HARMLESS.fullmatch(name) and _HARMLESS.fullmatch(wanted)):
        return "which is no name of a distribution: the file is damaged or was tampered with"
    install = f"install it by `pip install {name}=={wanted}`"
    if there := _version(name):
        return f"but {name} {there}, which is installed, has none: {install}"
    if rivals:
        other = f"{rivals[0].distribution} {rivals[0].version}"
        return f"which is not installed (the one of {other} is another): {install}"
    return f"which is not installed: {install}"


def _version(distribution: str) -> str:
    """Of what is installed; empty if it is not."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""


def _change(need: Mapping[str, Any], found: registry.Entry) -> str:
    """How the installed plugin differs from the one that a file was made with; empty if it does not."""
    now = f"{found.distribution} {found.version}"
    if found.version != need["version"]:
        return f"made with {need['distribution']} {need['version']}, installed is {now}: results may differ"
    if need.get("sha256", "") not in ("", source_digest(found.target.partition(":")[0])):
        return f"made with {now}, and the one installed has other source files: results may differ"
    return ""


def _source_files(module: str) -> dict[str, Path]:
    """By the names they have in their package; of a module without one, the module."""
    name, _, rest = module.partition(".")
    spec = _spec(name)
    # a namespace has no file of its own
    while spec and spec.origin is None and rest:
        part, _, rest = rest.partition(".")
        name = f"{name}.{part}"
        spec = _spec(name)
    if spec is None or spec.origin is None or not spec.has_location:
        return {}
    origin = Path(spec.origin)
    if spec.submodule_search_locations is None:
        return {origin.name: origin}
    folder = origin.parent
    return {
        path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.suffix in _SOURCES
    }


def _spec(name: str) -> ModuleSpec | None:
    try:
        return find_spec(name)
    # a module made by a program has none
    except (ImportError, ValueError):
        return None
