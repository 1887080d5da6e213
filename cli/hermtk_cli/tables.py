"""Numbers as tables."""

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.table import Table

_QUANTITIES = {
    "energy": ("energy", "meV"),
    "energy_per_atom": ("energy per atom", "meV"),
    "forces": ("forces", "meV/Å"),
    "stress": ("stress", "meV/Å³"),
}


def error_table(summary: Mapping[str, Any], title: str | None = None) -> Table:
    """The errors of an evaluation (``Evaluation.summary()``), in thousandths of eV; what has no label is left out."""
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    table.add_column("")
    for name in ("MAE", "RMSE", "largest"):
        table.add_column(name, justify="right")
    table.add_column("unit")
    table.add_column("structures", justify="right")
    if "target" in summary:
        _add_target(table, summary["target"])
        return table
    for key, (name, unit) in _QUANTITIES.items():
        errors = summary[key]
        if errors["mae"] is None:
            continue
        table.add_row(name, *_numbers(errors), unit, _counted(errors["structures"], errors["missing"]))
        if key == "forces":
            for symbol, own in summary["elements"].items():
                if own["mae"] is not None:
                    table.add_row(f"  on {symbol}", *_numbers(own), unit, "", style="dim")
    return table


def missing_labels(summary: Mapping[str, Any]) -> str:
    """Which labels are missing in some structures, as a sentence; empty where none is. Stress may be missing in all."""
    if "target" in summary:
        target = summary["target"]
        missing = target["missing"]
        said = f"{missing} without {target['name']}"
        return f"Not counted, of {summary['structures']} structures: {said}." if missing else ""
    parts = []
    for key in ("energy", "forces", "stress"):
        missing, labelled = summary[key]["missing"], summary[key]["structures"]
        if missing and (labelled or key != "stress"):
            parts.append(f"{missing} without {key}")
    return f"Not counted, of {summary['structures']} structures: {', '.join(parts)}." if parts else ""


def facts(rows: Mapping[str, Any]) -> Table:
    """Names and values in two columns."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows.items():
        table.add_row(name, str(value))
    return table


def number(value: float) -> str:
    """Three digits that count, without exponents for what is large."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _add_target(table: Table, errors: Mapping[str, Any]) -> None:
    table.add_column("their sd", justify="right")
    if errors["mae"] is None:
        return
    # as Target.shown: the table knows the summary only
    factor, unit = (1e3, "meV") if errors["unit"] == "eV" else (1.0, errors["unit"])
    values = [number(factor * errors[name]) for name in ("mae", "rmse", "max")]
    counted = _counted(errors["structures"], errors["missing"])
    table.add_row(errors["name"], *values, unit, counted, number(factor * errors["sd"]))


def _numbers(errors: Mapping[str, Any]) -> list[str]:
    return [number(1e3 * errors[name]) for name in ("mae", "rmse", "max")]


def _counted(labelled: int, missing: int) -> str:
    return f"{labelled} of {labelled + missing}" if missing else str(labelled)


def duration(seconds: float) -> str:
    """``2.1 s``, ``12 min``, ``3.4 h``, ``2.5 days``."""
    for limit, unit, size in ((120, "s", 1), (7200, "min", 60), (172800, "h", 3600)):
        if seconds < limit:
            return f"{seconds / size:.2g} {unit}" if seconds / size < 10 else f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86400:.3g} days"
