"""The tables of a study's page: numbers as text, with units in their heads."""

import math
from collections.abc import Mapping, Sequence

from hermtk.ablation.findings import SURE, ArmFacts, Difference, Findings, sure
from hermtk.ablation.findings import Table as Measured
from hermtk.ablation.report.values import state_of
from hermtk.ablation.report.view import differences_of, errors_of, title_of, whole
from hermtk.evaluation.report.layout import Table
from hermtk.evaluation.report.words import duration, number
from hermtk.memory import gib

# rows of a table of parts; all of them are in differences.csv
_MOST_ROWS = 20
# signs of what a failed run said
_MOST_SIGNS = 300
_DIFFERENCE = "difference"


def arms_table(findings: Findings) -> Table:
    """What is compared, and what it cost."""
    head = (
        "arm",
        "parameters",
        "steps",
        "epochs",
        "step (ms)",
        "training",
        "CPU time",
        "memory",
        "finished runs",
    )
    rows = tuple(_cost(facts, len(findings.seeds)) for facts in findings.arms)
    note = (
        "Times: means over the finished runs of an arm; a step and training on the wall, where other work slows them down; CPU "
        "time as the training process used it. Memory: the most that one of its runs held."
    )
    return Table(head, rows, note)


def _cost(facts: ArmFacts, seeds: int) -> tuple[str, ...]:
    return (
        facts.arm.name,
        f"{facts.arm.parameters:,}",
        f"{facts.steps:,}",
        f"{facts.epochs:.3g}",
        number(facts.step_milliseconds),
        "–" if facts.seconds is None else duration(facts.seconds),
        "–" if facts.cpu_seconds is None else duration(facts.cpu_seconds),
        "–" if facts.peak_bytes is None else gib(facts.peak_bytes),
        f"{len(facts.finished)} of {seeds}",
    )


def failed_table(findings: Findings) -> Table:
    """Runs without results, and what they said."""
    found: dict[tuple[str, str], list[int]] = {}
    for facts in findings.arms:
        for seed in findings.seeds:
            if (state := state_of(facts, seed)) != "finished":
                said = facts.problems.get(seed, "failed" if state == "failed" else "not run")
                found.setdefault((facts.arm.name, _cut(said)), []).append(seed)
    rows = ((arm, ", ".join(map(str, seeds)), said) for (arm, said), seeds in found.items())
    return Table(("arm", "seeds", "problem"), tuple(rows), words=True)


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _MOST_SIGNS else f"{line[: _MOST_SIGNS - 1]}…"


def errors_tables(findings: Findings) -> tuple[Table, ...]:
    """Mean ± sd of every arm over the whole test set: a table of mean absolute errors, one of root mean square errors."""
    return tuple(
        _errors({title_of(table.metric): table for table in tables}, findings.arms)
        for kind in dict.fromkeys(table.metric.kind for table in whole(findings))
        if (tables := [t for t in whole(findings) if t.metric.kind == kind and errors_of(t)])
    )


def part_errors_table(findings: Findings, tables: Mapping[str, Measured]) -> Table:
    """Mean ± sd of every arm in every part: elements or relations, where they are few."""
    unit = next(iter(tables.values())).metric
    return _errors(tables, findings.arms, f"Each cell: {title_of(unit)}, mean ± sd over seeds.")


def _errors(
    columns: Mapping[str, Measured], arms: Sequence[ArmFacts], note: str = "Mean ± sd over seeds."
) -> Table:
    rows = []
    for facts in arms:
        own = [errors_of(table).get(facts.arm.name) for table in columns.values()]
        if any(own):
            rows.append((facts.arm.name, *("–" if e is None else plus_minus(e.mean, e.sd) for e in own)))
    return Table(("arm", *columns), tuple(rows), note)


def differences_tables(findings: Findings) -> tuple[Table, ...]:
    """A table per metric of the whole test set: every arm less its control."""
    return tuple(
        Table(
            (title_of(table.metric), *_COLUMNS),
            tuple((_against(one), *_figures(one)) for one in differences_of(table).values()),
            "Arm less control, paired by seed: negative is better than the control." if k == 0 else "",
        )
        for k, table in enumerate(table for table in whole(findings) if differences_of(table))
    )


_COLUMNS = (_DIFFERENCE, "95 % CI", "relative", "effect", "p", "p (Holm)", "seeds")


def sure_parts_table(tables: Mapping[str, Measured], kind: str) -> Table:
    """The differences of parts that are told from none, the largest relative ones first."""
    every = [(name, one) for name, table in tables.items() for one in differences_of(table).values()]
    found = sorted(((name, one) for name, one in every if sure(one)), key=lambda row: -abs(row[1].relative))
    rows = tuple((name, _against(one), *_figures(one)) for name, one in found[:_MOST_ROWS])
    if not every:
        return Table((), ())
    metric = next(iter(tables.values())).metric
    note = (
        f"{title_of(metric)}: of {len(every)} differences {len(found)} with p (Holm) < {SURE}; "
        f"{'the largest relative ones. A' if len(found) > _MOST_ROWS else 'a'}ll are in differences.csv. Holm's correction "
        f"is within each {kind}: among many of them a few are found by chance."
    )
    return Table((kind, "arm", *_COLUMNS), rows, note)


def _against(one: Difference) -> str:
    return f"{one.arm} − {one.control}"


def _figures(one: Difference) -> tuple[str, ...]:
    low, high = one.interval or (math.nan, math.nan)
    places = places_of((high - low) / 2)
    interval = "–" if one.interval is None else f"{low:+.{places}f} to {high:+.{places}f}"
    return (
        f"{one.mean:+.3g}" if one.interval is None else f"{one.mean:+.{places}f}",
        interval,
        f"{100 * one.relative:+.1f} %",
        "–" if one.effect is None else f"{one.effect:+.2f}",
        chance(one.p),
        chance(one.p_holm),
        f"{len(one.seeds)}",
    )


def places_of(spread: float) -> int:
    """Decimal places that show two digits of a spread; two if it is none."""
    if not (spread > 0 and math.isfinite(spread)):
        return 2
    return min(max(1 - math.floor(math.log10(spread)), 0), 9)


def plus_minus(mean: float, sd: float | None) -> str:
    """``41.20 ± 0.83``: as many places as show two digits of the spread."""
    if sd is None or not math.isfinite(sd) or sd <= 0:
        return number(mean)
    places = places_of(sd)
    return f"{mean:,.{places}f} ± {sd:,.{places}f}"


def chance(p: float | None) -> str:
    """A probability: two digits that count, not below a thousandth."""
    if p is None or math.isnan(p):
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.2f}" if p >= 0.0995 else f"{p:.2g}"
