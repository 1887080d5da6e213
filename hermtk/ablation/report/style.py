"""How pictures of a study look: a color for each variant, a marker for each subnet."""

import math
from collections.abc import Sequence

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator

from hermtk.ablation.arms import Arm
from hermtk.ablation.findings import Findings
from hermtk.ablation.report.view import short, subnets, variants
from hermtk.evaluation.plots import COLORS, GREY, log_ticks

# of the largest error over the smallest: beyond it an axis is logarithmic
_WIDE = 12.0
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")


def color_of(findings: Findings, arm: Arm) -> str:
    """The control is grey; with more variants than colors they repeat."""
    place = variants(findings).index(arm.variant)
    return GREY if arm.variant == findings.control else COLORS[(place - 1) % len(COLORS)]


def marker_of(findings: Findings, arm: Arm) -> str:
    """Of the arm's subnet."""
    return _MARKERS[subnets(findings).index(arm.subnet) % len(_MARKERS)]


def legend(figure: Figure, findings: Findings, arms: Sequence[Arm], *, markers: bool) -> None:
    """Below the panels: variants by color and, if ``markers``, subnets by marker."""
    handles: list[Artist] = []
    names: list[str] = []
    for arm in {arm.variant: arm for arm in arms}.values():
        handles.append(Line2D([], [], color=color_of(findings, arm), marker="o", markersize=5, linewidth=1.2))
        names.append(short(arm.variant))
    if markers and len({arm.subnet for arm in arms}) > 1:
        for arm in {arm.subnet: arm for arm in arms}.values():
            marker = marker_of(findings, arm)
            handles.append(Line2D([], [], color="black", marker=marker, markersize=5, linestyle="none"))
            names.append(short(arm.subnet))
    # inches: a sign of this font is about 0.075 wide, a handle with its gaps 0.65
    columns = int(figure.get_figwidth() / (0.65 + 0.075 * max(map(len, names), default=1)))
    columns = min(len(names), max(1, columns))
    figure.legend(handles, names, loc="outside lower center", ncols=columns, frameon=False, fontsize=9)


def plain_axes(axes: Axes) -> None:
    """Without the upper and right line, with small numbers."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9)


def wide(values: Sequence[float]) -> bool:
    """Whether a linear axis would press the smaller ones together."""
    known = [value for value in values if math.isfinite(value)]
    return bool(known) and min(known) > 0 and max(known) > _WIDE * min(known)


def few_log_ticks(axis: Axis) -> None:
    """Of a horizontal axis in a narrow panel: numbers that do not touch."""
    log_ticks(axis)
    if len(ticks := axis.get_majorticklocs().tolist()) > 4:
        axis.set_major_locator(FixedLocator(ticks[::2]))


def rows_of(axes: Axes, names: Sequence[str]) -> None:
    """The vertical axis as a list of names, from above."""
    axes.set_yticks(range(len(names)), names, fontsize=9)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
