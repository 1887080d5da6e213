"""The files of a benchmark: results.json, results.csv and benchmark.png."""

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hermtk.benchmark.picture import draw
from hermtk.files import write_text

# of results.csv; the samples are in results.json
COLUMNS = (
    "job",
    "system",
    "atoms",
    "edges",
    "elements",
    "subnet",
    "variant",
    "how",
    "relations",
    "parameters",
    "median_ms",
    "min_ms",
    "max_ms",
    "us_per_atom",
    "us_per_edge",
    "peak_mib",
    "bytes_per_atom",
    "bytes_per_edge",
    "ratio",
    "compared_with",
    "problem",
)


def write_results(folder: Path, results: Mapping[str, Any]) -> list[str]:
    """Write the tables, and the picture once something has been measured; the names of the files.

    Raises:
        RunError: a file cannot be written.
    """
    write_text(folder / "results.json", json.dumps(results, indent=1, allow_nan=False) + "\n")
    table = io.StringIO()
    rows = csv.DictWriter(table, COLUMNS, extrasaction="ignore", restval="", lineterminator="\n")
    rows.writeheader()
    rows.writerows(results["cases"])
    write_text(folder / "results.csv", table.getvalue())
    if not any(row.get("median_ms") for row in results["cases"]):
        return ["results.json", "results.csv"]
    draw(results, folder / "benchmark.png")
    return ["results.json", "results.csv", "benchmark.png"]
