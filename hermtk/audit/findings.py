"""What an audit finds: one sentence with numbers, and the numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from hermtk.data.structure import Structure

# name of a set (train, validation, test ...) -> its structures; a list, or a store that reads them one by one
Sets = Mapping[str, Sequence[Structure]]
Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Finding:
    """A fact about data that somebody should know before training on them.

    Attributes:
        name: short and fixed, as in ``energy-unit`` or ``duplicates-across-sets``: what scripts ask for.
        severity: ``error`` where training would learn something false, ``warning`` where it may, ``note`` otherwise.
        summary: one sentence: what, how many, how large, in which set, and what to do about it.
        structures: ``file:frame`` of those concerned, the worst first, not more than ten.
        evidence: the numbers behind it, as plain values that JSON can hold.
    """

    name: str
    severity: Severity
    summary: str
    structures: tuple[str, ...] = ()
    evidence: Mapping[str, Any] = field(default_factory=dict)
