"""All laws on one subject, as rows that can be printed, stored or counted."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from hermtk.testing.law import Law, LawBroken
from hermtk.testing.laws import LAWS
from hermtk.testing.subject import Subject


@dataclass(frozen=True)
class Row:
    """One law on one subject.

    Attributes:
        law, subject: their names.
        passed: whether the law holds.
        violation, tolerance: measured and allowed, in the worst case tried or the first that broke; NaN after an error.
        seconds: how long it took.
        case: the worst case, or the first that broke.
        message: why it broke, empty where it holds.
        matter: the structures of the case that broke.
        tried: whether the law says anything about this subject.
    """

    law: str
    subject: str
    passed: bool
    violation: float
    tolerance: float
    seconds: float
    case: str
    message: str = ""
    matter: str = ""
    tried: bool = True


@dataclass(frozen=True)
class Report:
    """Every law tried, in order."""

    rows: tuple[Row, ...]

    @property
    def passed(self) -> bool:
        """Whether all laws hold."""
        return all(row.passed for row in self.rows)

    @property
    def broken(self) -> tuple[Row, ...]:
        """The rows of laws that do not hold."""
        return tuple(row for row in self.rows if not row.passed)

    def raise_if_broken(self) -> None:
        """Turn a report with broken laws into an error that lists them.

        Raises:
            LawBroken: for the first, with the messages of all.
        """
        if self.broken:
            first = self.broken[0]
            error = LawBroken(first.law, first.subject, first.case, first.violation, first.tolerance)
            error.args = ("\n".join(row.message for row in self.broken),)
            raise error


def laws(*, slow: bool = True) -> list[Law]:
    """Every law in the order of the documentation; without those that take seconds if not ``slow``."""
    return [each for each in LAWS if slow or not each.slow]


def check(subject: Subject, only: Sequence[Law] | None = None, *, slow: bool = False) -> Report:
    """Try the laws on a subject; nothing is raised and nothing printed."""
    return Report(tuple(_row(each, subject) for each in (laws(slow=slow) if only is None else only)))


def _row(law: Law, subject: Subject) -> Row:
    start = time.perf_counter()
    try:
        found = law(subject)
    except LawBroken as broken:
        return Row(
            law.name,
            str(subject),
            passed=False,
            violation=broken.violation,
            tolerance=broken.tolerance,
            seconds=time.perf_counter() - start,
            case=broken.case,
            message=str(broken),
            matter=broken.matter,
        )
    taken = time.perf_counter() - start
    return Row(
        law.name, str(subject), True, found.violation, found.tolerance, taken, found.case, tried=found.tried
    )
