"""The report of a study as sections: what both pages, HTML and Markdown, show."""

from collections.abc import Collection

from hermtk.ablation.findings import SURE, Findings
from hermtk.ablation.report.maps import MOST_ROWS
from hermtk.ablation.report.tables import (
    arms_table,
    differences_tables,
    errors_tables,
    failed_table,
    part_errors_table,
    sure_parts_table,
)
from hermtk.ablation.report.view import at_size, finished, parts
from hermtk.ablation.verdict import MATCHED
from hermtk.evaluation.report.layout import Listing, Page, Picture, Section, Table

# columns of a table of parts
_MOST_COLUMNS = 8
# verdicts of a study by how the page shows them
_KINDS = {"better": "good", "worse": "result", "missing": "attention"}
_FRAMED = (
    "Difference of the mean error to the control of the same subnet, in percent of the control: blue is better, red worse. "
    f"Framed and bold: p < {SURE} after Holm's correction over the arms, within the {{kind}}; among many {{kind}}s a few are "
    "found by chance. A dash: not measured."
)

# of every picture that a report may have
CAPTIONS = {
    "errors.png": "Errors of the test set by arm: each point is a seed, the tall tick their mean, the thin line mean ± sd. "
    "The spread of points tells what the split and the initial weights do; whether arms differ is told by the next pictures, "
    "since seeds are paired.",
    "differences.png": "Arm less control of the same subnet, paired by seed: the mean with its 95 % confidence interval, below "
    "it every seed. Left of the line of zero the arm is better. A filled marker: told from no difference "
    f"(p < {SURE} after Holm's correction over all arms of the metric); a hollow one: not. An arrow points to what lies far "
    "outside.",
    "paired.png": "The same errors seed by seed: each line is a seed, with split and batch order shared by all variants. Lines "
    "that all fall from the control to a variant say more than means that lie apart. Black ticks are means, dotted lines pass "
    "over failed runs.",
    "learning.png": "Error over the number of training structures, both axes logarithmic, with a band of ± sd over seeds. "
    "Parallel lines: a variant saves the same share of the data at every size. Lines that cross: which is better depends on "
    "how much data there are.",
    "gain.png": "Difference to the control in percent of its error, with 95 % confidence intervals, over the number of training "
    "structures: below zero the variant is better. Points of one size stand a little beside each other.",
    "elements.png": _FRAMED.format(kind="element")
    + " The error of an element is that of the forces on its atoms.",
    "relations.png": _FRAMED.format(kind="relation")
    + f" The most seen in training on top; of more than {MOST_ROWS} relations the most seen.",
    "coverage.png": "The same differences over how often training saw the relation; lines are medians of about equally many "
    "points. A cloud that rises to the left above zero: typed parameters starve where data are few. Relations never seen stand "
    "at 0.5; triangles at the edge lie outside.",
    "cost.png": "Error (mean ± sd over seeds) over the number of parameters and over the CPU time of training (on a GPU the "
    "time of a step). The grey line joins what no other arm beats in both; an arm above it costs more than it brings.",
}
_ONE_SIZE = ("errors.png", "differences.png", "paired.png", "elements.png", "relations.png", "cost.png")


def page_of(findings: Findings, pictures: Collection[str]) -> Page:
    """The whole page; of the pictures those that exist."""
    planned = len(findings.arms) * len(findings.seeds)
    what = " · ".join(
        [
            f"control `{findings.control}`",
            f"match {findings.match}: {MATCHED[findings.match]}",
            _count(len(findings.arms), "arm"),
            _count(len(findings.seeds), "seed"),
            f"{finished(findings.arms)} of {planned} runs finished",
        ]
    )
    verdicts = [(_KINDS.get(verdict.kind, "result"), verdict.text) for verdict in findings.verdicts]
    return Page(f"Study {findings.name}", what, verdicts, sections(findings, pictures))


def sections(findings: Findings, pictures: Collection[str]) -> list[Section]:
    """What stands on the page, in the order a reader wants."""

    def shown(*files: str) -> tuple[Picture, ...]:
        where = {file: at_size(findings) if file in _ONE_SIZE else "" for file in files}
        return tuple(Picture(file, CAPTIONS[file] + where[file]) for file in files if file in pictures)

    failed = failed_table(findings)
    found = [
        Section("Arms", findings.notes, tables=(arms_table(findings),)),
        Section("Runs without results", tables=(failed,) if failed.rows else ()),
        Section("Errors", pictures=shown("errors.png"), tables=errors_tables(findings)),
        Section(
            "Differences to the control",
            pictures=shown("differences.png", "paired.png"),
            tables=differences_tables(findings),
        ),
        Section("Learning curves", pictures=shown("learning.png", "gain.png")),
        Section("Elements", pictures=shown("elements.png"), tables=_parts(findings, "element")),
        Section(
            "Relations", pictures=shown("relations.png", "coverage.png"), tables=_parts(findings, "relation")
        ),
        Section("Cost", pictures=shown("cost.png")),
        _commands(findings),
        Section("Where it comes from", tables=_environment(findings)),
        Section("Study file", listings=(Listing("yaml", findings.study.rstrip()),)),
    ]
    return [section for section in found if section]


def _parts(findings: Findings, kind: str) -> tuple[Table, ...]:
    tables = parts(findings, kind)
    few = 0 < len(tables) <= _MOST_COLUMNS
    made = [part_errors_table(findings, tables)] if few else []
    return tuple(table for table in (*made, sure_parts_table(tables, kind)) if table.rows or table.note)


def _commands(findings: Findings) -> Section:
    lines = [f"# {name}\n{command}" for name, command in findings.commands.items()]
    if not lines:
        return Section("Commands")
    return Section(
        "Commands",
        (
            f"The whole study again, from nothing: `{findings.again}`. Below is what to type to make a run by hand; it gives the "
            "same numbers.",
        ),
        listings=(Listing("sh", "\n".join(lines)),),
    )


def _environment(findings: Findings) -> tuple[Table, ...]:
    rows = tuple(findings.environment.items())
    return (Table(("", ""), rows, words=True),) if rows else ()


def _count(n: int, name: str) -> str:
    return f"{n} {name}" if n == 1 else f"{n} {name}s"
