"""Pictures of what a set holds: energies, forces, sizes, distances."""

from collections import Counter
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hermtk.audit.summary import DISTANCE_BINS, FORCE_BINS, Summary
from hermtk.data.elements import symbols
from hermtk.evaluation.plots import COLORS, save

Array = np.ndarray

_BINS = 60


def histograms(summary: Summary, path: Path) -> None:
    """Energy per atom, force magnitudes, structure sizes and nearest distances, the atoms' by element, as one PNG.

    Raises:
        RunError: the picture cannot be written.
    """
    figure = Figure(figsize=(9.0, 6.0), layout="constrained")
    (energy, force), (size, distance) = figure.subplots(2, 2)
    _energies(energy, np.array(summary.energies))
    _by_element(force, summary.forces, FORCE_BINS, "force magnitude (eV/Å)", logarithmic=True)
    if summary.weak:
        said = f"and {summary.weak:,} atoms below {FORCE_BINS[0]:g} eV/Å"
        force.text(0.02, 0.95, said, transform=force.transAxes, va="top", fontsize=9)
    _sizes(size, summary.sizes)
    _by_element(distance, summary.nearest, DISTANCE_BINS, "distance to the nearest neighbor (Å)")
    for axes, title in (
        (energy, "energy per atom"),
        (force, "forces"),
        (size, "sizes"),
        (distance, "nearest distances"),
    ):
        axes.set_title(title, fontsize=11)
        axes.tick_params(labelsize=9)
        axes.spines[["top", "right"]].set_visible(False)
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    save(figure, path)


def _energies(axes: Axes, energies: Float[Array, " n"]) -> None:
    if not len(energies):
        _nothing(axes, "no energies")
        return
    middle = float(energies.mean())
    spread = float(np.ptp(energies))
    # small differences of large energies can be seen only from their mean
    relative = spread < 0.1 * abs(middle)
    factor, unit = (1e3, "meV") if spread < 0.5 else (1.0, "eV")
    shown = factor * (energies - (middle if relative else 0.0))
    axes.hist(shown, _BINS, color=COLORS[0])
    axes.set_xlabel(f"{unit}/atom" + (f" from the mean, {middle:.4f} eV/atom" if relative else ""))
    axes.set_ylabel("structures")
    axes.xaxis.set_major_locator(MaxNLocator(6))


def _sizes(axes: Axes, sizes: Counter[int]) -> None:
    given, counts = np.array(sorted(sizes)), np.array([sizes[n] for n in sorted(sizes)])
    span = int(given.max() - given.min()) + 1
    if span <= 2 * _BINS:
        # a thin bar of a long axis would be lost
        axes.bar(given, counts, width=max(0.8, span / 100), color=COLORS[0])
    else:
        axes.hist(given, _BINS, weights=counts, color=COLORS[0])
    if span < 6:
        axes.set_xlim(given.min() - 3.5, given.max() + 3.5)
    axes.set_xlabel("atoms in a structure")
    axes.set_ylabel("structures")
    axes.xaxis.set_major_locator(MaxNLocator(7, integer=True))


def _by_element(
    axes: Axes,
    counts: dict[int, Int[Array, " bins"]],
    bins: Float[Array, " ends"],
    label: str,
    logarithmic: bool = False,
) -> None:
    if not any(row.any() for row in counts.values()):
        _nothing(axes, f"no {label.split(' ', maxsplit=1)[0]}s")
        return
    kinds = sorted(counts)
    rows = {symbols([z])[0]: counts[z] for z in kinds}
    if len(kinds) > len(COLORS):
        # more elements than colors that can be told apart
        rows = {"": np.sum(list(counts.values()), axis=0)}
    for color, (name, row) in zip(COLORS, rows.items(), strict=False):
        axes.stairs(row, bins, color=color, fill=True, alpha=0.25)
        axes.stairs(row, bins, color=color, linewidth=1.2, label=name)
    used = np.flatnonzero(np.sum(list(counts.values()), axis=0))
    first, last = max(used[0] - 2, 0), min(used[-1] + 3, len(bins) - 1)
    axes.set_xlim(float(bins[first]), float(bins[last]))
    if logarithmic:
        axes.set_xscale("log")
    axes.set_xlabel(label)
    axes.set_ylabel("atoms")
    if len(rows) > 1:
        axes.legend(frameon=False, fontsize=9)


def _nothing(axes: Axes, text: str) -> None:
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", fontsize=10)
    axes.set_xticks([])
    axes.set_yticks([])
