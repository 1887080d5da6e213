"""Pictures of an evaluation, drawn without any window or global state."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter

from hermtk.data.elements import symbols
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
    panels = _drawable(evaluation)
    figure = Figure(figsize=(4.2 * len(panels), 5.6), layout="constrained")
    rows = figure.subplots(2, len(panels), squeeze=False, sharex="col", height_ratios=[3, 1.2])
    for panel, (above, below) in zip(panels, rows.T, strict=True):
        _draw_parity(above, panel)
        _draw_errors(below, panel)
    save(figure, path)


def error_histogram(evaluation: Evaluation | PropertyEvaluation, path: Path) -> None:
    """How often each size of error occurs, on a logarithmic scale, with the bounds of half, 90 % and 99 % of them.

    Raises:
        DataError, RunError: as ``parity``.
    """
    panels = _drawable(evaluation)
    figure = Figure(figsize=(4.2 * len(panels), 2.9), layout="constrained")
    for panel, axes in zip(panels, figure.subplots(1, len(panels), squeeze=False)[0], strict=True):
        _draw_histogram(axes, panel)
    save(figure, path)


def _drawable(evaluation: Evaluation | PropertyEvaluation) -> list[Panel]:
    panels = panels_of(evaluation)
    if not panels:
        labels = (
            "energy, forces or a stress" if isinstance(evaluation, Evaluation) else evaluation.target.name
        )
        raise DataError(f"there is nothing to draw: no structure has an {labels}")
    return panels


def panels_of(evaluation: Evaluation | PropertyEvaluation) -> list[Panel]:
    """What there is to draw: a panel for each labelled quantity."""
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


def _draw_histogram(axes: Axes, panel: Panel) -> None:
    size = np.abs(panel.error)
    factor, unit = _scale(panel.unit, float(size.max()))
    reach = 1.02 * float(size.max()) * factor or 1.0
    bins = np.linspace(-reach, reach, 2 * int(np.clip(np.sqrt(len(size)), 5, 40)) + 2)
    axes.hist(panel.error * factor, bins=bins.tolist(), color=COLORS[0], log=True)
    axes.axvline(0.0, color=GREY, linewidth=0.8)
    half, most, nearly = np.quantile(size, (0.5, 0.9, 0.99)) * factor
    lines = [f"50 % below {half:.3g}", f"90 % below {most:.3g}", f"99 % below {nearly:.3g}"]
    mean = panel.error.mean() * factor
    text = "\n".join([*lines, f"mean {mean:+.2g}" if abs(mean) > 1e-3 * half else "mean 0"])
    axes.text(0.98, 0.97, text, transform=axes.transAxes, va="top", ha="right", fontsize=8, linespacing=1.4)
    axes.set(xlabel=f"error ({unit})", ylabel="count")
    low, high = axes.get_ylim()
    axes.set_ylim(low, high * (high / low) ** 0.35)
    axes.set_title(panel.title, fontsize=11)
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    axes.tick_params(labelsize=9)
    axes.spines[["top", "right"]].set_visible(False)


def _scale(unit: str, largest: float, small: float = 0.5) -> tuple[float, str]:
    """What to multiply by, and the unit then: thousandths where no value is larger than ``small``."""
    return (1e3, f"m{unit}") if largest < small else (1.0, unit)


def _ticks(axes: Axes) -> None:
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    axes.tick_params(labelsize=9)
    axes.spines[["top", "right"]].set_visible(False)


def log_ticks(axis: Axis) -> None:
    """A logarithmic axis with three to eight numbers on it, whatever its range; called when the limits are final."""
    low, high = sorted(axis.get_view_interval())
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    every = max(1, round(len(decades) / 7))
    for heads in (
        (1,),
        (1, 3),
        (1, 2, 5),
        (1, 1.5, 2, 3, 5, 7),
        (1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 4, 5, 6, 7, 8, 9),
    ):
        step = every if heads == (1,) else 1
        ticks = [head * 10.0**e for e in decades[::step] for head in heads if low <= head * 10.0**e <= high]
        if len(ticks) >= 3:
            break
    else:
        ticks = [t for t in MaxNLocator(5).tick_values(low, high) if low <= t <= high]
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_major_formatter(FuncFormatter(lambda value, _: _in_short(value)))
    axis.set_minor_formatter(NullFormatter())


def _in_short(value: float) -> str:
    """A number at an axis: 3,000, 2 M, 1e-05."""
    if 1e6 <= value < 1e9:
        return f"{value / 1e6:g} M"
    return f"{value:,g}" if 1e-4 <= value < 1e6 else f"{value:.0e}"


def save(figure: Figure, path: Path) -> None:
    """Write a picture as PNG, whole or not at all."""
    FigureCanvasAgg(figure)
    with replacing(path) as beside:
        figure.savefig(beside, dpi=200, format="png")
