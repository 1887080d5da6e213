"""What is known of a component, as far as possible without importing it."""

import ast
import importlib.util
import inspect
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from hermtk import registry
from hermtk.errors import HermtkError
from hermtk.models.variants import VARIANTS
from hermtk_cli.group import load_plugin, offered

KINDS = (*registry.KINDS, "variant")
# what `hermtk list` shows besides: recipes, commands of plugins
LISTED = (*KINDS, "preset", "command")


@dataclass(frozen=True)
class Component:
    """A line of `hermtk list`; ``problem`` says why it cannot be used."""

    kind: str
    name: str
    distribution: str
    version: str
    summary: str
    problem: str = ""


@dataclass(frozen=True)
class Option:
    """An option of a component: a keyword-only argument of its ``__init__``."""

    name: str
    type: str
    default: Any
    required: bool
    doc: str


def components(kinds: Iterable[str] = KINDS) -> list[Component]:
    """Everything that can be named in a config, recipes and commands of plugins if asked for; disabled ones too.

    Ours is read, not imported; plugins' is imported to see whether it can be.
    """
    found = []
    for kind in kinds:
        if kind == "variant":
            found += variants()
        elif kind == "preset":
            found += recipes()
        elif kind == "command":
            found += [_component(entry, load_plugin) for entry in offered()]
        else:
            found += [_component(entry, registry.Entry.load) for entry in registry.installed(kind)]
    return found


def variants() -> list[Component]:
    """The named variants."""
    from hermtk import __version__

    return [
        Component("variant", name, "hermtk", __version__, chosen.summary) for name, chosen in VARIANTS.items()
    ]


def recipes() -> list[Component]:
    """The presets of `hermtk train`."""
    from hermtk import __version__
    from hermtk.training.presets import presets

    return [Component("preset", p.name, "hermtk", __version__, p.summary) for p in presets()]


def options(component: type[Any]) -> list[Option]:
    """The options of a component, with what the docstring of its ``__init__`` says of each."""
    known = registry.options(component)
    said = option_docs(inspect.getdoc(component.__init__) or "", list(known))
    return [
        Option(
            name,
            inspect.formatannotation(parameter.annotation),
            None if parameter.default is inspect.Parameter.empty else parameter.default,
            parameter.default is inspect.Parameter.empty,
            said.get(name, ""),
        )
        for name, parameter in known.items()
    ]


def option_docs(text: str, names: list[str]) -> dict[str, str]:
    """What a docstring says of each name: from a sentence or line that begins with it to the next one that does so.

    Understood are ``name``: text, ``name`` text, and the lines of an ``Args:`` section.
    """
    if not names:
        return {}
    alternatives = "|".join(map(re.escape, names))
    start = re.compile(rf"(?:^|[.;]\s+|\n\s*)(?:``({alternatives})``:?|({alternatives}):)\s+")
    marks = list(start.finditer(text))
    found = {}
    for mark, following in zip_longest(marks, marks[1:]):
        end = following.start() if following else len(text)
        said, _, _ = text[mark.end() : end].partition("\n\n")
        found[mark[1] or mark[2]] = " ".join(said.split()).rstrip(".;").replace("``", "`")
    return found


def first_line(text: str | None) -> str:
    """Of a docstring, with the marks of code as a terminal shows them."""
    return (text or "").partition("\n")[0].replace("``", "`")


def _component(entry: registry.Entry, load: Callable[[registry.Entry], Any]) -> Component:
    summary, problem = "", ""
    if entry.distribution == "hermtk":
        summary = _summary_without_import(entry)
    else:
        try:
            summary = _summary(load(entry))
        except HermtkError as cause:
            problem = str(cause)
    return Component(entry.kind, entry.name, entry.distribution, entry.version, summary, problem)


def _summary(component: Any) -> str:
    """The first line of a class's docstring, or of a command's help."""
    return first_line(inspect.getdoc(component) if inspect.isclass(component) else component.help)


def _summary_without_import(entry: registry.Entry) -> str:
    """The first line of the docstring of the module's one component, read from its source."""
    spec = importlib.util.find_spec(entry.target)
    if spec is None or spec.origin is None:
        return ""
    module = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    contract = registry.KINDS[entry.kind][1]
    for node in module.body:
        bases = [base.id for base in getattr(node, "bases", ()) if isinstance(base, ast.Name)]
        if isinstance(node, ast.ClassDef) and contract in bases:
            return first_line(ast.get_docstring(node))
    return first_line(ast.get_docstring(module))
