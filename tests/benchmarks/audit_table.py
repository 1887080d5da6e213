"""The audit of every reference set as a table of Markdown: ``python tests/benchmarks/audit_table.py [FOLDER ...]``.

Folders below ``HERMTK_SHARED``/data or ``../shared``/data; files named train, validation and test are audited together.
"""

import os
import re
import sys
from collections import defaultdict
from pathlib import Path

from hermtk.audit.run import audit
from hermtk.data.dataset import iterate_structures
from hermtk.errors import HermtkError

DATA = Path(os.environ.get("HERMTK_SHARED", Path(__file__).parents[3] / "shared")) / "data"
PARTS = re.compile(r"[_-]?(?P<part>train|validation|val|test)", re.IGNORECASE)


def runs(folder: Path) -> dict[str, dict[str, Path]]:
    """The files of a folder by the name of what they are parts of; each part by its name."""
    found: dict[str, dict[str, Path]] = defaultdict(dict)
    parts = {path: _part(path) for path in sorted(folder.glob("*.npz"))}
    # one file of each part: whatever they are called, they belong together
    alone = len(set(parts.values())) == len(parts) and len(parts) > 1
    for path, part in parts.items():
        stem = (
            PARTS.sub("", path.stem, count=1).rstrip("_0123456789") if PARTS.search(path.stem) else path.stem
        )
        found["" if alone else stem][part] = path
    order = ("train", "validation", "test")
    return {name: {part: files[part] for part in order if part in files} for name, files in found.items()}


def _part(path: Path) -> str:
    match = PARTS.search(path.stem)
    part = match["part"].lower() if match else "train"
    return "validation" if part == "val" else part


def row(name: str, parts: dict[str, Path]) -> str:
    """One line of the table."""
    sets, invalid = {}, {}
    for part, path in parts.items():
        said: list[str] = []
        try:
            sets[part] = list(
                iterate_structures(path, faulty=lambda _, problem, said=said: said.append(str(problem)))
            )
        except HermtkError as problem:
            return f"| {name} | | cannot be read: {problem} |"
        invalid[part] = said
    report = audit(sets, variant="htnet", invalid=invalid)
    sizes = ", ".join(f"{len(structures)} {part}" for part, structures in sets.items())
    said = "; ".join(
        f"**{f.name}**" if f.severity == "error" else f.name for f in report.findings if f.severity != "note"
    )
    for finding in report.findings:
        sys.stderr.write(f"{name}: {finding.severity} {finding.name}: {finding.summary}\n")
    return f"| {name} | {sizes} | {said or 'nothing'} |"


def main() -> None:
    """Print the table."""
    folders = [DATA / name for name in sys.argv[1:]] or sorted(
        path for path in DATA.iterdir() if path.is_dir()
    )
    print("| set | structures | found |\n|---|---|---|")
    for folder in folders:
        for name, parts in runs(folder).items():
            print(row(f"{folder.name} {name}".strip(), parts), flush=True)


if __name__ == "__main__":
    main()
