"""Pictures of an evaluation and of a training run, drawn without any window or global state."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from hermtk.data.elements import symbols
from hermtk.data.targets import ENERGY, Target
from hermtk.errors import DataError
from hermtk.evaluation.comparison import Evaluation
from hermtk.evaluation.properties import PropertyEvaluation
from hermtk.files import replacing

Array = np.ndarray

# Okabe and Ito, Color Universal Design (2008), without black: distinct for all kinds of color vision
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442")
GREY = "#555555"
# beyond this a scatter is only slower, not clearer
MOST_POINTS = 20_000


@dataclass(frozen=True)
class Panel:
    """What one column of a parity picture shows.

    Attributes:
        title: above the column.
        unit: of the values.
        true, predicted: values, measured from ``origin``.
        origin: what was taken off both, so that small differences of large energies can be seen.
        kind: the atomic number behind each point, where there is one.
    """

    title: str
    unit: str
    true: Float[Array, " points"]
    predicted: Float[Array, " points"]
    origin: float = 0.0
    kind: Int[Array, " points"] | None = None

    @property
    def error(self) -> Float[Array, " points"]:
        """Predicted minus true."""
        return self.predicted - self.true


def parity(evaluation: Evaluation | PropertyEvaluation, path: Path) -> None:
    """Predictions over reference, and the errors below: energy per atom, force components, stress where labelled; or a property.

    Raises:
        DataError: no structure has a label.
        RunError: the picture cannot be written.
    """
    panels = _panels(evaluation)
    if not panels:
        labels = (
            "energy, forces or a stress" if isinstance(evaluation, Evaluation) else evaluation.target.name
        )
        raise DataError(f"there is nothing to draw: no structure has an {labels}")
    figure = Figure(figsize=(4.2 * len(panels), 5.6), layout="constrained")
    rows = figure.subplots(2, len(panels), squeeze=False, sharex="col", height_ratios=[3, 1.2])
    for panel, (above, below) in zip(panels, rows.T, strict=True):
        _draw_parity(above, panel)
        _draw_errors(below, panel)
    save(figure, path)


def learning_curve(metrics: Path, path: Path, target: Target = ENERGY) -> None:
    """Loss and errors of a run over its steps, on a logarithmic scale, from its metrics.csv; errors of a target in its unit.

    Raises:
        DataError: the file is missing or holds no rows.
        RunError: the picture cannot be written.
    """
    columns = _read_columns(metrics)
    panels = [
        ("loss", 1.0, ("train_loss", "validation_loss")),
        ("force MAE (meV/Å)", 1e3, ("train_forces_mae", "validation_forces_mae")),
        ("energy MAE (meV/atom)", 1e3, ("validation_energy_per_atom_mae",)),
        ("stress MAE (meV/Å³)", 1e3, ("validation_stress_mae",)),
    ]
    if target != ENERGY:
        factor, unit = target.shown
        names = (f"train_{target.name}_mae", f"validation_{target.name}_mae")
        panels = [panels[0], (f"{target.name} MAE ({unit})" if unit else f"{target.name} MAE", factor, names)]
    drawn = [panel for panel in panels if any(_positive(columns.get(name)) for name in panel[2])]
    figure = Figure(figsize=(4.0 * len(drawn) + 0.4, 3.4), layout="constrained")
    for axes, (title, factor, names) in zip(
        figure.subplots(1, len(drawn), squeeze=False)[0], drawn, strict=True
    ):
        _draw_curves(axes, columns, names, factor)
        axes.set_title(title, fontsize=11)
    save(figure, path)


def _panels(evaluation: Evaluation | PropertyEvaluation) -> list[Panel]:
    if isinstance(evaluation, PropertyEvaluation):
        return _property_panels(evaluation)
    energy, forces, stress = evaluation.energy_per_atom, evaluation.forces, evaluation.stress
    panels = []
    if (known := energy.known).any():
        middle = float(energy.true[known].mean())
        panels.append(
            Panel(
                "energy per atom", "eV", energy.true[known] - middle, energy.predicted[known] - middle, middle
            )
        )
    if (known := forces.known).any():
        kind = np.broadcast_to(evaluation.numbers[:, None], known.shape)[known]
        panels.append(
            Panel("force components", "eV/Å", forces.true[known], forces.predicted[known], kind=kind)
        )
    if (known := stress.known).any():
        panels.append(Panel("stress components", "eV/Å³", stress.true[known], stress.predicted[known]))
    return panels


def _property_panels(evaluation: PropertyEvaluation) -> list[Panel]:
    target, known = evaluation.target, evaluation.values.known
    true, predicted = evaluation.values.true[known], evaluation.values.predicted[known]
    if not len(true):
        return []
    # totals of thousands of eV: differences could not be seen
    middle = float(true.mean()) if np.abs(true.mean()) > 20 * true.std() else 0.0
    return [Panel(target.name, target.unit, true - middle, predicted - middle, middle)]


def _draw_parity(axes: Axes, panel: Panel) -> None:
    low = min(panel.true.min(), panel.predicted.min())
    high = max(panel.true.max(), panel.predicted.max())
    factor, unit = _scale(panel.unit, max(abs(low), abs(high)))
    margin = 0.04 * (high - low) or 1.0 / factor
    ends = np.array([low - margin, high + margin]) * factor
    axes.plot(ends, ends, color=GREY, linewidth=0.8, zorder=1)
    _scatter(axes, panel, panel.predicted, factor, factor)
    axes.set(xlim=ends, ylim=ends, ylabel=f"predicted ({unit})")
    axes.set_title(panel.title, fontsize=11)
    axes.text(0.05, 0.95, _numbers(panel), transform=axes.transAxes, va="top", fontsize=9, linespacing=1.5)
    if panel.kind is not None:
        _legend(axes, panel.kind)
    _ticks(axes)


def _draw_errors(axes: Axes, panel: Panel) -> None:
    largest = float(np.abs(panel.error).max())
    factor, unit = _scale(panel.unit, largest)
    across, name = _scale(panel.unit, float(max(np.abs(panel.true).max(), np.abs(panel.predicted).max())))
    axes.axhline(0.0, color=GREY, linewidth=0.8, zorder=1)
    _scatter(axes, panel, panel.error, across, factor)
    reach = 1.08 * largest * factor or 1.0
    axes.set(ylim=(-reach, reach), xlabel=f"reference ({name})", ylabel=f"error ({unit})")
    _ticks(axes)


def _numbers(panel: Panel) -> str:
    mae, rmse = np.abs(panel.error).mean(), np.sqrt(np.square(panel.error).mean())
    factor, unit = _scale(panel.unit, float(rmse))
    lines = [f"MAE {factor * mae:.3g} {unit}", f"RMSE {factor * rmse:.3g} {unit}"]
    if panel.origin:
        lines.append(f"zero is {panel.origin:.3f} {panel.unit}")
    return "\n".join(lines)


def _scatter(axes: Axes, panel: Panel, values: Float[Array, " points"], across: float, up: float) -> None:
    shown = _shown(panel)
    alpha = float(np.clip(30 / np.sqrt(len(shown)), 0.35, 0.7))
    colors = COLORS[0] if panel.kind is None else _colors(panel.kind)[shown]
    axes.scatter(
        panel.true[shown] * across, values[shown] * up, s=9, c=colors, alpha=alpha, linewidths=0, zorder=2
    )


def _shown(panel: Panel) -> Int[Array, " shown"]:
    """The points to draw, in random order so that no element hides another; of very many, a sample with all the worst."""
    order = np.random.default_rng(0).permutation(len(panel.true))
    if len(order) <= MOST_POINTS:
        return order
    worst = np.argsort(-np.abs(panel.error))[: MOST_POINTS // 20]
    return order[np.union1d(np.arange(MOST_POINTS), np.flatnonzero(np.isin(order, worst)))]


def _colors(kind: Int[Array, " points"]) -> np.ndarray:
    kinds, place = np.unique(kind, return_inverse=True)
    # more elements than colors that can be told apart: none is singled out
    palette = COLORS if len(kinds) <= len(COLORS) else COLORS[:1] * len(kinds)
    return np.array(palette)[place]


def _legend(axes: Axes, kind: Int[Array, " points"]) -> None:
    kinds = np.unique(kind)
    if 1 < len(kinds) <= len(COLORS):
        handles = [axes.scatter([], [], s=18, c=color, linewidths=0) for color in COLORS[: len(kinds)]]
        axes.legend(
            handles, symbols(kinds.tolist()), loc="lower right", frameon=False, fontsize=9, handletextpad=0.1
        )


def _draw_curves(
    axes: Axes, columns: dict[str, Float[Array, " rows"]], names: Sequence[str], factor: float
) -> None:
    for name in names:
        values = columns.get(name)
        if values is None or not _positive(values):
            continue
        training = name.startswith("train_")
        axes.plot(
            columns["step"],
            values * factor,
            color=COLORS[5] if training else COLORS[0],
            linewidth=1.2,
            marker="o" if len(values) < 3 else None,
            label="training" if training else "validation",
        )
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    # few decades: 1, 2 and 5 are named; many: only powers of ten
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high < 1e3 * low else (1.0,)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("step")
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10], integer=True))
    axes.grid(True, which="both", linewidth=0.3, alpha=0.5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9)
    axes.legend(frameon=False, fontsize=9)


def _read_columns(metrics: Path) -> dict[str, Float[Array, " rows"]]:
    try:
        with metrics.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        columns = {name: np.array([float(row[name] or "nan") for row in rows]) for name in rows[0]}
    except OSError as problem:
        raise DataError(f"{metrics} cannot be read: {problem.strerror or problem}") from None
    except IndexError:
        raise DataError(f"{metrics} holds no rows: no validation has been made yet") from None
    except (ValueError, TypeError) as problem:
        raise DataError(f"{metrics} is no table of numbers: {problem}") from None
    if "step" not in columns or not any(_positive(columns[name]) for name in columns if name != "step"):
        raise DataError(f"{metrics} is no record of a training run: its columns are {', '.join(columns)}")
    return columns


def _positive(values: Float[Array, " rows"] | None) -> bool:
    return values is not None and bool((values > 0).any())


def _scale(unit: str, largest: float, small: float = 0.5) -> tuple[float, str]:
    """What to multiply by, and the unit then: thousandths where no value is larger than ``small``."""
    return (1e3, f"m{unit}") if largest < small else (1.0, unit)


def _ticks(axes: Axes) -> None:
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    axes.tick_params(labelsize=9)
    axes.spines[["top", "right"]].set_visible(False)


def save(figure: Figure, path: Path) -> None:
    """Write a picture as PNG, whole or not at all."""
    FigureCanvasAgg(figure)
    with replacing(path) as beside:
        figure.savefig(beside, dpi=200, format="png")
