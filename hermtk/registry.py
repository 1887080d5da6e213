"""What can be named in a config: one file per component in an open folder, plus entry points of installed packages.

Adding ``hermtk/subnets/NAME.py`` with one ``Subnet`` in it is the registration. Nothing is imported until it is asked for, so
listing is fast, and a broken plugin disables only itself.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from operator import attrgetter
from typing import Any

from hermtk.errors import ConfigError, HermtkError, UnknownName

# kind -> (package that is the open folder, name of the contract in its base.py)
KINDS: dict[str, tuple[str, str]] = {
    "subnet": ("hermtk.subnets", "Subnet"),
    "relation": ("hermtk.relations", "Relation"),
    "readout": ("hermtk.readouts", "Readout"),
    "format": ("hermtk.data.formats", "Format"),
}
# kind -> further contracts in its base.py; a component keeps one of them
_ALSO: dict[str, tuple[str, ...]] = {"subnet": ("TypeBlindSubnet",)}
# files of open folders that hold what components share
_SHARED = {"base", "union"}


@dataclass(frozen=True)
class Entry:
    """One component, or a plugin's command.

    Attributes:
        kind, name: what it is and is called.
        distribution, version: what it comes from.
        target: where it is, ``module`` or ``module:attribute``.
        problem: why it is disabled, as far as that is known without importing it.
    """

    kind: str
    name: str
    distribution: str
    version: str
    target: str
    problem: str = ""

    @property
    def title(self) -> str:
        """How errors name it."""
        return f"the {self.kind} {self.name!r} of {self.distribution} {self.version}"

    def load(self) -> type[Any]:
        """Import the component's class.

        Raises:
            HermtkError: a plugin that is disabled, cannot be imported or does not follow its contract.
        """
        contracts = _contracts(self.kind)
        found = self.imported()
        own = _subclasses(found, contracts) if inspect.ismodule(found) else [found]
        fault = (
            _fault(own[0], contracts)
            if len(own) == 1
            else f"must hold one {_names(contracts)}, it holds {len(own)}"
        )
        if fault:
            raise HermtkError(f"{self.title} cannot be used: {self.target} {fault}")
        return own[0]

    def imported(self) -> Any:
        """The module or the attribute of it.

        Raises:
            HermtkError: a plugin that is disabled or cannot be imported.
        """
        if self.problem:
            raise HermtkError(self.problem)
        module, _, attribute = self.target.partition(":")
        try:
            found = importlib.import_module(module)
            return attrgetter(attribute)(found) if attribute else found
        # a plugin that ends the process when it is imported is broken like any other
        except (Exception, SystemExit) as cause:
            if self.distribution == "hermtk":
                raise
            raise HermtkError(f"{self.title} could not be loaded: {cause!r}") from cause


def entries(kind: str) -> dict[str, Entry]:
    """Every component of a kind by name: ours first, then plugins'; none that is known to be disabled."""
    return {found.name: found for found in _entries(kind) if not found.problem}


def installed(kind: str) -> list[Entry]:
    """The same with the disabled ones: of a plugin that takes a name of ours, of two plugins that take the same."""
    return list(_entries(kind))


def entry(kind: str, name: str) -> Entry:
    """What a name stands for; a disabled plugin's if nothing else has the name.

    Raises:
        UnknownName: nothing of that kind has this name.
    """
    usable = entries(kind)
    known = {found.name: found for found in _entries(kind)} | usable
    if name not in known:
        raise UnknownName(kind, name, usable)
    return known[name]


def find(kind: str, name: str) -> type[Any]:
    """The class that a name stands for.

    Raises:
        UnknownName: nothing of that kind has this name.
        HermtkError: it is a plugin's and disabled or broken; says why.
    """
    return entry(kind, name).load()


def offered(kind: str, group: str, ours: Container[str]) -> list[Entry]:
    """What installed packages offer under an entry-point group, by name.

    Nobody takes a name of ``ours``, and of two with the same name neither is used: which one would depend on the machine.
    """
    found = sorted((_plugin(kind, point) for point in entry_points(group=group)), key=_place)
    return [replace(one, problem=_objection(one, found, ours)) for one in found]


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
def _entries(kind: str) -> tuple[Entry, ...]:
    package, _ = KINDS[kind]
    folder = importlib.import_module(package)
    ours = [
        Entry(kind, module.name, "hermtk", _version(), f"{package}.{module.name}")
        for module in pkgutil.iter_modules(folder.__path__)
        if module.name not in _SHARED and not module.name.startswith("_")
    ]
    return (*ours, *offered(kind, package.replace(".data", ""), {own.name for own in ours}))


def _plugin(kind: str, point: EntryPoint) -> Entry:
    distribution = point.dist
    name = distribution.name if distribution else "unknown"
    version = distribution.version if distribution else "unknown"
    # a command may have two words: an entry point `a.b` is `hermtk a b`
    called = point.name.replace(".", " ") if kind == "command" else point.name
    return Entry(kind, called, name, version, point.value)


def _place(entry: Entry) -> tuple[str, str]:
    return entry.name, entry.distribution


def _objection(one: Entry, found: Sequence[Entry], ours: Container[str]) -> str:
    """Why a plugin's name cannot stand; empty if it can."""
    if one.name in ours:
        return f"{one.title} is disabled: hermtk has a {one.kind} of that name"
    rivals = [other for other in found if other.name == one.name and other is not one]
    if not rivals:
        return ""
    who = " and ".join(f"{rival.distribution} {rival.version}" for rival in rivals)
    return f"{one.title} is disabled: {who} has a {one.kind} of that name too; uninstall one of them"


def _version() -> str:
    from hermtk import __version__

    return __version__


def _contracts(kind: str) -> tuple[type[Any], ...]:
    package, contract = KINDS[kind]
    base = importlib.import_module(f"{package}.base")
    return tuple(getattr(base, name) for name in (contract, *_ALSO.get(kind, ())))


def _names(contracts: tuple[type[Any], ...]) -> str:
    return " or ".join(contract.__name__ for contract in contracts)


def _fault(component: Any, contracts: tuple[type[Any], ...]) -> str:
    """How a thing breaks its contract, as far as can be seen without running it; empty if it does not."""
    kept = [each for each in contracts if inspect.isclass(component) and issubclass(component, each)]
    if not kept:
        return f"is not a {_names(contracts)}"
    if missing := sorted(getattr(component, "__abstractmethods__", ())):
        return f"is a {kept[0].__name__} without {', '.join(missing)}"
    given = [name for name, p in inspect.signature(kept[0]).parameters.items() if p.default is p.empty]
    known = options(component)
    try:
        inspect.signature(component).bind(*given, **dict.fromkeys(known))
    except TypeError:
        takes = ", ".join(given) or "nothing"
        return f"cannot be made: its __init__ must take {takes} and then options, by keyword only"
    return ""


def _subclasses(module: Any, contracts: tuple[type[Any], ...]) -> list[type[Any]]:
    """The classes of a kind that a module defines itself."""
    return [
        thing
        for thing in vars(module).values()
        if inspect.isclass(thing) and issubclass(thing, contracts) and thing.__module__ == module.__name__
    ]
