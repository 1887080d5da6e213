"""The conformance kit: the contracts in executable form, for our components and for plugins'.

``check(Subject("painn", "htnet"))`` gives a report; ``parametrize_laws`` makes a pytest test per law. Every law is a
function of a ``Subject`` that measures how far it is from being true and raises ``LawBroken`` with the smallest case that
breaks it.
"""

from hermtk.testing.law import Finding, Law, LawBroken, LawFailed
from hermtk.testing.report import Report, Row, check, laws
from hermtk.testing.subject import Subject, every_subject, subjects

__all__ = [
    "Finding",
    "Law",
    "LawBroken",
    "LawFailed",
    "Report",
    "Row",
    "Subject",
    "check",
    "every_subject",
    "laws",
    "subjects",
]
