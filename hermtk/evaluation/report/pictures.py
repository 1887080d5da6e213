"""The pictures of a report."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hermtk.audit.coverage import SEEN_ENOUGH
from hermtk.evaluation.plots import COLORS, GREY, log_ticks, save
from hermtk.evaluation.report.groups import Group
from hermtk.evaluation.report.parts import Magnitude, Part
from hermtk.evaluation.report.predicted import Predicted
from hermtk.evaluation.report.words import FORCE, Scale, number

Array = np.ndarray

# bars of one picture; of more the worst
MOST_BARS = 24
# names beside points
_MOST_NAMES = 14
# eV/Angstrom: weaker forces are drawn only where there are no others
_WEAKEST = 2e-3
_PALE = "#9BB8CC"


def parts_picture(parts: Sequence[Part], whole: float, path: Path) -> None:
    """Mean absolute force errors as bars, the worst on top, those seldom seen in training in another color.

    ``whole``, eV/Angstrom, is drawn as a line: the error over all atoms.
    """
    shown = sorted(parts, key=lambda part: -(part.mae or 0.0))[:MOST_BARS]
    values = [FORCE[0] * (part.mae or 0.0) for part in shown]
    rare = [part.seen is not None and part.seen < SEEN_ENOUGH for part in shown]
    figure, axes = _bars([part.name for part in shown], values, [COLORS[1] if r else COLORS[0] for r in rare])
    axes.axvline(FORCE[0] * whole, color=GREY, linewidth=0.8, linestyle="--", zorder=0)
    for k, part in enumerate(shown):
        if part.expected is not None:
            axes.plot([FORCE[0] * part.expected] * 2, [k - 0.35, k + 0.35], color="black", linewidth=1.2)
    axes.set_xlabel(f"force MAE ({FORCE[1]})")
    if any(rare):
        handles = [axes.scatter([], [], marker="s", s=30, c=color) for color in (COLORS[0], COLORS[1])]
        labels = ["seen often", f"seen fewer than {SEEN_ENOUGH} times"]
        axes.legend(handles, labels, frameon=False, fontsize=8, loc="lower right")
    save(figure, path)


def groups_picture(groups: Sequence[Group], scale: Scale, name: str, path: Path) -> None:
    """Errors of groups of structures as bars, in the order given: of the energy per atom or target, and of forces."""
    shown = groups[:MOST_BARS]
    panels = [
        (f"{name} MAE ({scale[1]})" if scale[1] else f"{name} MAE", [g.value_mae for g in shown], scale[0]),
        (f"force MAE ({FORCE[1]})", [g.forces_mae for g in shown], FORCE[0]),
    ]
    drawn = [panel for panel in panels if any(value is not None for value in panel[1])]
    figure = Figure(figsize=(3.4 * len(drawn) + 1.6, 0.9 + 0.27 * len(shown)), layout="constrained")
    for axes, (title, values, factor) in zip(
        figure.subplots(1, len(drawn), squeeze=False, sharey=True)[0], drawn, strict=True
    ):
        scaled = [factor * (value or 0.0) for value in values]
        _draw_bars(axes, [f"{g.name} ({g.structures})" for g in shown], scaled, [COLORS[0]] * len(shown))
        axes.set_xlabel(title)
    save(figure, path)


def magnitude_picture(tested: Predicted, magnitudes: Sequence[Magnitude], path: Path) -> None:
    """The length of each atom's error vector over that of its force, with the mean of each range and lines of equal ratio."""
    assert tested.forces is not None
    known = tested.forces.known.all(axis=1)
    length = np.linalg.norm(tested.forces.true[known], axis=1)
    error = np.linalg.norm(tested.force_error[known], axis=1)
    drawn = (length > 0) & (error > 0)
    length, error = length[drawn], error[drawn]
    figure = Figure(figsize=(5.6, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.set_xscale("log")
    axes.set_yscale("log")
    if len(length):
        _density(axes, length, error)
        _ranges(axes, length, error, magnitudes)
    log_ticks(axes.xaxis)
    log_ticks(axes.yaxis)
    axes.set(xlabel="reference force (eV/Å)", ylabel="error of the force (eV/Å)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9)
    save(figure, path)


def coverage_picture(parts: Sequence[Part], path: Path) -> None:
    """The error of each relation over how often training saw it, both logarithmic; those never seen at the left edge."""
    known = [part for part in parts if part.seen is not None and part.mae]
    seen = np.array([max(part.seen or 0, 0.5) for part in known], dtype=float)
    error = np.array([FORCE[0] * (part.mae or 0.0) for part in known])
    figure = Figure(figsize=(5.6, 3.8), layout="constrained")
    axes = figure.subplots()
    axes.set_xscale("log")
    axes.set_yscale("log")
    rare = seen < SEEN_ENOUGH
    axes.scatter(seen, error, s=22, c=np.where(rare, COLORS[1], COLORS[0]), linewidths=0, alpha=0.8)
    if (seen < 3 * SEEN_ENOUGH).any():
        axes.axvline(SEEN_ENOUGH, color=GREY, linewidth=0.8, linestyle="--")
    axes.margins(y=0.15)
    # at least a factor of ten, so that what is alike looks alike
    stretch = max(1.6, (10 * seen.min() / seen.max()) ** 0.5)
    axes.set_xlim(seen.min() / stretch, seen.max() * stretch)
    log_ticks(axes.xaxis)
    log_ticks(axes.yaxis)
    _name_points(axes, known, seen, error)
    axes.set(xlabel="seen in training (times)", ylabel=f"force MAE ({FORCE[1]})")
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9)
    save(figure, path)


def _bars(names: Sequence[str], values: Sequence[float], colors: Sequence[str]) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(5.6, 0.9 + 0.27 * len(names)), layout="constrained")
    axes = figure.subplots()
    _draw_bars(axes, names, values, colors)
    return figure, axes


def _draw_bars(axes: Axes, names: Sequence[str], values: Sequence[float], colors: Sequence[str]) -> None:
    place = np.arange(len(names))
    axes.barh(place, values, color=colors, height=0.7)
    axes.set_yticks(place, names, fontsize=9)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(0, 1.15 * max(values, default=1.0) or 1.0)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    for k, value in enumerate(values):
        axes.annotate(
            number(value), (value, k), xytext=(3, 0), textcoords="offset points", va="center", fontsize=8
        )
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=9)
    axes.spines[["top", "right"]].set_visible(False)


def _density(axes: Axes, length: Float[Array, " atoms"], error: Float[Array, " atoms"]) -> None:
    if len(length) < 3000:
        axes.scatter(length, error, s=7, c=_PALE, alpha=0.6, linewidths=0, zorder=1)
    else:
        axes.hexbin(
            length,
            error,
            gridsize=55,
            xscale="log",
            yscale="log",
            bins="log",
            mincnt=1,
            cmap="Blues",
            zorder=1,
        )


def _ranges(
    axes: Axes, length: Float[Array, " atoms"], error: Float[Array, " atoms"], magnitudes: Sequence[Magnitude]
) -> None:
    """Median and 95 % of each range at the middle of its forces, and lines of one, ten and a hundred percent."""
    left = max(np.quantile(length, 0.001), min(_WEAKEST, length.max())) / 1.2
    inside = [(length >= m.low) & (length < m.high) for m in magnitudes]
    # forces that symmetry makes zero have no place on the axis
    inside = [chosen for chosen in inside if chosen.any() and np.median(length[chosen]) > left]
    rows = [error[chosen] for chosen in inside]
    middles = [np.median(length[chosen]) for chosen in inside]
    for share, marker, color in ((0.5, "o", COLORS[0]), (0.95, "^", COLORS[1])):
        levels = [np.quantile(row, share) for row in rows]
        name = "median" if share == 0.5 else f"{share:.0%}".replace("%", " % are below")
        axes.plot(
            middles, levels, marker=marker, markersize=5, linewidth=1.3, color=color, label=name, zorder=3
        )
    axes.set_xlim(left, 1.3 * length.max())
    axes.set_ylim(np.quantile(error, 0.002) / 1.2, 1.6 * error.max())
    ends = np.array(axes.get_xlim())
    low, high = axes.get_ylim()
    for ratio in (0.01, 0.1, 1.0):
        axes.plot(ends, ratio * ends, color=GREY, linewidth=0.7, linestyle=":", zorder=2)
        x = min(ends[1], high / ratio) / 1.05
        if low < ratio * x:
            axes.text(
                x, ratio * x, f"{ratio:.0%} ".replace("%", " %"), fontsize=8, color=GREY, ha="right", va="top"
            )
    axes.set(xlim=ends, ylim=(low, high))
    axes.legend(frameon=False, fontsize=9, loc="upper left")


def _name_points(
    axes: Axes, parts: Sequence[Part], seen: Float[Array, " parts"], error: Float[Array, " parts"]
) -> None:
    """Names beside the worst and the least seen, where no other name stands yet."""
    order = [*np.argsort(seen)[:5], *np.argsort(-error)]
    (left, right), (low, high) = np.log(axes.get_xlim()), np.log(axes.get_ylim())
    # what is covered already: left and right end, height; in shares of the picture
    taken: list[tuple[float, float, float]] = []
    for k in dict.fromkeys(int(k) for k in order):
        x = (np.log(seen[k]) - left) / (right - left)
        y = (np.log(error[k]) - low) / (high - low)
        width, side = 0.022 * len(parts[k].name) + 0.02, -1 if x > 0.8 else 1
        ends = min(x, x + side * width), max(x, x + side * width)
        free = all(abs(y - height) > 0.05 or ends[0] > b or ends[1] < a for a, b, height in taken)
        if free and len(taken) < _MOST_NAMES:
            taken.append((*ends, y))
            axes.annotate(
                parts[k].name,
                (seen[k], error[k]),
                xytext=(5 * side, 0),
                textcoords="offset points",
                fontsize=8,
                va="center",
                ha="right" if side < 0 else "left",
            )
