"""The named variants: data, not classes. A variant is a relation scheme and its options; any subnet runs under any of them."""

from dataclasses import dataclass, field
from typing import Any

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
    """The variant of a name.

    Raises:
        UnknownName: there is none.
    """
    if name not in VARIANTS:
        raise UnknownName("variant", name, VARIANTS)
    return VARIANTS[name]
