"""The directive ``config-keys``: a table of a section of the run configuration, made from its pydantic model.

``{config-keys} training.loss`` lists what ``RunConfig`` holds there. Sections within the section have tables of their own.
"""

import inspect
import json
from types import NoneType, UnionType
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin

from docutils import nodes
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from hermtk.training.config import RunConfig

_TYPES: dict[Any, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    NoneType: "null",
}
_SIGNS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
_HEAD = ("key", "default", "what it may be", "what it is")
_WIDTHS = (26, 14, 24, 36)


class Row(NamedTuple):
    """One key as the page shows it."""

    key: str
    default: str
    allowed: str
    description: str


def sections(model: type[BaseModel] = RunConfig, place: str = "") -> dict[str, type[BaseModel]]:
    """Every section by its dotted name; the whole configuration is the empty one."""
    found = {place: model}
    for name, field in model.model_fields.items():
        inner = _section(field)
        if inner is not None:
            found |= sections(inner, f"{place}.{name}".lstrip("."))
    return found


def rows(section: str) -> list[Row]:
    """The keys of a section that hold values.

    Raises:
        KeyError: there is no such section.
    """
    fields = sections()[section].model_fields
    return [
        Row(name, _default(field), _allowed(field), field.description or "")
        for name, field in fields.items()
        if _section(field) is None
    ]


class ConfigKeys(SphinxDirective):
    """A table of the keys of a section; without an argument, of those that stand in none."""

    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        """The table."""
        section = self.arguments[0] if self.arguments else ""
        if section not in sections():
            raise self.error(
                f"no configuration section {section!r}; there are {', '.join(filter(None, sections()))}"
            )
        self.env.note_dependency(inspect.getfile(sections()[section]))
        titles = [nodes.entry("", nodes.paragraph("", title)) for title in _HEAD]
        head = nodes.thead("", nodes.row("", *titles))
        body = nodes.tbody("", *(_line(row, section) for row in rows(section)))
        columns = [nodes.colspec(colwidth=width) for width in _WIDTHS]
        return [nodes.table("", nodes.tgroup("", *columns, head, body, cols=len(_HEAD)))]


def _line(row: Row, section: str) -> nodes.row:
    cells = [
        [nodes.literal("", row.key)],
        [nodes.literal("", row.default)],
        _words(row.allowed),
        _words(row.description),
    ]
    entries = [nodes.entry("", nodes.paragraph("", "", *cell)) for cell in cells]
    return nodes.row("", *entries, ids=[nodes.make_id(f"config-{section}-{row.key}")])


def _words(text: str) -> list[nodes.Node]:
    """Text in which backquotes mean code."""
    parts = text.split("`")
    return [nodes.literal("", part) if place % 2 else nodes.Text(part) for place, part in enumerate(parts)]


def _section(field: FieldInfo) -> type[BaseModel] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    return value if isinstance(value, str) else json.dumps(value)


def _allowed(field: FieldInfo) -> str:
    bounds = [
        f"{sign} {getattr(rule, name)}"
        for rule in field.metadata
        for name, sign in _SIGNS.items()
        if hasattr(rule, name)
    ]
    kinds = [_type(kind) for kind in _choices(field.annotation)]
    text = " or ".join(kind for kind in kinds if kind != "null")
    return " ".join([text, *([", ".join(bounds)] if bounds else [])]) + (
        ", or null" if "null" in kinds else ""
    )


def _choices(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) in (UnionType, Union) else (annotation,)


def _type(annotation: Any) -> str:
    kind, inner = get_origin(annotation), get_args(annotation)
    if kind is Literal:
        return " or ".join(part for part in (", ".join(inner[:-1]), inner[-1]) if part)
    if kind is list:
        return f"a list of {_type(inner[0])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "sets"
    if kind is dict:
        return "keys with values" if inner[1] is Any else f"names with a {_type(inner[1])} each"
    return _TYPES[annotation]


def setup(app: Sphinx) -> dict[str, Any]:
    """Tell Sphinx."""
    app.add_directive("config-keys", ConfigKeys)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
