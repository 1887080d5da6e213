"""Errors of a study over the structures of training, and over what a model costs."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from hermtk.ablation.arms import Arm
from hermtk.ablation.findings import ArmErrors, ArmFacts, Difference, Findings, Table
from hermtk.ablation.report.style import color_of, few_log_ticks, legend, marker_of, plain_axes, wide
from hermtk.ablation.report.view import (
    arms_at,
    differences_of,
    errors_of,
    largest,
    main,
    short,
    subnets,
    title_of,
    variants,
)
from hermtk.evaluation.plots import GREY, log_ticks, save

# times the usual difference: larger ones are outside of the picture
_FAR = 6.0


def learning_picture(findings: Findings, path: Path) -> bool:
    """Error over training structures, both logarithmic: a line per arm with its sd; False where the study has one size."""
    tables = [table for table in main(findings) if any(one.mean > 0 for one in table.errors)]
    arms = [facts.arm for facts in findings.arms]
    return _over_sizes(findings, arms, tables, _draw_learning, lambda table: title_of(table.metric), path)


def gain_picture(findings: Findings, path: Path) -> bool:
    """Difference to the control in percent over training structures, with confidence intervals; False as before."""
    tables = [table for table in main(findings) if differences_of(table)]

    def title(table: Table) -> str:
        return f"difference of {title_of(table.metric).partition(' (')[0]} (%)"

    arms = [facts.arm for facts in findings.arms if facts.arm.variant != findings.control]
    return _over_sizes(findings, arms, tables, _draw_gain, title, path)


def _over_sizes(
    findings: Findings,
    arms: Sequence[Arm],
    tables: Sequence[Table],
    draw: Callable[[Axes, Findings, str, Table], None],
    title: Callable[[Table], str],
    path: Path,
) -> bool:
    """A panel per metric (columns) and subnet (rows), with a legend of the variants of ``arms``."""
    if len(findings.sizes) < 2 or not tables:
        return False
    rows = subnets(findings)
    figure = Figure(figsize=(3.2 * len(tables) + 0.5, 2.5 * len(rows) + 0.7), layout="constrained")
    grid = figure.subplots(len(rows), len(tables), squeeze=False, sharey="col", sharex=True)
    for subnet, row in zip(rows, grid, strict=True):
        for table, axes in zip(tables, row, strict=True):
            axes.set_xscale("log")
            draw(axes, findings, subnet, table)
            axes.grid(True, which="major", linewidth=0.3, alpha=0.5)
            plain_axes(axes)
    for table, column in zip(tables, grid.T, strict=True):
        for axes in column:
            if axes.get_yscale() == "log":
                log_ticks(axes.yaxis)
            axes.xaxis.set_major_locator(FixedLocator(_apart(findings.sizes)))
            axes.xaxis.set_minor_locator(NullLocator())
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        column[0].set_title(title(table), fontsize=10)
        column[-1].set_xlabel("training structures", fontsize=9)
    for subnet, axes in zip(rows, grid[:, 0], strict=True):
        axes.set_ylabel(short(subnet), fontsize=10)
    legend(figure, findings, arms, markers=False)
    save(figure, path)
    return True


def _lines(findings: Findings, subnet: str) -> list[list[Arm]]:
    """Of each variant its arms by rising size."""
    own = [facts.arm for facts in findings.arms if facts.arm.subnet == subnet and facts.arm.size]
    return [
        sorted((arm for arm in own if arm.variant == variant), key=lambda arm: arm.size or 0)
        for variant in variants(findings)
    ]


def _draw_learning(axes: Axes, findings: Findings, subnet: str, table: Table) -> None:
    axes.set_yscale("log")
    errors = errors_of(table)
    for arms in _lines(findings, subnet):
        known = [(arm, one) for arm in arms if (one := errors.get(arm.name)) and one.mean > 0]
        if not known:
            continue
        sizes = [arm.size or 0 for arm, _ in known]
        mean = np.array([one.mean for _, one in known])
        sd = np.array([one.sd or 0.0 for _, one in known])
        color, marker = color_of(findings, arms[0]), marker_of(findings, arms[0])
        axes.plot(sizes, mean, color=color, marker=marker, markersize=4, linewidth=1.3)
        axes.fill_between(sizes, np.maximum(mean - sd, 0.5 * mean), mean + sd, color=color, alpha=0.15, lw=0)


def _draw_gain(axes: Axes, findings: Findings, subnet: str, table: Table) -> None:
    axes.axhline(0.0, color="black", linewidth=0.8)
    differences = differences_of(table)
    lines = [arms for arms in _lines(findings, subnet) if any(arm.name in differences for arm in arms)]
    for k, arms in enumerate(lines):
        known = [(arm, differences[arm.name]) for arm in arms if arm.name in differences]
        # a little beside each other, so that the intervals can be seen
        beside = (max(findings.sizes) / min(findings.sizes)) ** (0.015 * (k - (len(lines) - 1) / 2))
        sizes = np.array([arm.size or 0 for arm, _ in known]) * beside
        percent = np.array([100 * one.relative for _, one in known])
        ends = np.array([_relative_ends(one) for _, one in known])
        color, marker = color_of(findings, arms[0]), marker_of(findings, arms[0])
        axes.plot(sizes, percent, color=color, marker=marker, markersize=4, linewidth=1.3)
        axes.vlines(sizes, ends[:, 0], ends[:, 1], color=color, linewidth=1.0)
    # one arm that diverged does not hide the others: its line leaves the picture
    reach = _FAR * max(
        1.0, float(np.quantile([100 * abs(one.relative) for one in differences.values()], 0.75))
    )
    low, high = axes.get_ylim()
    axes.set_ylim(max(low, -reach), min(high, reach))


def _relative_ends(one: Difference) -> tuple[float, float]:
    """Of the confidence interval, in percent of the control."""
    if one.interval is None or not one.mean:
        return 100 * one.relative, 100 * one.relative
    low, high = (100 * one.relative * end / one.mean for end in one.interval)
    return low, high


def _apart(sizes: Sequence[int]) -> list[int]:
    """Of sizes near each other on a logarithmic axis the smaller."""
    shown: list[int] = []
    for size in sorted(sizes):
        if not shown or size >= 1.5 * shown[-1]:
            shown.append(size)
    return shown


def cost_picture(findings: Findings, path: Path) -> bool:
    """Errors over parameters and over the time of a training step, with the line of what nothing beats in both."""
    known = {arm.name for arm in arms_at(findings, largest(findings))}
    facts = [one for one in findings.arms if one.arm.name in known]
    columns = {"parameters": [float(one.arm.parameters) for one in facts]}
    if all(one.arm.config.device == "cpu" and one.cpu_seconds for one in facts if one.finished):
        columns["CPU time of training (s)"] = [one.cpu_seconds or np.nan for one in facts]
    elif any(one.step_milliseconds for one in facts):
        columns["training step (ms)"] = [one.step_milliseconds or np.nan for one in facts]
    tables = [table for table in main(findings) if known & set(errors_of(table))]
    if len(facts) < 2 or not tables:
        return False
    size = (3.3 * len(columns) + 0.6, 2.3 * len(tables) + 0.7)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(tables), len(columns), squeeze=False, sharex="col", sharey="row")
    for row, table in zip(grid, tables, strict=True):
        for axes, cost in zip(row, columns.values(), strict=True):
            _draw_cost(axes, findings, facts, cost, table)
        row[0].set_ylabel(title_of(table.metric), fontsize=9)
        if wide([errors_of(table)[name].mean for name in known & set(errors_of(table))]):
            row[0].set_yscale("log")
            log_ticks(row[0].yaxis)
    for axes, name in zip(grid[-1], columns, strict=True):
        few_log_ticks(axes.xaxis)
        axes.set_xlabel(name, fontsize=10)
    legend(figure, findings, [one.arm for one in facts], markers=True)
    save(figure, path)
    return True


def _draw_cost(
    axes: Axes, findings: Findings, facts: Sequence[ArmFacts], cost: Sequence[float], table: Table
) -> None:
    errors = errors_of(table)
    points: list[tuple[float, ArmErrors, Arm]] = [
        (x, errors[one.arm.name], one.arm)
        for x, one in zip(cost, facts, strict=True)
        if one.arm.name in errors and np.isfinite(x)
    ]
    axes.set_xscale("log")
    axes.set_xlim(_around(cost))
    best, front = np.inf, []
    for x, one, _ in sorted(points, key=lambda point: (point[0], point[1].mean)):
        if one.mean < best:
            best = one.mean
            front.append((x, best))
    if front:
        axes.plot(*zip(*front, strict=True), color=GREY, linewidth=0.8, drawstyle="steps-post", zorder=1)
    for x, one, arm in points:
        color, marker = color_of(findings, arm), marker_of(findings, arm)
        axes.errorbar(
            x, one.mean, yerr=one.sd, color=color, marker=marker, markersize=6, elinewidth=1, capsize=2
        )
    axes.margins(y=0.12)
    axes.grid(True, which="major", linewidth=0.3, alpha=0.5)
    plain_axes(axes)


def _around(values: Sequence[float]) -> tuple[float, float]:
    """A range with some room beside the values: at least a factor of three, so that what is alike looks alike."""
    known = [value for value in values if np.isfinite(value)]
    low, high = min(known), max(known)
    middle, ratio = (low * high) ** 0.5, max(1.3 * high / low, 3.0) ** 0.5
    return middle / ratio, middle * ratio
