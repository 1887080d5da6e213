"""The picture of how a run learned."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hermtk.data.targets import ENERGY, Target
from hermtk.evaluation.metrics import Metrics
from hermtk.evaluation.plots import COLORS, GREY, log_ticks, save

_COLUMNS = 2


class Curves(NamedTuple):
    """One panel: a title, what values are multiplied by, and the columns drawn."""

    title: str
    factor: float
    names: Sequence[str]


def learning_curve(
    metrics: Metrics, path: Path, target: Target = ENERGY, best_step: int | None = None
) -> None:
    """Loss, errors and learning rate of a run over its steps, both axes logarithmic; errors of a target in its unit.

    Args:
        metrics: the record of the run.
        path: the picture, a PNG.
        target: what is learned.
        best_step: marked by a line: where the kept weights are from.

    Raises:
        RunError: the picture cannot be written.
    """
    drawn = [panel for panel in _panels(target) if any(map(metrics.has, panel.names))]
    columns = min(_COLUMNS, len(drawn))
    rows = -(-len(drawn) // columns)
    figure = Figure(figsize=(3.9 * columns + 0.4, 2.7 * rows + 0.2), layout="constrained")
    every = figure.subplots(rows, columns, squeeze=False).flatten()
    for axes, panel in zip(every[: len(drawn)], drawn, strict=True):
        _draw(axes, metrics, panel)
        if best_step:
            axes.axvline(best_step, color=GREY, linewidth=0.8, linestyle=":", zorder=1)
    for axes in every[len(drawn) :]:
        axes.set_axis_off()
    save(figure, path)


def _panels(target: Target) -> list[Curves]:
    loss = Curves("loss", 1.0, ("train_loss", "validation_loss"))
    rate = Curves("learning rate", 1.0, ("learning_rate",))
    if target == ENERGY:
        return [
            loss,
            Curves("force MAE (meV/Å)", 1e3, ("train_forces_mae", "validation_forces_mae")),
            Curves("energy MAE (meV/atom)", 1e3, ("validation_energy_per_atom_mae",)),
            Curves("stress MAE (meV/Å³)", 1e3, ("validation_stress_mae",)),
            rate,
        ]
    factor, unit = target.shown
    names = (f"train_{target.name}_mae", f"validation_{target.name}_mae")
    return [
        loss,
        Curves(f"{target.name} MAE ({unit})" if unit else f"{target.name} MAE", factor, names),
        rate,
    ]


def _draw(axes: Axes, metrics: Metrics, panel: Curves) -> None:
    for name in filter(metrics.has, panel.names):
        training = name.startswith("train_")
        axes.plot(
            metrics["step"],
            np.where(metrics[name] > 0, metrics[name], np.nan) * panel.factor,
            color=COLORS[5] if training else COLORS[0],
            linewidth=1.2,
            marker="o" if len(metrics) < 3 else None,
            label="training" if training else "validation",
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    log_ticks(axes.xaxis)
    log_ticks(axes.yaxis)
    axes.set_xlabel("step")
    axes.set_title(panel.title, fontsize=11)
    axes.grid(True, which="major", linewidth=0.3, alpha=0.5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9)
    if panel.names != ("learning_rate",):
        axes.legend(frameon=False, fontsize=9)
