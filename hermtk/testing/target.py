"""What can be put to the test by a word: a subnet's name, ``module:Class``, a file, or a distribution and all its subnets."""

import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hermtk import registry
from hermtk.errors import HermtkError, UnknownName
from hermtk.subnets.base import Subnet, TypeBlindSubnet

# a subnet by its name or as a class: what a Subject takes
Found = str | type[Subnet] | type[TypeBlindSubnet]


def subnets_of(target: str, options: Mapping[str, Any]) -> list[Found]:
    """The subnets that a target stands for, and whether they take the options.

    Args:
        target: ``painn``; ``my_package.layers:MyLayer``; ``layers.py`` or ``layers.py:MyLayer``; ``hermtk-rmconv``.
        options: of every one of them.

    Raises:
        UnknownName: there is no such subnet or distribution; an option that a subnet does not have.
        ConfigError: a value of the wrong type.
        HermtkError: it cannot be imported, or is no subnet.
    """
    found = _find(target)
    for one in found:
        if isinstance(one, str):
            registry.checked_options("subnet", one, dict(options))
        else:
            _check_names(one, options)
    return found


def _find(target: str) -> list[Found]:
    known = registry.entries("subnet")
    if target in known:
        known[target].load()
        return [target]
    file, _, attribute = target.partition(":")
    if file.endswith(".py"):
        return [_local(_module(Path(file)), attribute, file)]
    if attribute:
        # as `python -m` does: what lies in the folder can be named
        if "" not in sys.path and str(Path.cwd()) not in sys.path:
            sys.path.insert(0, str(Path.cwd()))
        return [_local(file, attribute, file)]
    own = [name for name, entry in known.items() if _same(entry.distribution, target)]
    if not own:
        listed = [entry for entry in registry.installed("subnet") if entry.name == target]
        if listed:
            listed[0].load()
        raise UnknownName("subnet or distribution with subnets", target, [*known, *_distributions()])
    for name in own:
        known[name].load()
    return list(own)


def _distributions() -> set[str]:
    return {entry.distribution for entry in registry.entries("subnet").values()}


def _same(one: str, other: str) -> bool:
    return one.lower().replace("_", "-") == other.lower().replace("_", "-")


def _local(module: str, attribute: str, place: str) -> type[Subnet] | type[TypeBlindSubnet]:
    target = f"{module}:{attribute}" if attribute else module
    return registry.Entry("subnet", attribute or Path(place).stem, place, "(not installed)", target).load()


def _module(path: Path) -> str:
    """Import a file; the name under which it can be imported again.

    Raises:
        HermtkError: there is no such file, or it cannot be imported.
    """
    if not path.is_file():
        raise HermtkError(f"there is no file {path}")
    name = f"hermtk_checked_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as cause:
        del sys.modules[name]
        raise HermtkError(f"{path} could not be imported: {cause!r}") from cause
    return name


def _check_names(subnet: type[Any], options: Mapping[str, Any]) -> None:
    known = registry.options(subnet)
    for name in options:
        if name not in known:
            raise UnknownName(f"option of {subnet.__name__}", name, known)
