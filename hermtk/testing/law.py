"""What a law is: a named function of a subject that measures how far it is from being true."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from hermtk.errors import HermtkError
from hermtk.testing.subject import Subject


class Case(NamedTuple):
    """One thing tried, smallest first: its ``name``, the ``violation`` measured and the ``tolerance`` allowed."""

    name: str
    violation: float
    tolerance: float


@dataclass(frozen=True)
class Finding:
    """What a law measured where it held: its worst case."""

    law: str
    case: str
    violation: float
    tolerance: float


class LawBroken(HermtkError):
    """A law of the contract that a component does not keep; names the smallest case that shows it."""

    def __init__(self, law: str, subject: str, case: str, violation: float, tolerance: float) -> None:
        self.law, self.case, self.violation, self.tolerance = law, case, violation, tolerance
        super().__init__(
            f"{subject} breaks the law {law!r}: in the case '{case}' the violation is {violation:.3g}, "
            f"at most {tolerance:.3g} is allowed"
        )


class LawFailed(LawBroken):
    """A law that could not even be measured: the component raised an error."""

    def __init__(self, law: str, subject: str, case: str, cause: Exception) -> None:
        super().__init__(law, subject, case, math.nan, math.nan)
        text = str(cause).strip() or "no message"
        self.args = (f"{subject} breaks the law {law!r}: {case} it raised {type(cause).__name__}: {text}",)


@dataclass(frozen=True)
class Law:
    """A law, callable on a subject.

    Attributes:
        name: the function's name with spaces: a sentence.
        cases: yields what it tries, smallest first.
        summary: the function's docstring.
        slow: whether it takes seconds rather than parts of one.
    """

    name: str
    cases: Callable[[Subject], Iterator[Case]]
    summary: str
    slow: bool = False

    def __call__(self, subject: Subject) -> Finding:
        """Try every case and give the worst.

        Raises:
            LawBroken: at the first case beyond its tolerance, or that could not be computed (NaN, an error).
        """
        worst, share, after = Finding(self.name, "nothing to try", 0.0, 0.0), -1.0, "in the first case"
        try:
            for name, violation, tolerance in self.cases(subject):
                if not violation <= tolerance:
                    raise LawBroken(self.name, str(subject), name, violation, tolerance)
                if (used := violation / tolerance if tolerance else 0.0) > share:
                    worst, share = Finding(self.name, name, violation, tolerance), used
                after = f"after the case '{name}'"
        except LawBroken:
            raise
        except Exception as cause:
            raise LawFailed(self.name, str(subject), after, cause) from cause
        return worst


def law(cases: Callable[[Subject], Iterator[Case]]) -> Law:
    """Make a law of a function that yields its cases."""
    return Law(cases.__name__.replace("_", " "), cases, (cases.__doc__ or "").strip())


def slow_law(cases: Callable[[Subject], Iterator[Case]]) -> Law:
    """The same for a law that takes seconds."""
    return Law(cases.__name__.replace("_", " "), cases, (cases.__doc__ or "").strip(), slow=True)
