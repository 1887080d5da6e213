"""Differences to the control by element and by relation: as a map, and over how often training saw the relation."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from hermtk.ablation.arms import Arm
from hermtk.ablation.findings import Difference, Findings, Table, sure
from hermtk.ablation.report.style import color_of, few_log_ticks, legend, plain_axes
from hermtk.ablation.report.view import (
    arms_at,
    differences_of,
    largest,
    parts,
    short,
    shown_name,
    subnets,
    title_of,
)
from hermtk.evaluation.plots import GREY, save

Array = np.ndarray

# rows of a map: of more parts the ones most seen in training, else the first
MOST_ROWS = 30
# times what nine of ten differences stay below: larger ones stand at the edge
_FAR = 4.0
# sizes beside each other
_MOST_SIZES = 4
# points of a line through the middle of a cloud, and how many make one
_BINS, _PER_BIN = 6, 5
# of one: relative differences that the last color stands for, at least and at most
_FAINTEST, _STRONGEST = 0.1, 0.5


def map_picture(findings: Findings, kind: str, path: Path) -> bool:
    """Relative differences to the control: a row per element or relation, a column per arm; those that are sure framed."""
    tables = _most_seen(parts(findings, kind))
    arms = [arm for arm in arms_at(findings, largest(findings)) if arm.variant != findings.control]
    arms = [arm for arm in arms if any(arm.name in differences_of(table) for table in tables.values())]
    if not arms:
        return False
    cells = [[differences_of(table).get(arm.name) for arm in arms] for table in tables.values()]
    size = (0.72 * len(arms) + 2.6, 0.27 * len(tables) + 1.9)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    _draw_map(figure, axes, cells)
    axes.set_xticks(range(len(arms)), [shown_name(findings, arm) for arm in arms], fontsize=9)
    axes.tick_params(axis="x", rotation=40, length=0)
    for label in axes.get_xticklabels():
        label.set(ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(tables)), [short(name) for name in tables], fontsize=9)
    axes.tick_params(axis="y", length=0)
    axes.set_title(title_of(next(iter(tables.values())).metric).partition(" (")[0], fontsize=10)
    save(figure, path)
    return True


def _most_seen(tables: dict[str, Table]) -> dict[str, Table]:
    """The most seen first; without such numbers in the order given."""
    seen = {
        name: max((d.seen or 0.0 for d in table.differences), default=0.0) for name, table in tables.items()
    }
    return {name: tables[name] for name in sorted(tables, key=lambda name: -seen[name])[:MOST_ROWS]}


def _draw_map(figure: Figure, axes: Axes, cells: Sequence[Sequence[Difference | None]]) -> None:
    shares = np.array(
        [[np.nan if one is None else one.relative for one in row] for row in cells], dtype=float
    )
    known = np.abs(shares[np.isfinite(shares)])
    reach = float(np.clip(known.max(initial=0.0), _FAINTEST, _STRONGEST))
    axes.set_facecolor("#e8e8e8")
    scale = Normalize(-100 * reach, 100 * reach)
    image = axes.imshow(100 * shares, cmap="RdBu_r", norm=scale, aspect="auto", interpolation="nearest")
    for (row, column), share in np.ndenumerate(shares):
        one = cells[row][column]
        if one is None or not np.isfinite(share):
            axes.text(column, row, "–", ha="center", va="center", fontsize=8, color=GREY)
            continue
        dark = abs(share) > 0.6 * reach
        text = (
            f"{100 * share:+.0f}" if abs(share) >= 0.0995 else f"{100 * share:+.1f}".replace("-0.0", "+0.0")
        )
        weight = "bold" if sure(one) else "normal"
        color = "white" if dark else "black"
        axes.text(column, row, text, ha="center", va="center", fontsize=8, color=color, weight=weight)
        if sure(one):
            place = (column - 0.47, row - 0.45)
            axes.add_patch(Rectangle(place, 0.94, 0.9, fill=False, edgecolor="black", linewidth=1.1))
    bar = figure.colorbar(image, ax=axes, fraction=0.05, pad=0.03, extend=_extend(shares, reach))
    bar.set_label("difference to the control (%)", fontsize=9)
    bar.ax.tick_params(labelsize=8)
    axes.spines[:].set_visible(False)


def _extend(shares: Array, reach: float) -> str:
    beyond = np.abs(shares[np.isfinite(shares)]) > reach * 1.0001
    return "both" if beyond.any() else "neither"


def coverage_picture(findings: Findings, path: Path) -> bool:
    """Relative difference of each relation over how often training saw it; columns are sizes, rows subnets."""
    tables = list(parts(findings, "relation").values())
    sizes, rows = _some(findings.sizes) or [None], subnets(findings)
    clouds = {
        (row, column): _clouds(findings, subnet, size, tables)
        for row, subnet in enumerate(rows)
        for column, size in enumerate(sizes)
    }
    if not any(clouds.values()):
        return False
    height = 2.7 * len(rows) + 0.7
    figure = Figure(
        figsize=(3.0 * len(sizes) + (2.8 if len(sizes) == 1 else 0.8), height), layout="constrained"
    )
    grid = figure.subplots(len(rows), len(sizes), squeeze=False, sharey=True, sharex=True)
    seen = np.concatenate([x for cloud in clouds.values() for _, x, _ in cloud])
    for (row, column), cloud in clouds.items():
        axes = grid[row, column]
        _draw_cloud(axes, findings, cloud)
        if row == 0 and sizes[column]:
            axes.set_title(f"{sizes[column]:,} structures", fontsize=10)
        if column == 0:
            name = f"{short(rows[row])}\n" if len(rows) > 1 else ""
            axes.set_ylabel(f"{name}difference to control (%)", fontsize=9)
    _clip([(grid[place], cloud) for place, cloud in clouds.items()])
    for axes in grid[-1]:
        axes.set_xlim(seen.min() / 1.6, max(seen.max(), 6 * seen.min()) * 1.6)
        few_log_ticks(axes.xaxis)
        axes.set_xlabel("seen in training (times)", fontsize=9)
    arms = [f.arm for f in findings.arms if f.arm.variant != findings.control]
    legend(figure, findings, arms, markers=False)
    save(figure, path)
    return True


Cloud = list[tuple[Arm, Array, Array]]


def _clouds(findings: Findings, subnet: str, size: int | None, tables: Sequence[Table]) -> Cloud:
    """Of each arm: how often its relations were seen (never is drawn as 0.5), and their differences in percent."""
    found = []
    for arm in arms_at(findings, size):
        own = [differences_of(table).get(arm.name) for table in tables] if arm.subnet == subnet else []
        known = [(one.seen, one.relative) for one in own if one is not None and one.seen is not None]
        if known:
            seen, relative = np.array(known, dtype=float).T
            found.append((arm, np.maximum(seen, 0.5), 100 * relative))
    return found


def _draw_cloud(axes: Axes, findings: Findings, cloud: Cloud) -> None:
    """Points, and the medians of about equally many of them as a line."""
    axes.set_xscale("log")
    axes.axhline(0.0, color="black", linewidth=0.8)
    for arm, seen, percent in cloud:
        color = color_of(findings, arm)
        axes.scatter(seen, percent, s=14, c=color, alpha=0.6, linewidths=0)
        if (bins := min(_BINS, len(seen) // _PER_BIN)) > 2:
            groups = np.array_split(np.argsort(seen), bins)
            middle = [(np.median(seen[group]), np.median(percent[group])) for group in groups]
            axes.plot(*zip(*middle, strict=True), color=color, linewidth=1.4)
    axes.grid(True, which="major", linewidth=0.3, alpha=0.5)
    plain_axes(axes)


def _clip(panels: Sequence[tuple[Axes, Cloud]]) -> None:
    """The same height for all; what lies far outside the others stands as a triangle at the edge."""
    every = np.concatenate([percent for _, cloud in panels for _, _, percent in cloud])
    reach = _FAR * max(float(np.quantile(np.abs(every), 0.9)), 1.0)
    inside = every[np.abs(every) <= reach]
    margin = 0.08 * (max(inside.max(), 0.0) - min(inside.min(), 0.0)) + 0.5
    low, high = min(inside.min(), 0.0) - margin, max(inside.max(), 0.0) + margin
    for axes, cloud in panels:
        axes.set_ylim(low, high)
        for _, seen, percent in cloud:
            for beyond, edge, marker in ((percent > high, high, "^"), (percent < low, low, "v")):
                edges = np.full(beyond.sum(), edge)
                axes.scatter(seen[beyond], edges, s=22, c="black", marker=marker, clip_on=False)


def _some(sizes: Sequence[int]) -> list[int | None]:
    """A few of the sizes, smallest and largest among them."""
    if len(sizes) <= _MOST_SIZES:
        return list(sizes)
    return [sizes[k] for k in np.linspace(0, len(sizes) - 1, _MOST_SIZES).round().astype(int)]
