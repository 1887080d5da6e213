"""The tables of a report's page: numbers as text, with units in their heads."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hermtk.data.targets import Target
from hermtk.evaluation.report.groups import Group
from hermtk.evaluation.report.layout import Table
from hermtk.evaluation.report.numbers import Against, Report
from hermtk.evaluation.report.parts import Part
from hermtk.evaluation.report.words import (
    ENERGY_PER_ATOM,
    FORCE,
    STRESS,
    TOTAL_ENERGY,
    Scale,
    duration,
    number,
    percent,
    value_scale,
)
from hermtk.evaluation.report.worst import Worst
from hermtk.memory import gib

# rows of a table on the page; all of them are in report.json
_MOST_ROWS = 15


def errors_table(report: Report, target: Target) -> Table:
    """Every labelled quantity, or the target."""
    if "target" in report.errors:
        own = report.errors["target"]
        factor, unit = target.shown
        if own["mae"] is None:
            return Table((), (), "No structure has a reference.")
        row = (
            report.target,
            *_figures(own, factor),
            number(own["sd"], factor),
            unit,
            f"{own['structures']:,}",
        )
        head = ("", "MAE", "RMSE", "largest", "mean", "their sd", "unit", "structures")
        return Table(
            head, (row,), "Mean: predicted minus reference; their sd: standard deviation of the references."
        )
    rows = []
    for name, title, (factor, unit) in (
        ("energy", "energy", TOTAL_ENERGY),
        ("energy_per_atom", "energy per atom", ENERGY_PER_ATOM),
        ("forces", "force components", FORCE),
        ("stress", "stress components", STRESS),
    ):
        own = report.errors[name]
        if own["mae"] is not None:
            rows.append((title, *_figures(own, factor), unit, f"{own['structures']:,}"))
    return Table(
        ("", "MAE", "RMSE", "largest", "mean", "unit", "structures"),
        tuple(rows),
        "Mean: predicted minus reference.",
    )


def _figures(errors: Mapping[str, Any], factor: float) -> tuple[str, ...]:
    sizes = (number(errors[name], factor) for name in ("mae", "rmse", "max"))
    # forces that add up to zero have a mean that only rounding decides
    mean = 0.0 if abs(errors["mean"]) < 1e-4 * errors["mae"] else errors["mean"]
    return (*sizes, number(mean, factor))


def against_tables(against: Sequence[Against], target: Target) -> tuple[Table, ...]:
    """Beside validation and training, if there is something to hold against them."""
    if not against:
        return ()
    rows = []
    for one in against:
        factor, unit = FORCE if one.name == "forces" else value_scale(target, one.name == "energy_per_atom")
        values = (number(value, factor) for value in (one.training, one.validation, one.tested))
        sigma = "–" if one.sigma is None else f"{one.sigma:+.1f}"
        rows.append((one.name.replace("_", " "), *values, unit, sigma))
    return (
        Table(
            ("MAE", "training", "validation", "here", "unit", "difference"),
            tuple(rows),
            "Difference: here minus validation in standard errors, from the spread between structures; below 2 it may be chance.",
        ),
    )


def parts_table(parts: Sequence[Part], counted: str) -> Table:
    """Elements or relations; ``counted``: what stands over their number in this set."""
    rows = tuple(
        (
            part.name,
            *(number(value, FORCE[0]) for value in (part.mae, part.rmse, part.size)),
            percent(part.mae / part.size) if part.mae is not None and part.size else "–",
            *(() if part.expected is None else (number(part.expected, FORCE[0]),)),
            f"{part.count:,}",
            "–" if part.seen is None else f"{part.seen:,}",
        )
        for part in parts
    )
    expected = () if any(part.expected is None for part in parts) else ("expected",)
    head = ("", f"MAE ({FORCE[1]})", "RMSE", "mean force", "MAE / force", *expected, counted, "in training")
    return Table(head, rows[:_MOST_ROWS], _more(rows))


def magnitude_tables(report: Report) -> tuple[Table, ...]:
    """By the size of the force, where there are forces."""
    rows = tuple(
        (
            f"{m.low:g} to {m.high:g}",
            f"{m.atoms:,}",
            number(m.mae, FORCE[0]),
            percent(m.relative) if not math.isnan(m.relative) else "–",
            f"{m.angle:.3g}",
        )
        for m in report.magnitudes
    )
    head = ("force (eV/Å)", "atoms", f"MAE ({FORCE[1]})", "relative", "angle (°)")
    note = "Relative: sum of the lengths of the errors over that of the forces; angle: between predicted and reference force."
    return (Table(head, rows, note),) if rows else ()


def group_table(groups: Sequence[Group], scale: Scale, name: str) -> Table:
    """Groups of structures; ``scale`` and ``name`` are of the energy per atom or target."""
    forces = any(group.forces_mae is not None for group in groups)
    rows = tuple(
        (
            group.name,
            f"{group.structures:,}",
            number(group.value_mae, scale[0]),
            number(group.value_rmse, scale[0]),
            *((number(group.forces_mae, FORCE[0]), number(group.forces_rmse, FORCE[0])) if forces else ()),
        )
        for group in groups
    )
    head = ("", "structures", f"{name} MAE ({scale[1]})" if scale[1] else f"{name} MAE", "RMSE")
    return Table(
        (*head, *((f"force MAE ({FORCE[1]})", "RMSE") if forces else ())), rows[:_MOST_ROWS], _more(rows)
    )


def worst_table(worst: Sequence[Worst], scale: Scale, energy: bool) -> Table:
    """One row per structure; of a property with the reference, of forces with the largest error."""
    forces = any(one.forces_mae is not None for one in worst)
    rows = tuple(
        (
            Path(one.source).name or f"{one.index}",
            one.formula,
            f"{one.atoms}",
            number(one.value_error, scale[0]),
            *(() if energy else (number(one.value, scale[0]),)),
            *(
                (
                    number(one.forces_mae, FORCE[0]),
                    number(one.force_error, FORCE[0]),
                    "–" if one.atom is None else f"{one.atom}",
                    number(one.largest_force, FORCE[0]),
                )
                if forces
                else ()
            ),
        )
        for one in worst
    )
    head = (
        "structure",
        "formula",
        "atoms",
        f"energy error ({scale[1]})" if energy else f"error ({scale[1]})".replace(" ()", ""),
        *(() if energy else ("reference",)),
        *((f"force MAE ({FORCE[1]})", "largest error", "on atom", "largest force") if forces else ()),
    )
    return Table(head, rows)


def timing_tables(report: Report) -> tuple[Table, ...]:
    """How long training took, where that is recorded."""
    timing = report.timing
    if timing is None:
        return ()
    rows = [("training, validations included", duration(timing.seconds))]
    if report.cpu_seconds:
        rows.append(("CPU time of training", duration(report.cpu_seconds)))
    if report.peak_bytes:
        rows.append(("most memory of the process", gib(report.peak_bytes)))
    if timing.steps_per_second:
        rows.append(("steps per second", f"{timing.steps_per_second:.3g}"))
    if timing.seconds_per_epoch:
        rows.append(("time per epoch", duration(timing.seconds_per_epoch)))
    rows.append(("steps, epochs", f"{timing.steps:,}, {timing.epochs:,}"))
    return (
        Table(("", ""), tuple(rows), "Rates are medians over the times between validations.", words=True),
    )


def _more(rows: Sequence[object]) -> str:
    return f"And {len(rows) - _MOST_ROWS} more in report.json" if len(rows) > _MOST_ROWS else ""
