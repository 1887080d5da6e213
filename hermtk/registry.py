"""What can be named in a config: one file per component in an open folder, plus entry points of installed packages.

Adding ``hermtk/subnets/NAME.py`` with one ``Subnet`` in it is the registration. Nothing is imported until it is asked for, so
listing is fast, and a broken plugin disables only itself.
"""

import importlib
import inspect
import pkgutil
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from hermtk.errors import ConfigError, HermtkError, UnknownName

# kind -> (package that is the open folder, name of the contract in its base.py)
KINDS: dict[str, tuple[str, str]] = {
    "subnet": ("hermtk.subnets", "Subnet"),
    "relation": ("hermtk.relations", "Relation"),
    "readout": ("hermtk.readouts", "Readout"),
    "format": ("hermtk.data.formats", "Format"),
}
# files of open folders that hold what components share
_SHARED = {"base", "union"}


@dataclass(frozen=True)
class Entry:
    """One component: ``kind`` and ``name``, the ``distribution`` and ``version`` it comes from, and where it is."""

    kind: str
    name: str
    distribution: str
    version: str
    target: str

    def load(self) -> type[Any]:
        """Import the component's class.

        Raises:
            HermtkError: a plugin cannot be imported or does not follow its contract.
        """
        contract = _contract(self.kind)
        module, _, attribute = self.target.partition(":")
        try:
            found = importlib.import_module(module)
            component = getattr(found, attribute) if attribute else _only_subclass(found, contract)
        except Exception as cause:
            if self.distribution == "hermtk":
                raise
            raise HermtkError(
                f"the {self.kind} {self.name!r} of {self.distribution} {self.version} could not be loaded: {cause!r}"
            ) from cause
        if not (inspect.isclass(component) and issubclass(component, contract)):
            raise HermtkError(f"{self.target} ({self.distribution}) is not a {contract.__name__}")
        return component


def entries(kind: str) -> dict[str, Entry]:
    """Every component of a kind by name: ours first, then plugins'. A plugin may not take a name of ours."""
    return dict(_entries(kind))


def find(kind: str, name: str) -> type[Any]:
    """The class that a name stands for.

    Raises:
        UnknownName: nothing of that kind has this name.
    """
    known = _entries(kind)
    if name not in known:
        raise UnknownName(kind, name, known)
    return known[name].load()


def options(component: type[Any], given: tuple[str, ...] = ()) -> dict[str, inspect.Parameter]:
    """The options of a component: the keyword-only arguments of its ``__init__``, without those named in ``given``."""
    signature = inspect.signature(component.__init__)
    return {
        name: parameter
        for name, parameter in signature.parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and name not in given
    }


def checked_options(
    kind: str, name: str, values: dict[str, Any], given: tuple[str, ...] = ()
) -> dict[str, Any]:
    """``values`` checked against the options of component ``name`` and completed with its defaults.

    Raises:
        UnknownName: an option that the component does not have (offers the nearest).
        ConfigError: a value of the wrong type.
    """
    from pydantic import ConfigDict, TypeAdapter, ValidationError

    known = options(find(kind, name), given)
    for option in values:
        if option not in known:
            raise UnknownName(f"option of {kind} {name!r}", option, known)
    complete = {}
    for option, parameter in known.items():
        value = values.get(option, parameter.default)
        if value is inspect.Parameter.empty:
            raise ConfigError(f"{kind} {name!r} needs the option {option!r}")
        try:
            adapter = TypeAdapter(parameter.annotation, config=ConfigDict(strict=True))
            complete[option] = adapter.validate_python(value)
        except ValidationError as problem:
            raise ConfigError(
                f"option {option!r} of {kind} {name!r} cannot be {value!r}: {problem.errors()[0]['msg']}"
            ) from None
    return complete


@cache
def _entries(kind: str) -> dict[str, Entry]:
    package, _ = KINDS[kind]
    folder = importlib.import_module(package)
    ours = {
        module.name: Entry(kind, module.name, "hermtk", _version(), f"{package}.{module.name}")
        for module in pkgutil.iter_modules(folder.__path__)
        if module.name not in _SHARED and not module.name.startswith("_")
    }
    for point in entry_points(group=f"{package.replace('.data', '')}"):
        ours.setdefault(point.name, _plugin(kind, point))
    return ours


def _plugin(kind: str, point: EntryPoint) -> Entry:
    distribution = point.dist
    name = distribution.name if distribution else "unknown"
    version = distribution.version if distribution else "unknown"
    return Entry(kind, point.name, name, version, point.value)


def _version() -> str:
    from hermtk import __version__

    return __version__


def _contract(kind: str) -> type[Any]:
    package, contract = KINDS[kind]
    return getattr(importlib.import_module(f"{package}.base"), contract)


def _only_subclass(module: Any, contract: type[Any]) -> type[Any]:
    found = [
        thing
        for thing in vars(module).values()
        if inspect.isclass(thing) and issubclass(thing, contract) and thing.__module__ == module.__name__
    ]
    if len(found) != 1:
        raise HermtkError(
            f"{module.__name__} must hold exactly one {contract.__name__}, it holds {len(found)}"
        )
    return found[0]
