"""From the runs of a study to its findings."""

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean, stdev

from hermtk.ablation.arms import Arm, control_of
from hermtk.ablation.findings import ArmErrors, ArmFacts, Difference, Findings, Metric, RunCost, Table
from hermtk.ablation.jobs import Job
from hermtk.ablation.prepare import STUDY, Prepared
from hermtk.ablation.record import Recorder, RunErrors, metrics_of
from hermtk.ablation.statistics import Draws, Paired, Sample, compare, holm
from hermtk.ablation.study import dump_study
from hermtk.ablation.verdict import verdicts
from hermtk.evaluation.metrics import read_metrics, timing_of
from hermtk.training.config import read_config

_RELATION = "relation "


def findings_of(prepared: Prepared, problems: Mapping[str, str]) -> Findings:
    """What the finished runs of a study say.

    Args:
        prepared: the study.
        problems: what failed runs said, by the job's name.

    Raises:
        DataError: a finished run's files are damaged.
    """
    recorder, study = Recorder(), prepared.study
    jobs = [job for job in prepared.jobs if job.finished]
    errors = {job.name: recorder.errors(job) for job in jobs}
    seen = {job.name: recorder.seen(job) for job in jobs}
    tables = _tables(prepared, jobs, errors, seen)
    arms = tuple(_facts(arm, prepared, problems) for arm in prepared.arms)
    found = Findings(
        name=prepared.folder.name,
        match=study.match,
        control=study.control,
        seeds=tuple(study.seeds),
        sizes=tuple(sorted(study.sizes or [])),
        arms=arms,
        tables=tables,
        seen=_mean_seen(jobs, seen),
        verdicts=(),
        again=f"hermtk ablate {shlex.quote(str(prepared.folder / STUDY))} --out {shlex.quote(f'{prepared.folder}-again')}",
        commands={job.name: f"hermtk {shlex.join(job.arguments)}" for job in prepared.jobs},
        environment=_environment(jobs, prepared.digests),
        study=dump_study(study),
    )
    return replace(found, verdicts=tuple(verdicts(found)))


def _tables(
    prepared: Prepared,
    jobs: Sequence[Job],
    errors: Mapping[str, RunErrors],
    seen: Mapping[str, Mapping[str, int]],
) -> tuple[Table, ...]:
    draws = Draws()
    keys = list(dict.fromkeys(key for found in errors.values() for key in found.sums))
    tables = []
    for metric in metrics_of(keys):
        samples = _samples(metric, jobs, errors)
        shown = tuple(
            _arm_errors(metric, arm, samples[arm.name]) for arm in prepared.arms if arm.name in samples
        )
        tables.append(Table(metric, shown, _differences(metric, prepared, jobs, samples, seen, draws)))
    return tuple(tables)


def _samples(metric: Metric, jobs: Sequence[Job], errors: Mapping[str, RunErrors]) -> dict[str, Sample]:
    samples: dict[str, Sample] = {}
    key = (metric.quantity, metric.part)
    for job in jobs:
        found = errors[job.name]
        if key in found.sums and found.sums[key][2].sum() > 0:
            one = samples.setdefault(job.arm.name, Sample(metric.kind, {}, {}))
            one.sums[job.seed], one.sources[job.seed] = found.sums[key], found.sources
    return samples


def _arm_errors(metric: Metric, arm: Arm, sample: Sample) -> ArmErrors:
    values = [metric.factor * sample.value(seed) for seed in sample.sums]
    sd = stdev(values) if len(values) > 1 else None
    return ArmErrors(arm.name, tuple(sample.sums), tuple(values), fmean(values), sd)


def _differences(
    metric: Metric,
    prepared: Prepared,
    jobs: Sequence[Job],
    samples: Mapping[str, Sample],
    seen: Mapping[str, Mapping[str, int]],
    draws: Draws,
) -> tuple[Difference, ...]:
    found = []
    for arm in prepared.arms:
        name = control_of(arm, prepared.study)
        if arm.name == name or arm.name not in samples or name not in samples:
            continue
        if not set(samples[arm.name].sums) & set(samples[name].sums):
            continue
        paired = compare(samples[arm.name], samples[name], draws)
        level = fmean(samples[name].value(seed) for seed in paired.seeds)
        counts = [
            seen[job.name].get(metric.part.removeprefix(_RELATION))
            for job in jobs
            if job.arm.name == arm.name and metric.part.startswith(_RELATION)
        ]
        known = [count for count in counts if count is not None]
        found.append(_difference(metric, arm.name, name, paired, level, fmean(known) if known else None))
    corrected = holm([one.p for one in found])
    return tuple(replace(one, p_holm=p) for one, p in zip(found, corrected, strict=True))


def _difference(
    metric: Metric, arm: str, control: str, paired: Paired, level: float, seen: float | None
) -> Difference:
    k = metric.factor
    return Difference(
        arm,
        control,
        paired.seeds,
        tuple(k * value for value in paired.values),
        k * paired.mean,
        None if paired.sd is None else k * paired.sd,
        None if paired.standard_error is None else k * paired.standard_error,
        None if paired.interval is None else (k * paired.interval[0], k * paired.interval[1]),
        paired.p,
        None,
        paired.effect,
        paired.mean / level if level else 0.0,
        seen,
    )


def _facts(arm: Arm, prepared: Prepared, problems: Mapping[str, str]) -> ArmFacts:
    jobs = [job for job in prepared.jobs if job.arm.name == arm.name]
    return ArmFacts(
        arm,
        {job.seed: _cost(job) for job in jobs if job.finished},
        {job.seed: problems[job.name] for job in jobs if job.name in problems and not job.finished},
    )


def _cost(job: Job) -> RunCost:
    results, time = job.results, timing_of(read_metrics(job.folder / "metrics.csv"))
    return RunCost(
        results["steps"],
        _epochs(job, results["steps"]) or (float(time.epochs) if time else 0.0),
        results["seconds"],
        results.get("cpu_seconds"),
        1e3 / (time.steps_per_second or time.steps / time.seconds) if time else None,
        results.get("device_peak_bytes") or results.get("peak_bytes"),
    )


def _epochs(job: Job, steps: int) -> float | None:
    """How often a run saw each training structure; None where batches are not of a fixed number of structures."""
    size = read_config(job.folder / "config.yaml")["training"]["batch_size"]
    structures = job.facts["data"]["structures"]["train"]
    # the last batch of an epoch may be smaller
    return None if size is None else steps / math.ceil(structures / size)


def _mean_seen(
    jobs: Sequence[Job], seen: Mapping[str, Mapping[str, int]]
) -> dict[int | None, dict[str, float]]:
    """Over the seeds of each size, whose arms have all seen the same."""
    means: dict[int | None, dict[str, float]] = {}
    for size in dict.fromkeys(job.arm.size for job in jobs):
        counts = list({job.seed: seen[job.name] for job in jobs if job.arm.size == size}.values())
        names = dict.fromkeys(name for one in counts for name in one)
        means[size] = {name: fmean(one.get(name, 0) for one in counts) for name in names}
    return means


def _environment(jobs: Sequence[Job], digests: Mapping[str, str]) -> dict[str, str]:
    found = {f"data {file}": f"sha256 {digest}" for file, digest in digests.items()}
    if jobs:
        facts = jobs[0].facts
        found |= {name: str(value) for name, value in facts["versions"].items()}
        machine = facts["machine"]
        found["machine"] = f"{machine['system']} {machine['processor']}, {machine['cores']} cores"
        found["device"] = f"{jobs[0].config.device}, {jobs[0].config.threads or 1} threads for a run"
    return found
