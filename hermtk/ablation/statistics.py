"""Paired comparisons over seeds and test structures.

Runs differ by chance: in what their seed draws (split, order, weights) and in which structures happen to be tested. Both are
drawn again, with replacement, in a bootstrap (seeds and structures independently: Owen, Ann. Appl. Stat. 1, 386 (2007); it errs
to the side of too wide intervals). With three to ten seeds the percentiles of a bootstrap are far too narrow. So it gives the
standard error alone, enlarged by sqrt(n / (n - 1)), and the interval is Student's with n - 1 degrees of freedom (Hesterberg,
Am. Stat. 69, 371 (2015)).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy import stats

Array = np.ndarray

LEVEL = 0.95
_DRAWS = 2000


@dataclass(frozen=True)
class Sample:
    """One metric of the runs of one arm.

    Attributes:
        kind: mae or rmse.
        sums: by seed [3, S]: absolute errors, square errors, weights of every test structure.
        sources: by seed: where the structures come from.
    """

    kind: str
    sums: dict[int, Float[Array, "3 _"]]
    sources: dict[int, tuple[str, ...]]

    def value(self, seed: int) -> float:
        """The metric of a run."""
        return float(self._means(self.sums[seed], np.ones((1, self.sums[seed].shape[1])))[0])

    def redrawn(self, seed: int, counts: Float[Array, "draws structures"]) -> Float[Array, " draws"]:
        """The metric where each structure counts as often as it was drawn."""
        return self._means(self.sums[seed], counts)

    def _means(self, sums: Float[Array, "3 structures"], counts: Array) -> Float[Array, " draws"]:
        total = counts @ sums[0 if self.kind == "mae" else 1]
        weight = counts @ sums[2]
        mean = np.divide(total, weight, out=np.full(len(total), np.nan), where=weight > 0)
        return mean if self.kind == "mae" else np.sqrt(mean)


@dataclass(frozen=True)
class Paired:
    """An arm less its control, over the seeds that both have; see ``Difference``."""

    seeds: tuple[int, ...]
    values: tuple[float, ...]
    mean: float
    sd: float | None
    standard_error: float | None
    interval: tuple[float, float] | None
    p: float | None

    @property
    def effect(self) -> float | None:
        """Mean over standard deviation of the paired differences (Cohen's d_z); None where that is zero."""
        return self.mean / self.sd if self.sd else None


class Draws:
    """Seeds and structures drawn again, the same for all metrics and arms, so that every comparison is paired."""

    def __init__(self, seed: int = 0, draws: int = _DRAWS) -> None:
        self.seed, self.draws = seed, draws
        self._counts: dict[tuple[str, ...], Array] = {}

    def structures(self, sources: tuple[str, ...]) -> Float[Array, "draws structures"]:
        """How often each structure of a test set is drawn."""
        if sources not in self._counts:
            random, n = np.random.default_rng((self.seed, len(self._counts), 1)), len(sources)
            self._counts[sources] = random.multinomial(n, np.full(n, 1 / n), size=self.draws).astype(
                np.float64
            )
        return self._counts[sources]

    def seeds(self, n: int) -> Int[Array, "draws seeds"]:
        """Which of ``n`` seeds are drawn."""
        return np.random.default_rng((self.seed, n, 2)).integers(n, size=(self.draws, n))


def compare(arm: Sample, control: Sample, draws: Draws) -> Paired:
    """The paired difference of two arms.

    Args:
        arm: of one metric.
        control: of the same.
        draws: of the study.

    Raises:
        ValueError: they have no seed in common.
    """
    seeds = tuple(sorted(set(arm.sums) & set(control.sums)))
    if not seeds:
        raise ValueError("the arms have no seed in common")
    values = np.array([arm.value(seed) - control.value(seed) for seed in seeds])
    n, mean = len(seeds), float(values.mean())
    if n == 1:
        return Paired(seeds, (mean,), mean, None, None, None, None)
    drawn = np.stack([_redrawn(arm, control, seed, draws) for seed in seeds], axis=1)
    means = np.take_along_axis(drawn, draws.seeds(n), axis=1).mean(axis=1)
    # a part of the test set may be missing in some draws
    error = float(np.nanstd(means)) * np.sqrt(n / (n - 1))
    half = float(stats.t.ppf((1 + LEVEL) / 2, n - 1)) * error
    p = float(2 * stats.t.sf(abs(mean) / error, n - 1)) if error else float(mean == 0)
    return Paired(
        seeds, tuple(values.tolist()), mean, float(values.std(ddof=1)), error, (mean - half, mean + half), p
    )


def _redrawn(arm: Sample, control: Sample, seed: int, draws: Draws) -> Float[Array, " draws"]:
    counts = draws.structures(arm.sources[seed])
    return arm.redrawn(seed, counts) - control.redrawn(seed, counts)


def holm(p: Sequence[float | None]) -> list[float | None]:
    """Probabilities corrected for their number (Holm, Scand. J. Statist. 6, 65 (1979)); None stays None and does not count."""
    known = sorted((value, place) for place, value in enumerate(p) if value is not None)
    found: list[float | None] = [None] * len(p)
    least = 0.0
    for rank, (value, place) in enumerate(known):
        least = max(least, min(1.0, (len(known) - rank) * value))
        found[place] = least
    return found
