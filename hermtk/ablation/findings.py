"""What a study found, as numbers: the errors of every arm, and their differences to the control."""

from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from hermtk.ablation.arms import Arm

# differences are called sure below it, corrected for all comparisons of the metric
SURE = 0.05


@dataclass(frozen=True)
class Metric:
    """What is measured: an error of the test set, or of a part of it.

    Attributes:
        quantity: energy (per atom), forces or stress, or the name of another target.
        kind: mae or rmse.
        part: empty for the whole test set; else ``element O`` or ``relation H-O``.
        factor, unit: from eV, eV/Angstrom and eV/Angstrom^3 to what is shown, such as 1000 and meV/Å.
    """

    quantity: str
    kind: str
    part: str
    factor: float
    unit: str


@dataclass(frozen=True)
class ArmErrors:
    """One metric of one arm, in the metric's shown unit.

    Attributes:
        arm: its name.
        seeds: of the runs that finished.
        values: one per seed.
        mean, sd: over seeds; sd is None of one seed.
    """

    arm: str
    seeds: tuple[int, ...]
    values: tuple[float, ...]
    mean: float
    sd: float | None


@dataclass(frozen=True)
class Difference:
    """An arm less its control, paired by seed, in the metric's shown unit: negative is better than the control.

    Attributes:
        arm, control: their names.
        seeds: that both have.
        values: one per seed.
        mean, sd: of these; sd is None of one seed.
        standard_error: of the mean, from a bootstrap over seeds and test structures; None of one seed.
        interval: 95 % confidence interval of the mean; None of one seed.
        p: two-sided, of no difference; None of one seed.
        p_holm: corrected for all comparisons of the metric (Holm).
        effect: mean over sd (Cohen's d of paired samples).
        relative: mean over the control's mean error.
        seen: how often training saw the relation that the metric is of, on average over seeds; None of other metrics.
    """

    arm: str
    control: str
    seeds: tuple[int, ...]
    values: tuple[float, ...]
    mean: float
    sd: float | None
    standard_error: float | None
    interval: tuple[float, float] | None
    p: float | None
    p_holm: float | None
    effect: float | None
    relative: float
    seen: float | None = None


def sure(difference: Difference) -> bool:
    """Whether it is told from no difference, all comparisons of the metric considered."""
    return difference.p_holm is not None and difference.p_holm < SURE


@dataclass(frozen=True)
class Table:
    """All arms in one metric."""

    metric: Metric
    errors: tuple[ArmErrors, ...]
    differences: tuple[Difference, ...]


@dataclass(frozen=True)
class RunCost:
    """What a finished run cost, as measured in it.

    Attributes:
        steps, epochs: done.
        seconds: of training, on the wall; what else the machine does counts.
        cpu_seconds: of training, of the processor.
        step_milliseconds: of a training step on the wall, a median; None where the record does not say.
        peak_bytes: the most memory that it held, on a device that of the device.
    """

    steps: int
    epochs: float
    seconds: float
    cpu_seconds: float | None = None
    step_milliseconds: float | None = None
    peak_bytes: int | None = None


@dataclass(frozen=True)
class ArmFacts:
    """What became of an arm's runs.

    Attributes:
        arm: the arm.
        costs: of the finished runs, by seed.
        problems: what the failed runs said, by seed.
    """

    arm: Arm
    costs: dict[int, RunCost]
    problems: dict[int, str]

    @property
    def finished(self) -> tuple[int, ...]:
        """Seeds."""
        return tuple(self.costs)

    @property
    def failed(self) -> tuple[int, ...]:
        """Seeds."""
        return tuple(self.problems)

    @property
    def steps(self) -> int:
        """Of a run: which seed it is decides nothing."""
        return next((cost.steps for cost in self.costs.values()), self.arm.config.training.steps or 0)

    @property
    def epochs(self) -> float:
        """Of a run."""
        return next((cost.epochs for cost in self.costs.values()), 0.0)

    @property
    def seconds(self) -> float | None:
        """Of training, on the wall: mean over seeds."""
        return self._mean("seconds")

    @property
    def cpu_seconds(self) -> float | None:
        """Of training, of the processor: mean over seeds."""
        return self._mean("cpu_seconds")

    @property
    def step_milliseconds(self) -> float | None:
        """Of a training step: mean over seeds."""
        return self._mean("step_milliseconds")

    @property
    def peak_bytes(self) -> int | None:
        """The most of any run; what was measured before the study where no run says."""
        return max(self._known("peak_bytes"), default=self.arm.peak)

    def _mean(self, name: str) -> float | None:
        known = self._known(name)
        return fmean(known) if known else None

    def _known(self, name: str) -> list[Any]:
        return [value for cost in self.costs.values() if (value := getattr(cost, name)) is not None]


@dataclass(frozen=True)
class Verdict:
    """A sentence that the numbers support."""

    text: str
    kind: str  # better, worse, undecided, alike, missing


@dataclass(frozen=True)
class Findings:
    """Everything a report of a study shows.

    Attributes:
        name: of the study.
        match: none, params or time.
        control: variant that the others are compared with.
        seeds: asked for.
        sizes: training structures, ascending; empty of a study with one size.
        arms: with their cost, in the order of the study.
        tables: whole test set first, then elements, then relations.
        seen: of each size (None of one size) and relation how often training saw it, mean over seeds.
        verdicts: the main result first.
        again: the command that makes the whole study again.
        commands: of every run, by its name: what to type to do the same by hand.
        environment: versions, machine, data files with SHA-256.
        study: the study file.
    """

    name: str
    match: str
    control: str
    seeds: tuple[int, ...]
    sizes: tuple[int, ...]
    arms: tuple[ArmFacts, ...]
    tables: tuple[Table, ...]
    seen: dict[int | None, dict[str, float]]
    verdicts: tuple[Verdict, ...]
    again: str
    commands: dict[str, str]
    environment: dict[str, str]
    study: str
    notes: tuple[str, ...] = field(default_factory=tuple)
