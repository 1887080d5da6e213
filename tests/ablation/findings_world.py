"""Findings of studies that never were: errors that fall with the structures, seeds that scatter, runs that fail."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from hermtk.ablation.arms import Arm
from hermtk.ablation.findings import (
    ArmErrors,
    ArmFacts,
    Difference,
    Findings,
    Metric,
    RunCost,
    Table,
    Verdict,
)
from hermtk.training.config import make_config

VARIANTS = ("homogeneous", "hvnet", "hpnet", "htnet")
ELEMENTS = ("H", "C", "N", "O")
# what each variant's errors are multiplied by, its parameters, its time
GAIN = {"homogeneous": 1.0, "hvnet": 0.97, "hpnet": 0.88, "htnet": 0.93}
COST = {"homogeneous": 1.0, "hvnet": 1.6, "hpnet": 2.9, "htnet": 6.2}
BASE = {
    "energy": (3.1, 1000.0, "meV/atom"),
    "forces": (41.0, 1000.0, "meV/Å"),
    "stress": (1.7, 1000.0, "meV/Å³"),
}


@dataclass(frozen=True)
class Example:
    """What the study asked, and what went wrong: ``failed`` holds arms (all seeds) or (arm, seed)."""

    subnets: Sequence[str] = ("painn", "unite")
    variants: Sequence[str] = VARIANTS
    seeds: Sequence[int] = (0, 1, 2, 3, 4)
    sizes: Sequence[int] = ()
    quantities: Sequence[str] = ("energy", "forces", "stress")
    elements: Sequence[str] = ELEMENTS
    relations: Sequence[str] = ("H-H", "C-H", "C-C", "H-O", "C-O", "O-O", "H-N", "C-N", "N-O")
    failed: frozenset = frozenset()
    match: str = "params"


def many_relations(n: int = 60) -> tuple[str, ...]:
    """Triads of many elements."""
    names = ("Cs", "Br", "Pb", "I", "Cl", "H", "C", "N")
    every = [f"{a}-{b}-{c}" for b in names for i, a in enumerate(names) for c in names[i:]]
    return tuple(every[:: max(1, len(every) // n)][:n])


def findings(example: Example | None = None) -> Findings:
    """As a study would have found."""
    e = example or Example()
    arms = [facts(e, s, v, n) for n in (e.sizes or [None]) for s in e.subnets for v in e.variants]
    seen = {n: seen_at(e, n) for n in (e.sizes or [None])}
    metrics = [Metric(q, kind, "", *BASE[q][1:]) for q in e.quantities for kind in ("mae", "rmse")]
    forces = "forces" if "forces" in e.quantities else e.quantities[0]
    metrics += [Metric(forces, "mae", f"element {x}", *BASE[forces][1:]) for x in e.elements]
    metrics += [Metric(forces, "mae", f"relation {x}", *BASE[forces][1:]) for x in e.relations]
    runs = [f"{a.arm.name} seed {k}" for a in arms for k in e.seeds]
    return Findings(
        name="ethanol <1>",
        match=e.match,
        control=e.variants[0],
        seeds=tuple(e.seeds),
        sizes=tuple(e.sizes),
        arms=tuple(arms),
        tables=tuple(table(e, metric, arms, seen) for metric in metrics),
        seen=seen,
        verdicts=(
            Verdict("hpnet lowers the force error of painn by 4.9 ± 0.9 meV/Å (95 % CI), params-matched, 5 seeds.", "better"),
            Verdict("hvnet: the study cannot tell (95 % CI -2.1 to 0.3 meV/Å); 11 seeds would.", "undecided"),
            Verdict("unite-htnet has no finished run.", "missing"),
        ),
        again="hermtk ablate s/study.yaml --out s-again",
        commands={r: f"hermtk train runs/{r.replace(' seed ', '-seed')}.yaml --out runs/x --resume never" for r in runs},
        environment={"hermtk": "0.3.0", "torch": "2.10.0", "machine": "two cores", "SHA-256 of a|b.xyz": "ab12" * 16},
        study="data:\n  train: ethanol.xyz\nvariants: [homogeneous, hvnet]\n",
        notes=("Parameters are equal within 3 %.", "The widest arm is `painn-htnet`."),
    )  # fmt: skip


def has_failed(e: Example, arm: str, seed: int) -> bool:
    return arm in e.failed or (arm, seed) in e.failed


def facts(e: Example, subnet: str, variant: str, size: int | None) -> ArmFacts:
    config = make_config({"model": {"variant": variant}, "training": {"steps": 400}})
    cost = COST.get(variant, 2.0) * (1.7 if subnet == "unite" else 1.0)
    arm = Arm(subnet, variant, size, config, round(9100 * cost ** (0.02 if e.match == "params" else 1)))
    failed = tuple(k for k in e.seeds if has_failed(e, arm.name, k))
    finished = tuple(k for k in e.seeds if k not in failed)
    said = "the loss of step 17 is nan: the learning rate 0.01 may be too high"
    time = 21.0 * cost**0.5
    run = RunCost(400, 8.0, 0.4 * time, 0.38 * time, time, round(4e8 * cost**0.3))
    return ArmFacts(arm, dict.fromkeys(finished, run), dict.fromkeys(failed, said))


def seen_at(e: Example, size: int | None) -> dict[str, float]:
    every = np.geomspace(9e4, 3, len(e.relations)) * (size or 500) / 500
    return dict(zip(e.relations, map(float, every.round()), strict=True))


def error(metric: Metric, arm: Arm, seed: int, seen: dict[str, float]) -> float:
    """Multiplied: the seed's luck, which all arms share, the arm's gain, the structures, the part, and noise."""
    text = f"{metric.quantity} {metric.part} {arm.name} {seed}"
    own, shared = (np.random.default_rng(zlib.crc32(s.encode())) for s in (text, f"{metric.part} {seed}"))
    gain = GAIN.get(arm.variant, 1.0)
    kind, _, name = metric.part.partition(" ")
    if kind == "relation" and gain < 1:
        gain *= 1 + 0.5 / max(1.0, np.log(1 + seen[name]))
    if kind:
        gain *= 0.7 + (zlib.crc32(name.encode()) % 100) / 130
    fall = ((arm.size or 500) / 500) ** -0.45 * (1.3 if metric.kind == "rmse" else 1)
    scatter = np.exp(0.05 * shared.normal() + 0.02 * own.normal())
    return float(BASE[metric.quantity][0] * gain * fall * scatter * (0.9 if arm.subnet == "unite" else 1))


def table(e: Example, metric: Metric, arms: Sequence[ArmFacts], seen: dict) -> Table:
    errors = {}
    for a in arms:
        values = tuple(error(metric, a.arm, k, seen[a.arm.size]) for k in a.finished)
        if values:
            sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
            errors[a.arm.name] = ArmErrors(a.arm.name, a.finished, values, float(np.mean(values)), sd)
    found = []
    for a in arms:
        control = Arm(a.arm.subnet, e.variants[0], a.arm.size, a.arm.config, 1).name
        if a.arm.variant != e.variants[0] and a.arm.name in errors and control in errors:
            kind, _, name = metric.part.partition(" ")
            often = seen[a.arm.size][name] if kind == "relation" else None
            if set(errors[a.arm.name].seeds) & set(errors[control].seeds):
                found.append(difference(errors[a.arm.name], errors[control], often))
    order = np.argsort([d.p if d.p is not None else 2 for d in found])
    corrected, least = {}, 0.0
    for rank, k in enumerate(order):
        if (p := found[k].p) is not None:
            least = max(least, min(1.0, p * (len(found) - rank)))
            corrected[found[k].arm] = least
    found = [Difference(**{**d.__dict__, "p_holm": corrected.get(d.arm)}) for d in found]
    return Table(metric, tuple(errors.values()), tuple(found))


def difference(one: ArmErrors, control: ArmErrors, seen: float | None) -> Difference:
    seeds = tuple(k for k in one.seeds if k in control.seeds)
    values = tuple(one.values[one.seeds.index(k)] - control.values[control.seeds.index(k)] for k in seeds)
    mean, n = float(np.mean(values)), len(values)
    relative = mean / control.mean
    if n < 2:
        return Difference(
            one.arm, control.arm, seeds, values, mean, None, None, None, None, None, None, relative, seen
        )
    sd = float(np.std(values, ddof=1))
    se = sd / n**0.5
    reach = float(stats.t.ppf(0.975, n - 1)) * se
    p = float(stats.ttest_1samp(values, 0).pvalue)
    interval = (mean - reach, mean + reach)
    return Difference(
        one.arm, control.arm, seeds, values, mean, sd, se, interval, p, p, mean / sd, relative, seen
    )
