"""What a law is: a named function of a subject that measures how far it is from being true."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch

from hermtk.data.structure import Structure
from hermtk.errors import HermtkError
from hermtk.graph.graph import Graph
from hermtk.testing.structures import described
from hermtk.testing.subject import Subject

# in single precision what should be equal agrees to this share of its size
_SINGLE = 2e-3


class Case(NamedTuple):
    """One thing tried, smallest first: its ``name``, the ``violation`` measured and the ``tolerance`` allowed.

    ``structure``: what it was tried on, where that is not what the last graph was made of.
    """

    name: str
    violation: float
    tolerance: float
    structure: Structure | None = None


@dataclass(frozen=True)
class Finding:
    """What a law measured where it held: its worst case."""

    law: str
    case: str
    violation: float
    tolerance: float

    @property
    def tried(self) -> bool:
        """Whether the law says anything about this subject."""
        return self.case != _NOTHING


_NOTHING = "nothing to try"


class LawBroken(HermtkError):
    """A law of the contract that a component does not keep; names the smallest case that shows it, and on which ``matter``."""

    def __init__(
        self, law: str, subject: str, case: str, violation: float, tolerance: float, matter: str = ""
    ) -> None:
        self.law, self.case, self.violation, self.tolerance = law, case, violation, tolerance
        self.matter = matter
        super().__init__(
            f"{subject} breaks the law {law!r}: in the case '{case}' the violation is {violation:.3g}, "
            f"at most {tolerance:.3g} is allowed" + (f"; tried on {matter}" if matter else "")
        )


class LawFailed(LawBroken):
    """A law that could not even be measured: the component raised an error."""

    def __init__(self, law: str, subject: str, case: str, cause: Exception, matter: str = "") -> None:
        super().__init__(law, subject, case, math.nan, math.nan, matter)
        text = str(cause).strip() or "no message"
        self.args = (
            f"{subject} breaks the law {law!r}: {case} it raised {type(cause).__name__}: {text}"
            + (f"; tried on {matter}" if matter else ""),
        )


@dataclass(frozen=True)
class Law:
    """A law, callable on a subject.

    Attributes:
        name: the function's name with spaces: a sentence.
        cases: yields what it tries, smallest first.
        summary: the function's docstring.
        slow: whether it takes seconds rather than parts of one.
        double: whether it has a meaning in double precision only, as differences over small steps have.
    """

    name: str
    cases: Callable[[Subject], Iterator[Case]]
    summary: str
    slow: bool = False
    double: bool = False

    def __call__(self, subject: Subject) -> Finding:
        """Try every case and give the worst.

        Raises:
            LawBroken: at the first case beyond its tolerance, or that could not be computed (NaN, an error).
        """
        worst, share, after = Finding(self.name, _NOTHING, 0.0, 0.0), -1.0, "in the first case"
        single = subject.dtype != torch.float64
        if self.double and single:
            return worst
        watch = _Watch(subject.build)
        try:
            for name, violation, allowed, structure in self.cases(replace(subject, build=watch)):
                tolerance = max(allowed, _SINGLE) if single and allowed else allowed
                if not violation <= tolerance:
                    matter = described(structure) if structure else watch.matter
                    raise LawBroken(self.name, str(subject), name, violation, tolerance, matter)
                if (used := violation / tolerance if tolerance else 0.0) > share:
                    worst, share = Finding(self.name, name, violation, tolerance), used
                after = f"after the case '{name}'"
        except LawBroken:
            raise
        except Exception as cause:
            raise LawFailed(self.name, str(subject), after, cause, watch.matter) from cause
        return worst


class _Watch:
    """Builds graphs and remembers of what the last was made."""

    def __init__(self, build: Callable[..., Graph]) -> None:
        self.build, self.last = build, ()

    def __call__(self, structures: Structure | Sequence[Structure], cutoff: float) -> Graph:
        self.last = (structures,) if isinstance(structures, Structure) else tuple(structures)
        return self.build(structures, cutoff)

    @property
    def matter(self) -> str:
        """The structures in words; of many the number and the smallest."""
        if len(self.last) <= 2:
            return " and ".join(map(described, self.last))
        return f"{len(self.last)} structures at once, the smallest {described(min(self.last, key=len))}"


def law(cases: Callable[[Subject], Iterator[Case]], *, slow: bool = False, double: bool = False) -> Law:
    """Make a law of a function that yields its cases."""
    return Law(cases.__name__.replace("_", " "), cases, (cases.__doc__ or "").strip(), slow, double)


def slow_law(cases: Callable[[Subject], Iterator[Case]]) -> Law:
    """The same for a law that takes seconds; in double precision."""
    return law(cases, slow=True, double=True)


def law_of_doubles(cases: Callable[[Subject], Iterator[Case]]) -> Law:
    """The same for a law that only double precision can show."""
    return law(cases, double=True)
