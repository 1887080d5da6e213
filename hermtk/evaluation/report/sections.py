"""A report as sections of text, pictures and tables: what both pages, HTML and Markdown, show."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hermtk.audit.coverage import SEEN_ENOUGH
from hermtk.data.targets import find_target
from hermtk.evaluation.report.layout import Listing, Page, Picture, Section, Table
from hermtk.evaluation.report.numbers import Report
from hermtk.evaluation.report.pictures import MOST_BARS
from hermtk.evaluation.report.record import RunRecord
from hermtk.evaluation.report.tables import (
    against_tables,
    errors_table,
    group_table,
    magnitude_tables,
    parts_table,
    timing_tables,
    worst_table,
)
from hermtk.evaluation.report.verdict import verdicts
from hermtk.evaluation.report.words import Scale, value_scale

# of every picture that a report may have
CAPTIONS = {
    "parity.png": "Predictions over reference, below them the errors. Points on the line are exact. Of more than 20,000 points a "
    "sample is drawn with all the worst.",
    "errors.png": "How often each error occurs (logarithmic), and what half, 90 % and 99 % of the absolute errors stay below. A "
    "straight fall to both sides is good; a shoulder far out is a kind of structure that the model does not know.",
    "learning.png": "Loss, errors and learning rate over the steps, both axes logarithmic: a straight line that falls has not "
    "ended. The dotted line is where the kept weights are from. Training values are means over an epoch while the weights moved; "
    "validation values are those of the averaged weights.",
    "elements.png": "Mean absolute error of the force components on the atoms of each element. Dashed: over all atoms.",
    "relations.png": "Mean absolute force error by relation, the worst on top. Dashed: over all atoms. Black ticks: what the "
    "elements of the atoms alone would lead one to expect. A bar far beyond its tick is a relation that the model has not "
    f"learned well. Of more than {MOST_BARS} relations the worst.",
    "coverage.png": "The force error of each relation over how often training saw it. Points to the left of the dashed line were "
    f"seen fewer than {SEEN_ENOUGH} times.",
    "magnitude.png": "The length of the error vector of each atom over the length of its reference force. Dotted lines are "
    "errors of 1 %, 10 % and 100 %.",
    "kinds.png": "Mean absolute errors by what the data call their structures; in brackets how many.",
    "compositions.png": "Mean absolute errors by composition; in brackets how many structures.",
    "sizes.png": "Mean absolute errors by number of atoms; in brackets how many structures.",
    "holding.png": "Mean absolute errors of the structures that hold an element; in brackets how many. They overlap.",
}
_SHARES = (
    "An atom's force error is shared out among the relations of the edges that it receives: a relation's share is the sum of the "
    "cut-off function over the atom's edges in the relation, divided by that over all relations. A relation's error is the mean "
    "over all atoms, weighed by these shares: it is large where the relation makes up much of the surroundings of atoms with "
    "large errors. Of a relation with two different neighbours edges count only at atoms that have both. Expected is the error "
    "that follows from the elements of the same atoms alone."
)


def page_of(record: RunRecord, report: Report, pictures: Sequence[str]) -> Page:
    """The whole page, with those pictures that exist."""
    version = report.facts.get("versions", {}).get("hermtk", "")
    what = f"`{report.run}` · {report.set} set of {report.structures} structures, {report.atoms} atoms · hermtk {version}"
    configuration = Section(
        "Configuration",
        ("This makes the run again, from the complete configuration below:",),
        listings=(Listing("sh", report.command), Listing("yaml", record.text.rstrip())),
    )
    return Page(report.title, what, verdicts(report), [*sections(report, pictures), configuration])


def sections(report: Report, pictures: Sequence[str]) -> list[Section]:
    """What stands on the page, in the order a reader wants; of the pictures those that exist."""
    drawn = {file: Picture(file, CAPTIONS[file]) for file in pictures}

    def shown(*files: str) -> tuple[Picture, ...]:
        return tuple(drawn[file] for file in files if file in drawn)

    target = find_target(report.target)
    energy = "target" not in report.errors
    found = [
        Section("Errors", pictures=shown("parity.png", "errors.png"), tables=(errors_table(report, target),)),
        Section("Learning", pictures=shown("learning.png"), tables=against_tables(report.against, target)),
        Section(
            "Elements",
            pictures=shown("elements.png"),
            tables=(parts_table(report.elements, "atoms"),) if report.elements else (),
        ),
        _relations(report, shown("relations.png", "coverage.png")),
        Section("Size of the force", pictures=shown("magnitude.png"), tables=magnitude_tables(report)),
        *_groups(report, value_scale(target, energy), "energy" if energy else target.name, shown),
        _worst(report, value_scale(target, energy), energy),
        Section("Time", tables=timing_tables(report)),
        _origin(report),
    ]
    return [section for section in found if section]


def _relations(report: Report, pictures: tuple[Picture, ...]) -> Section:
    if not report.relations:
        return Section("Relations")
    if {part.name for part in report.relations} == {part.name for part in report.elements}:
        return Section(
            "Relations",
            (
                f"The relations of {report.variant} are the elements of the centres: their errors are those above.",
            ),
            tuple(picture for picture in pictures if picture.file != "relations.png"),
        )
    if len(report.relations) == 1:
        return Section("Relations", (f"{report.variant} has one relation: nothing to tell apart.",))
    table = parts_table(tuple(sorted(report.relations, key=lambda part: -(part.mae or 0.0))), "here")
    return Section("Relations", (_SHARES,), pictures, (table,))


def _groups(report: Report, scale: Scale, name: str, shown: Any) -> Iterator[Section]:
    for title, groups, file in (
        (f"Kinds of structures ({report.kind_key})", report.kinds, "kinds.png"),
        ("Composition", report.compositions, "compositions.png"),
        ("Elements held", report.holding, "holding.png"),
        ("Size of the structure", report.sizes, "sizes.png"),
    ):
        if groups:
            yield Section(title, pictures=shown(file), tables=(group_table(groups, scale, name),))


def _worst(report: Report, scale: Scale, energy: bool) -> Section:
    if not report.worst:
        return Section("Worst structures")
    forces = any(one.forces_mae is not None for one in report.worst)
    by = "root mean square force errors" if forces else "errors"
    beside = "`predicted_energy` and `predicted_forces`" if energy else f"`predicted_{report.target}`"
    return Section(
        "Worst structures",
        (
            f"Those with the largest {by}; largest error and largest force are lengths of vectors, atoms count from 0. "
            f"worst.extxyz beside this page holds them in this order with their labels, and the predictions as {beside}.",
        ),
        tables=(worst_table(report.worst, scale, energy),),
    )


def _origin(report: Report) -> Section:
    facts = report.facts
    rows: list[tuple[str, str]] = [("model", report.title)]
    if report.kept_step is not None:
        rows.append(("weights from step", f"{report.kept_step:,}"))
    rows.append(("ended", report.ended or "not yet"))
    for name, value in (
        ("made", facts.get("made")),
        ("parameters", f"{facts['parameters']:,}" if "parameters" in facts else None),
        ("versions", _pairs(facts.get("versions", {}))),
        ("machine", _pairs(facts.get("machine", {}))),
        ("structures", _pairs(facts.get("data", {}).get("structures", {}))),
        *((f"SHA-256 of {file}", digest) for file, digest in facts.get("data", {}).get("sha256", {}).items()),
    ):
        if value:
            rows.append((name, str(value)))
    return Section("Where it comes from", tables=(Table(("", ""), tuple(rows), words=True),))


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())
