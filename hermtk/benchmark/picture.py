"""The picture of a benchmark: time and peak memory per atom over the number of atoms, or of elements where only these differ."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator

from hermtk.errors import DataError
from hermtk.evaluation.plots import COLORS, GREY
from hermtk.files import replacing

Row = Mapping[str, Any]

# leading digits of the ticks: over decades, and within one
_FEW, _MANY = (1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0)
_MARKERS = "osD^vP*X"
_LINES: dict[str, Literal["-", ":", "--"]] = {"grouped": "-", "compiled": ":", "looped": "--"}


class _Look:
    """Which color, marker and line stand for what: color the model, marker the system, line how it is run."""

    def __init__(self, rows: Sequence[Row]) -> None:
        sizes = {row["atoms"] for row in rows}
        self.over = "atoms" if len(sizes) > 1 or len({row["elements"] for row in rows}) == 1 else "elements"
        several = len({row["subnet"] for row in rows}) > 1
        models = [f"{row['subnet']} {row['variant']}" if several else row["variant"] for row in rows]
        self.model = dict(zip(map(_model, rows), models, strict=True))
        self.color = {key: COLORS[i % len(COLORS)] for i, key in enumerate(self.model)}
        self.systems = list(dict.fromkeys(self.system(row) for row in rows))
        self.marker = {name: _MARKERS[i % len(_MARKERS)] for i, name in enumerate(self.systems)}
        self.ways = [how for how in _LINES if any(row["how"] == how for row in rows)]

    def system(self, row: Row) -> str:
        """What stays the same along a line."""
        if self.over == "elements":
            return row["system"]
        if row["kind"] == "ethanol":
            return "ethanol"
        return f"{row['elements']} element{'s' if row['elements'] > 1 else ''}"

    def entries(self) -> list[Line2D]:
        """Of the legend; what is the same everywhere is left out."""
        found = [Line2D([], [], color=self.color[key], label=name) for key, name in self.model.items()]
        if len(self.systems) > 1:
            found += [
                Line2D([], [], color=GREY, linewidth=0, marker=self.marker[name], markersize=5, label=name)
                for name in self.systems
            ]
        if len(self.ways) > 1:
            found += [Line2D([], [], color=GREY, linestyle=_LINES[how], label=how) for how in self.ways]
        return found


def draw(results: Mapping[str, Any], path: Path) -> None:
    """Time and memory per atom, one column for training and one for inference; bars from the fastest to the slowest sample.

    Args:
        results: of a benchmark, all or part of it.
        path: PNG to write.

    Raises:
        DataError: nothing has been measured.
        RunError: the picture cannot be written.
    """
    rows = [row for row in results["cases"] if row.get("median_ms")]
    if not rows:
        raise DataError("there is nothing to draw: no case has been measured")
    look = _Look(rows)
    jobs = list(dict.fromkeys(row["job"] for row in rows))
    quantities = ["time"] + ["memory"] * any(row.get("bytes_per_atom") for row in rows)
    figure = Figure(figsize=(3.9 * len(jobs) + 1.7, 2.8 * len(quantities) + 0.4), layout="constrained")
    panels = figure.subplots(len(quantities), len(jobs), squeeze=False, sharex=True, sharey="row")
    for quantity, line in zip(quantities, panels, strict=True):
        for job, axes in zip(jobs, line, strict=True):
            _draw_panel(axes, [row for row in rows if row["job"] == job], quantity, look)
    for axes, job in zip(panels[0], jobs, strict=True):
        axes.set_title(job, fontsize=11)
    for axes in panels[-1]:
        axes.set_xlabel(f"number of {look.over}")
    clock = "CPU time" if results["settings"]["clock"] == "cpu" else "time"
    for axes, quantity in zip(panels[:, 0], quantities, strict=True):
        axes.set_ylabel(f"{clock} (µs/atom)" if quantity == "time" else "peak memory (KiB/atom)")
    figure.legend(handles=look.entries(), loc="outside right upper", frameon=False, fontsize=9)
    FigureCanvasAgg(figure)
    with replacing(path) as beside:
        figure.savefig(beside, dpi=200, format="png")


def _draw_panel(axes: Axes, rows: Sequence[Row], quantity: str, look: _Look) -> None:
    lines: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        if quantity == "time" or row.get("bytes_per_atom"):
            lines.setdefault((_model(row), look.system(row), row["how"]), []).append(row)
    for (model, system, how), points in lines.items():
        points.sort(key=lambda row: row[look.over])
        x = [row[look.over] for row in points]
        axes.plot(
            x,
            [_value(row, quantity) for row in points],
            color=look.color[model],
            linestyle=_LINES[how],
            marker=look.marker[system],
            markersize=4.5,
            linewidth=1.2,
        )
        if quantity == "time":
            low, high = ([1e3 * row[end] / row["atoms"] for row in points] for end in ("min_ms", "max_ms"))
            axes.vlines(x, low, high, color=look.color[model], linewidth=0.8, alpha=0.6)
    _scale(axes, sorted({row[look.over] for row in rows}))


def _model(row: Row) -> tuple[str, str]:
    return row["subnet"], row["variant"]


def _value(row: Row, quantity: str) -> float:
    return row["us_per_atom"] if quantity == "time" else row["bytes_per_atom"] / 1024


def _scale(axes: Axes, places: Sequence[int]) -> None:
    """Both axes logarithmic; what was measured is named on the one, round numbers on the other."""
    axes.set(xscale="log", yscale="log")
    axes.margins(x=0.1)
    axes.xaxis.set_major_locator(FixedLocator(places))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(LogLocator(subs=_FEW if high > 10 * low else _MANY))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(True, which="major", linewidth=0.3, alpha=0.5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9)
