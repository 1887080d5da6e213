"""The numbers of a study for other programs: results.json and three tables in CSV."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from typing import Any

from hermtk.ablation.findings import ArmFacts, Findings, Metric, RunCost
from hermtk.evaluation.report.numbers import plain

# of results.json: rises when a name in it changes its meaning
FORMAT = 1
_METRIC = ("quantity", "kind", "part", "unit")
_ARM = ("arm", "subnet", "variant", "size")


def values_of(findings: Findings) -> dict[str, Any]:
    """All of the findings, ready for JSON: what is not a number is None. ``docs/ablation.md`` describes it."""
    return plain(
        {
            "format": FORMAT,
            "name": findings.name,
            "match": findings.match,
            "control": findings.control,
            "seeds": findings.seeds,
            "sizes": findings.sizes,
            "verdicts": [asdict(verdict) for verdict in findings.verdicts],
            "notes": findings.notes,
            "arms": [_arm(facts) for facts in findings.arms],
            "tables": [asdict(table) for table in findings.tables],
            "seen": [{"size": size, "relations": seen} for size, seen in findings.seen.items()],
            "again": findings.again,
            "commands": findings.commands,
            "environment": findings.environment,
            "study": findings.study,
        }
    )


def _arm(facts: ArmFacts) -> dict[str, Any]:
    arm = facts.arm
    return {
        "name": arm.name,
        "subnet": arm.subnet,
        "variant": arm.variant,
        "size": arm.size,
        "parameters": arm.parameters,
        "finished": facts.finished,
        "failed": facts.failed,
        "problems": facts.problems,
        "steps": facts.steps,
        "epochs": facts.epochs,
        "seconds": facts.seconds,
        "cpu_seconds": facts.cpu_seconds,
        "step_milliseconds": facts.step_milliseconds,
        "peak_bytes": facts.peak_bytes,
        "before": {"step_seconds": arm.step_seconds, "peak_bytes": arm.peak},
        "config": arm.config.model_dump(mode="json"),
    }


def errors_csv(findings: Findings) -> str:
    """A row per metric, arm and seed; the value in the metric's shown unit."""
    arms = {facts.arm.name: _columns(facts) for facts in findings.arms}
    rows = (
        (*arms[one.arm], seed, *_metric(table.metric), value)
        for table in findings.tables
        for one in table.errors
        for seed, value in zip(one.seeds, one.values, strict=True)
    )
    return _csv((*_ARM, "seed", *_METRIC, "value"), rows)


def differences_csv(findings: Findings) -> str:
    """A row per metric and arm: its difference to the control."""
    arms = {facts.arm.name: _columns(facts) for facts in findings.arms}
    names = ("mean", "sd", "standard_error", "ci_low", "ci_high", "p", "p_holm", "effect", "relative")
    rows = (
        (
            *arms[one.arm],
            one.control,
            *_metric(table.metric),
            one.mean,
            one.sd,
            one.standard_error,
            *(one.interval or (None, None)),
            one.p,
            one.p_holm,
            one.effect,
            one.relative,
            " ".join(map(str, one.seeds)),
            one.seen,
        )
        for table in findings.tables
        for one in table.differences
    )
    return _csv((*_ARM, "control", *_METRIC, *names, "seeds", "seen"), rows)


def runs_csv(findings: Findings) -> str:
    """A row per run, with what it cost."""
    names = [one.name for one in fields(RunCost)]
    rows = (
        (
            *_columns(facts),
            seed,
            state_of(facts, seed),
            facts.arm.parameters,
            *(getattr(facts.costs.get(seed), name, None) for name in names),
            facts.problems.get(seed),
            findings.commands.get(f"{facts.arm.name} seed {seed}"),
        )
        for facts in findings.arms
        for seed in findings.seeds
    )
    return _csv((*_ARM, "seed", "state", "parameters", *names, "problem", "command"), rows)


def state_of(facts: ArmFacts, seed: int) -> str:
    """``finished``, ``failed``, or ``missing`` of a run that was not made."""
    return "finished" if seed in facts.finished else "failed" if seed in facts.failed else "missing"


def _columns(facts: ArmFacts) -> tuple[object, ...]:
    return facts.arm.name, facts.arm.subnet, facts.arm.variant, facts.arm.size


def _metric(metric: Metric) -> tuple[str, ...]:
    return metric.quantity, metric.kind, metric.part, metric.unit


def _csv(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Empty where there is no number."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(plain(list(row)) for row in rows)
    return text.getvalue()
