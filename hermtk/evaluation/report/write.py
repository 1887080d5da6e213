"""A report in its folder: report.html, report.md, report.json, the pictures, and the worst structures."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hermtk.evaluation.curves import learning_curve
from hermtk.evaluation.plots import error_histogram, panels_of, parity
from hermtk.evaluation.report.layout import rendered
from hermtk.evaluation.report.numbers import Report
from hermtk.evaluation.report.pictures import (
    coverage_picture,
    groups_picture,
    magnitude_picture,
    parts_picture,
)
from hermtk.evaluation.report.predicted import Predicted
from hermtk.evaluation.report.record import RunRecord
from hermtk.evaluation.report.sections import CAPTIONS, page_of
from hermtk.evaluation.report.verdict import verdicts
from hermtk.evaluation.report.words import value_scale
from hermtk.evaluation.report.worst import write_worst
from hermtk.files import make_folder, write_text

# what an earlier report may have left that this one has not
_OURS = (*CAPTIONS, "worst.extxyz")


def write_report(record: RunRecord, report: Report, tested: Predicted, folder: Path) -> Path:
    """Write a report into a folder, which is made if need be; every file whole or not at all, the page last.

    Returns:
        The page, report.html.

    Raises:
        RunError: a file cannot be written.
    """
    make_folder(folder)
    drawn = _draw(record, report, tested, folder)
    if report.worst:
        write_worst(tested, report.worst, folder / "worst.extxyz")
    for name in {*_OURS} - {*drawn, *(["worst.extxyz"] if report.worst else [])}:
        (folder / name).unlink(missing_ok=True)
    write_text(folder / "report.json", json.dumps(values_of(report), indent=1, allow_nan=False) + "\n")
    page = page_of(record, report, drawn)
    write_text(folder / "report.md", rendered("page.md", page, folder))
    write_text(folder / "report.html", rendered("page.html", page, folder))
    return folder / "report.html"


def values_of(report: Report) -> dict[str, Any]:
    """The numbers and the verdict, ready for JSON."""
    return {"verdict": [verdict._asdict() for verdict in verdicts(report)], **report.values()}


def _draw(record: RunRecord, report: Report, tested: Predicted, folder: Path) -> list[str]:
    """Every picture that there is something for; their names."""
    target, metrics = record.target, record.metrics
    energy = "target" not in report.errors
    scale, name = value_scale(target, energy), "energy" if energy else target.name
    e, whole = tested.evaluation, report.errors.get("forces", {}).get("mae")
    told_apart = {part.name for part in report.relations} != {part.name for part in report.elements}
    labelled = bool(panels_of(e))
    several = len(report.relations) > 1
    seen = any(part.seen is not None for part in report.relations)
    pictures: dict[str, tuple[bool, Callable[[Path], None]]] = {
        "parity.png": (labelled, lambda path: parity(e, path)),
        "errors.png": (labelled, lambda path: error_histogram(e, path)),
        "elements.png": (len(report.elements) > 1, lambda path: parts_picture(report.elements, whole, path)),
        "relations.png": (
            several and told_apart,
            lambda path: parts_picture(report.relations, whole, path),
        ),
        "coverage.png": (several and seen, lambda path: coverage_picture(report.relations, path)),
        "magnitude.png": (
            bool(report.magnitudes),
            lambda path: magnitude_picture(tested, report.magnitudes, path),
        ),
        "kinds.png": (
            labelled and bool(report.kinds),
            lambda path: groups_picture(report.kinds, scale, name, path),
        ),
        "compositions.png": (
            labelled and bool(report.compositions),
            lambda path: groups_picture(report.compositions, scale, name, path),
        ),
        "holding.png": (
            labelled and bool(report.holding),
            lambda path: groups_picture(report.holding, scale, name, path),
        ),
        "sizes.png": (
            labelled and bool(report.sizes),
            lambda path: groups_picture(report.sizes, scale, name, path),
        ),
    }
    drawn = []
    if metrics is not None:
        learning_curve(metrics, folder / "learning.png", target, report.kept_step)
        drawn.append("learning.png")
    for file, (wanted, draw) in pictures.items():
        if wanted:
            draw(folder / file)
            drawn.append(file)
    return drawn
