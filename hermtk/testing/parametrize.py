"""The kit in pytest: one test per law and subject, selectable by ``-k``."""

from collections.abc import Sequence
from typing import Any

import pytest

from hermtk.testing.law import Law
from hermtk.testing.report import laws
from hermtk.testing.subject import Subject


def parametrize_laws(subjects: Sequence[Subject], only: Sequence[Law] | None = None) -> Any:
    """A decorator for a test with the arguments ``law`` and ``subject`` whose body is ``law(subject)``.

    Args:
        subjects: what is put to the test, e.g. ``subjects(MySubnet)``.
        only: the laws; all but the slow ones if not given.
    """
    tried = laws(slow=False) if only is None else only
    cases = [
        pytest.param(law, subject, id=f"{subject}-{law.name.replace(' ', '_')}")
        for subject in subjects
        for law in tried
    ]
    return pytest.mark.parametrize(("law", "subject"), cases)
