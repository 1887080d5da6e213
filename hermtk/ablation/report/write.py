"""The report of a study in its folder: report.html, report.md, results.json, tables in CSV, and the pictures."""

import json
from collections.abc import Callable
from pathlib import Path

from hermtk.ablation.findings import Findings
from hermtk.ablation.report.curves import cost_picture, gain_picture, learning_picture
from hermtk.ablation.report.maps import coverage_picture, map_picture
from hermtk.ablation.report.pictures import differences_picture, errors_picture, paired_picture
from hermtk.ablation.report.sections import CAPTIONS, page_of
from hermtk.ablation.report.values import differences_csv, errors_csv, runs_csv, values_of
from hermtk.evaluation.report.layout import rendered
from hermtk.files import make_folder, write_text

# each says whether there was something to draw
_PICTURES: dict[str, Callable[[Findings, Path], bool]] = {
    "errors.png": errors_picture,
    "differences.png": differences_picture,
    "paired.png": paired_picture,
    "learning.png": learning_picture,
    "gain.png": gain_picture,
    "elements.png": lambda findings, path: map_picture(findings, "element", path),
    "relations.png": lambda findings, path: map_picture(findings, "relation", path),
    "coverage.png": coverage_picture,
    "cost.png": cost_picture,
}
assert _PICTURES.keys() == CAPTIONS.keys()


def write_study_report(findings: Findings, folder: Path) -> Path:
    """Write the report of a study into a folder, which is made if need be; every file whole or not at all, the page last.

    Pictures that an earlier report drew and this one has nothing for are removed; other files stay.

    Returns:
        The page, report.html.

    Raises:
        RunError: a file cannot be written.
    """
    make_folder(folder)
    drawn = [name for name, draw in _PICTURES.items() if draw(findings, folder / name)]
    for name in _PICTURES.keys() - set(drawn):
        (folder / name).unlink(missing_ok=True)
    write_text(folder / "results.json", json.dumps(values_of(findings), indent=1, allow_nan=False) + "\n")
    write_text(folder / "errors.csv", errors_csv(findings))
    write_text(folder / "differences.csv", differences_csv(findings))
    write_text(folder / "runs.csv", runs_csv(findings))
    page = page_of(findings, drawn)
    write_text(folder / "report.md", rendered("page.md", page, folder))
    write_text(folder / "report.html", rendered("page.html", page, folder))
    return folder / "report.html"
