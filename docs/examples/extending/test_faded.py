"""Faded keeps every law under every variant."""

from faded import Faded

from hermtk.testing import Law, Subject, subjects
from hermtk.testing.parametrize import parametrize_laws


@parametrize_laws(subjects(Faded))
def test_faded_keeps_the_law(law: Law, subject: Subject) -> None:
    """One test for each law and variant."""
    law(subject)
