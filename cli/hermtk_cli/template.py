"""A configuration file that explains itself, made from the models that check it."""

import inspect
from typing import Any, Literal, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

_HEAD = (
    "# A run of hermtk. Every key may be left out; these are the defaults.",
    "# Start it with: hermtk train THIS_FILE",
)
_COMMENTS_AT = 34


def template(config: type[BaseModel], values: dict[str, Any] | None = None) -> str:
    """Every key with its default, or its value in ``values``, and what it means, as YAML."""
    return "\n".join([*_HEAD, *_lines(config, values or {}, "")]) + "\n"


def _lines(section: type[BaseModel], values: dict[str, Any], indent: str) -> list[str]:
    lines: list[str] = []
    after_section = False
    for name, field in section.model_fields.items():
        inner = _section(field)
        if inner is not None or after_section:
            lines.append("")
        after_section = inner is not None
        if inner is None:
            value = values.get(name, field.get_default(call_default_factory=True))
            lines.append(_line(name, field, value, indent))
        else:
            title = (inspect.getdoc(inner) or "").partition("\n")[0]
            lines += [
                f"{indent}# {title}",
                f"{indent}{name}:",
                *_lines(inner, values.get(name, {}), indent + "  "),
            ]
    return lines


def _line(name: str, field: FieldInfo, value: Any, indent: str) -> str:
    entry = f"{indent}{name}: {_yaml(value)}"
    comment = "; ".join(part for part in (field.description, _choices(field)) if part)
    return f"{entry:<{_COMMENTS_AT}}  # {comment}" if comment else entry


def _section(field: FieldInfo) -> type[BaseModel] | None:
    kind = field.annotation
    return kind if inspect.isclass(kind) and issubclass(kind, BaseModel) else None


def _choices(field: FieldInfo) -> str:
    return ", ".join(get_args(field.annotation)) if get_origin(field.annotation) is Literal else ""


def _yaml(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True).splitlines()[0]
