"""The named variants: data, not classes. A variant is a relation scheme and its options; any subnet runs under any of them."""

from dataclasses import dataclass, field
from typing import Any

from hermtk import registry
from hermtk.errors import UnknownName


@dataclass(frozen=True)
class Variant:
    """A relation scheme by name with options, and what it is for."""

    relation: str
    summary: str
    options: dict[str, Any] = field(default_factory=dict)


VARIANTS: dict[str, Variant] = {
    "homogeneous": Variant("plain", "one set of weights for all edges: the control"),
    "hvnet": Variant("center", "weights by the receiving element"),
    "hpnet": Variant("pair", "weights by (neighbour, centre)"),
    "htnet": Variant("triad", "weights by centre and its two neighbours' elements"),
}


def variant(name: str) -> Variant:
    """The variant of a name; a relation scheme can be named directly too, a plugin's for instance.

    Raises:
        UnknownName: there is none.
    """
    if name in VARIANTS:
        return VARIANTS[name]
    schemes = registry.entries("relation")
    if name not in schemes:
        raise UnknownName("variant", name, [*VARIANTS, *schemes])
    return Variant(name, f"the relation scheme {name}")
