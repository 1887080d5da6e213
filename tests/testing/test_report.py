"""The kit outside pytest: rows of a report, and errors that say what was measured."""

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from mutants import DetachedEdge, NeedsAnEdge, Sound

from hermtk.testing import LawBroken, LawFailed, Subject, check, every_subject, laws, subjects
from hermtk.testing.law import Case, law
from hermtk.testing.parametrize import parametrize_laws
from hermtk.testing.subject import CUTOFF


@law
def numbers_are_small(subject: Subject) -> Iterator[Case]:
    """An example."""
    for number in (1e-12, 3e-7, 2e-7):
        yield Case(f"number {number}", number, 1e-6)


@law
def numbers_are_tiny(subject: Subject) -> Iterator[Case]:
    """An example that is broken twice."""
    for number in (1e-12, 3e-7, 2e-7):
        yield Case(f"number {number}", number, 1e-8)


@law
def numbers_are_numbers(subject: Subject) -> Iterator[Case]:
    """An example."""
    yield Case("not a number", math.nan, 1.0)


def test_a_law_that_holds_gives_its_worst_case():
    found = numbers_are_small(Subject(Sound))
    assert (found.law, found.case) == ("numbers are small", "number 3e-07")
    assert (found.violation, found.tolerance) == (3e-7, 1e-6)


def test_a_broken_law_names_the_first_case_and_the_number_measured():
    with pytest.raises(
        LawBroken,
        match="Sound-hvnet breaks the law 'numbers are tiny': in the case 'number 3e-07' "
        "the violation is 3e-07, at most 1e-08 is allowed",
    ) as broken:
        numbers_are_tiny(Subject(Sound, "hvnet"))
    assert (broken.value.violation, broken.value.tolerance) == (3e-7, 1e-8)


def test_what_is_not_a_number_breaks_a_law():
    with pytest.raises(LawBroken):
        numbers_are_numbers(Subject(Sound))


def test_an_error_breaks_a_law_and_is_told():
    nothing_has_no_energy = next(law for law in laws() if law.name == "nothing has no energy")
    with pytest.raises(LawFailed, match=r"nothing has no energy.*raised RuntimeError: max\(\)"):
        nothing_has_no_energy(Subject(NeedsAnEdge))


def test_a_report_has_a_row_per_law_and_raises_nothing():
    report = check(Subject(DetachedEdge, "hvnet"))
    assert [row.law for row in report.rows] == [law.name for law in laws(slow=False)]
    assert not report.passed
    broken = {row.law for row in report.broken}
    assert "forces are the slope of the energy" in broken
    assert "does not mind the order of atoms" not in broken
    for row in report.rows:
        assert row.subject == "DetachedEdge-hvnet"
        assert row.passed == (not row.message)
        assert row.seconds >= 0
    with pytest.raises(LawBroken, match="forces are the slope of the energy"):
        report.raise_if_broken()


def test_a_sound_subject_passes():
    report = check(Subject(Sound), [numbers_are_small])
    assert report.passed
    report.raise_if_broken()


def test_slow_laws_are_left_out_unless_asked_for():
    assert [law for law in laws() if law not in laws(slow=False)] == [law for law in laws() if law.slow] != []


def test_laws_have_different_names_and_say_what_they_mean():
    names = [law.name for law in laws()]
    assert len(set(names)) == len(names)
    assert all(len(law.summary) > 30 for law in laws())


def test_every_law_stands_in_the_documentation():
    page = (Path(__file__).parents[2] / "docs" / "conformance.md").read_text(encoding="utf-8")
    missing = [law.name for law in laws() if f"| {law.name} |" not in page]
    assert not missing


def test_every_installed_subnet_is_tried_under_every_variant():
    names = {str(subject) for subject in every_subject()}
    assert {"painn-homogeneous", "painn-hvnet", "painn-hpnet", "painn-htnet"} <= names


def test_pytest_gets_one_case_per_law_and_subject():
    mark = parametrize_laws(subjects(Sound), [numbers_are_small]).mark
    assert mark.args[0] == ("law", "subject")
    assert next(case.id for case in mark.args[1]) == "Sound-homogeneous-numbers_are_small"
    assert len(mark.args[1]) == 4


def test_potentials_are_the_same_in_every_run():
    first, second = (Subject(Sound, "htnet").make((8, 1)) for _ in range(2))
    assert first.cutoff == CUTOFF
    for name, value in first.state_dict().items():
        assert bool((value == second.state_dict()[name]).all())
