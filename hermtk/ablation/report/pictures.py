"""Errors of the arms of a study, and what they differ by from their control."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hermtk.ablation.arms import Arm
from hermtk.ablation.findings import Difference, Findings, Table, sure
from hermtk.ablation.report.style import color_of, few_log_ticks, marker_of, plain_axes, rows_of, wide
from hermtk.ablation.report.view import (
    arms_at,
    differences_of,
    errors_of,
    largest,
    main,
    short,
    shown_name,
    subnets,
    title_of,
    variants,
)
from hermtk.evaluation.plots import COLORS, GREY, log_ticks, save

# times the usual difference: larger ones are outside of the picture
_BEYOND = 8.0


def errors_picture(findings: Findings, path: Path) -> bool:
    """Every seed of every arm as a point, mean and sd beside it; whether there was something to draw."""
    arms = arms_at(findings, largest(findings))
    return _by_arm(findings, arms, [t for t in main(findings) if t.errors], _draw_errors, path)


def differences_picture(findings: Findings, path: Path) -> bool:
    """Differences to the control with confidence intervals and the line of no difference."""
    arms = [arm for arm in arms_at(findings, largest(findings)) if arm.variant != findings.control]
    names = {arm.name for arm in arms}
    tables = [table for table in main(findings) if names & set(differences_of(table))]
    return _by_arm(findings, arms, tables, _draw_differences, path)


def _by_arm(
    findings: Findings,
    arms: Sequence[Arm],
    tables: Sequence[Table],
    draw: Callable[[Axes, Findings, Sequence[Arm], Table], None],
    path: Path,
) -> bool:
    """A panel per metric, a row per arm."""
    if not arms or not tables:
        return False
    figure = Figure(figsize=(3.1 * len(tables) + 1.6, 0.9 + 0.34 * len(arms)), layout="constrained")
    panels = figure.subplots(1, len(tables), squeeze=False, sharey=True)[0]
    for axes, table in zip(panels, tables, strict=True):
        draw(axes, findings, arms, table)
        rows_of(axes, [shown_name(findings, arm) for arm in arms])
        for k in range(1, len(arms)):
            if arms[k].subnet != arms[k - 1].subnet:
                axes.axhline(k - 0.5, color=GREY, linewidth=0.4, alpha=0.5)
        plain_axes(axes)
    save(figure, path)
    return True


def _draw_errors(axes: Axes, findings: Findings, arms: Sequence[Arm], table: Table) -> None:
    errors = errors_of(table)
    if wide([value for arm in arms if arm.name in errors for value in errors[arm.name].values]):
        axes.set_xscale("log")
    for k, arm in enumerate(arms):
        if (one := errors.get(arm.name)) is None:
            _nothing(axes, k, "no finished run")
            continue
        color = color_of(findings, arm)
        places = k + 0.16 * _spread(len(one.values))
        axes.scatter(one.values, places, s=18, c=color, marker=marker_of(findings, arm), alpha=0.7, lw=0)
        axes.plot([one.mean] * 2, [k - 0.3, k + 0.3], color="black", linewidth=1.4)
        if one.sd:
            axes.plot(
                [max(one.mean - one.sd, 0.2 * one.mean), one.mean + one.sd], [k, k], color="black", lw=0.9
            )
    axes.margins(x=0.12)
    _horizontal(axes, table)


def _draw_differences(axes: Axes, findings: Findings, arms: Sequence[Arm], table: Table) -> None:
    differences = differences_of(table)
    axes.axvline(0.0, color="black", linewidth=0.9)
    for k, arm in enumerate(arms):
        if (one := differences.get(arm.name)) is None:
            _nothing(axes, k, "no seed finished in both")
            continue
        color = color_of(findings, arm)
        if len(one.values) > 1:
            places = k + 0.22 + 0.05 * _spread(len(one.values))
            axes.scatter(one.values, places, s=7, c=color, alpha=0.5, lw=0)
        if one.interval is not None:
            axes.plot(one.interval, [k - 0.08] * 2, color=color, linewidth=1.6)
        filled = color if sure(one) else "white"
        axes.plot(
            one.mean, k - 0.08, marker=marker_of(findings, arm), color=color, mfc=filled, ms=6.5, mew=1.4
        )
    _limits(axes, {k: one for k, arm in enumerate(arms) if (one := differences.get(arm.name))})
    _horizontal(axes, table)
    axes.set_xlabel(f"difference of {title_of(table.metric)}", fontsize=10)


def _limits(axes: Axes, rows: Mapping[int, Difference]) -> None:
    """Zero inside and not at the edge; of differences many times the others only the side that they are on."""
    ends = {k: [*one.values, *(one.interval or ())] for k, one in rows.items()}
    usual = _BEYOND * float(np.median([np.abs(own).max() for own in ends.values()]))
    inside = [value for own in ends.values() for value in own if abs(value) <= usual]
    low, high = min([0.0, *inside]), max([0.0, *inside])
    margin = 0.12 * (high - low) or 1.0
    axes.set_xlim(low - margin, high + margin)
    for k, one in rows.items():
        if not low - margin < one.mean < high + margin:
            right = one.mean > 0
            text = f"{one.mean:+.3g} →" if right else f"← {one.mean:+.3g}"
            place, across = (0.98 if right else 0.02), axes.get_yaxis_transform()
            side = "right" if right else "left"
            box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
            axes.text(place, k - 0.08, text, transform=across, ha=side, va="center", fontsize=8, bbox=box)


def paired_picture(findings: Findings, path: Path) -> bool:
    """Errors of each seed from variant to variant: a panel per subnet (columns) and metric (rows)."""
    arms = arms_at(findings, largest(findings))
    tables = [table for table in main(findings) if len(_named(arms, table)) > 1]
    columns = [s for s in subnets(findings) if sum(arm.subnet == s for arm in arms) > 1]
    if not tables or not columns:
        return False
    width = max(2.2, 0.62 * len(variants(findings)) + 0.6)
    size = (width * len(columns) + 0.9, 2.1 * len(tables) + 0.7)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(tables), len(columns), squeeze=False, sharey="row", sharex="col")
    for row, table in zip(grid, tables, strict=True):
        if wide([value for arm in arms if (e := errors_of(table).get(arm.name)) for value in e.values]):
            row[0].set_yscale("log")
        for axes, subnet in zip(row, columns, strict=True):
            own = sorted((a for a in arms if a.subnet == subnet), key=lambda a: a.variant != findings.control)
            _draw_paired(axes, findings, own, table)
            if axes is row[0]:
                axes.set_ylabel(title_of(table.metric), fontsize=9)
    for axes, subnet in zip(grid[0], columns, strict=True):
        axes.set_title(short(subnet), fontsize=11)
    save(figure, path)
    return True


def _draw_paired(axes: Axes, findings: Findings, arms: Sequence[Arm], table: Table) -> None:
    errors = errors_of(table)
    values = [dict(zip(e.seeds, e.values, strict=True)) for a in arms if (e := errors.get(a.name))]
    places = [k for k, arm in enumerate(arms) if arm.name in errors]
    for number, seed in enumerate(findings.seeds):
        # over a failed run the line is dotted
        heights = np.full(len(arms), np.nan)
        for place, own in zip(places, values, strict=True):
            heights[place] = own.get(seed, np.nan)
        color = COLORS[number % len(COLORS)]
        known = np.flatnonzero(np.isfinite(heights))
        axes.plot(known, heights[known], color=color, linewidth=0.7, linestyle=":")
        axes.plot(range(len(arms)), heights, color=color, linewidth=0.9, marker="o", markersize=3, alpha=0.8)
    for place, own in zip(places, values, strict=True):
        mean = float(np.mean(list(own.values())))
        axes.plot([place - 0.22, place + 0.22], [mean, mean], color="black", linewidth=1.6, zorder=3)
    names = [short(arm.variant) for arm in arms]
    axes.set_xticks(range(len(arms)), names, rotation=30, ha="right", rotation_mode="anchor")
    axes.set_xlim(-0.5, len(arms) - 0.5)
    if axes.get_yscale() == "log":
        log_ticks(axes.yaxis)
    else:
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10], min_n_ticks=3))
    axes.grid(True, axis="y", linewidth=0.3, alpha=0.5)
    plain_axes(axes)


def _named(arms: Sequence[Arm], table: Table) -> set[str]:
    return {arm.name for arm in arms} & set(errors_of(table))


def _spread(n: int) -> np.ndarray:
    """From -1 to 1, in an order that keeps neighbours apart."""
    return np.zeros(1) if n == 1 else np.linspace(-1, 1, n)


def _nothing(axes: Axes, k: int, text: str) -> None:
    across = axes.get_yaxis_transform()
    axes.text(0.5, k, text, transform=across, ha="center", va="center", fontsize=8, color=GREY)


def _horizontal(axes: Axes, table: Table) -> None:
    if axes.get_xscale() == "log":
        few_log_ticks(axes.xaxis)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10], min_n_ticks=3))
    axes.grid(True, axis="x", linewidth=0.3, alpha=0.5)
    axes.set_xlabel(title_of(table.metric), fontsize=10)
