"""What the tables and pictures of a study's report choose from its findings, and what they call it."""

import math
from collections.abc import Sequence

from hermtk.ablation.arms import Arm
from hermtk.ablation.findings import ArmErrors, ArmFacts, Difference, Findings, Metric, Table

# signs of a name in a picture
_LONGEST = 19
_NAMES = {"energy": "energy", "forces": "force"}


def title_of(metric: Metric) -> str:
    """``force MAE (meV/Å)``, without the part."""
    name = f"{_NAMES.get(metric.quantity, metric.quantity)} {metric.kind.upper()}"
    return f"{name} ({metric.unit})" if metric.unit else name


def whole(findings: Findings) -> list[Table]:
    """The metrics of the whole test set."""
    return [table for table in findings.tables if not table.metric.part]


def main(findings: Findings) -> list[Table]:
    """Of each quantity the metric that is drawn: the mean absolute error where there is one."""
    chosen: dict[str, Table] = {}
    for table in whole(findings):
        if errors_of(table) and (table.metric.quantity not in chosen or table.metric.kind == "mae"):
            chosen[table.metric.quantity] = table
    return list(chosen.values())


def parts(findings: Findings, kind: str) -> dict[str, Table]:
    """By name of the ``element`` or ``relation``: the mean absolute errors of the forces, else of what there is."""
    found = [table for table in findings.tables if table.metric.part.startswith(f"{kind} ")]
    order = sorted(
        {(t.metric.quantity != "forces", t.metric.kind != "mae", t.metric.quantity) for t in found}
    )
    return {
        table.metric.part.partition(" ")[2]: table
        for table in found
        if (table.metric.quantity != "forces", table.metric.kind != "mae", table.metric.quantity) == order[0]
    }


def errors_of(table: Table) -> dict[str, ArmErrors]:
    """By name of the arm; what is not a number counts as not measured."""
    return {one.arm: one for one in table.errors if math.isfinite(one.mean)}


def differences_of(table: Table) -> dict[str, Difference]:
    """By name of the arm; what is not a number counts as not measured."""
    return {one.arm: one for one in table.differences if math.isfinite(one.mean)}


def arms_at(findings: Findings, size: int | None) -> list[Arm]:
    """The arms of one size, subnet by subnet, in the order of the study."""
    own = [facts.arm for facts in findings.arms if facts.arm.size == size]
    return [arm for subnet in subnets(findings) for arm in own if arm.subnet == subnet]


def largest(findings: Findings) -> int | None:
    """The size that pictures of one size show: the largest that has a result."""
    sizes = {facts.arm.size or 0 for facts in findings.arms if facts.finished}
    return (max(sizes, default=0) or None) if findings.sizes else None


def subnets(findings: Findings) -> list[str]:
    """In the order of the study."""
    return list(dict.fromkeys(facts.arm.subnet for facts in findings.arms))


def variants(findings: Findings) -> list[str]:
    """The control first, the others in the order of the study."""
    every = list(dict.fromkeys(facts.arm.variant for facts in findings.arms))
    return sorted(every, key=lambda variant: variant != findings.control)


def shown_name(findings: Findings, arm: Arm) -> str:
    """In pictures of one size: without the size, and without the subnet where there is only one."""
    variant = short(arm.variant)
    return variant if len(subnets(findings)) == 1 else f"{short(arm.subnet)} {variant}"


def short(name: str) -> str:
    """Of a long name beginning and end."""
    half = (_LONGEST - 1) // 2
    return name if len(name) <= _LONGEST else f"{name[:half]}…{name[-half:]}"


def finished(arms: Sequence[ArmFacts]) -> int:
    """Runs that have results."""
    return sum(len(facts.finished) for facts in arms)


def at_size(findings: Findings) -> str:
    """What captions say of pictures that show one of several sizes."""
    size = largest(findings)
    return f" With {size:,} training structures." if size and len(findings.sizes) > 1 else ""
