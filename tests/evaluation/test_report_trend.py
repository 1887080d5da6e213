"""What metrics.csv amounts to: whether training still pays, and how fast it went."""

from pathlib import Path

import numpy as np
import pytest

from hermtk.data.targets import TARGETS
from hermtk.errors import DataError
from hermtk.evaluation.metrics import Metrics, read_metrics, timing_of, trend_of

STEPS = np.arange(10, 1010, 10)


def record(error: np.ndarray, step: np.ndarray = STEPS, name: str = "validation_forces_mae") -> Metrics:
    return Metrics({"step": step.astype(float), "validation_loss": error, name: error})


@pytest.mark.parametrize("power", [0.3, 0.5, 1.0])
def test_an_error_that_falls_as_a_power_of_the_steps_falls_by_it_at_every_doubling(power):
    trend = trend_of(record(STEPS.astype(float) ** -power))
    assert trend is not None
    assert trend.direction == "falling"
    assert trend.fell == pytest.approx(1 - 0.5**power)
    assert trend.best_step == trend.steps == 1000


def test_an_error_that_no_longer_falls_is_flat():
    trend = trend_of(record(1.0 + np.exp(-STEPS / 20.0)))
    assert trend is not None
    assert trend.direction == "flat"


def test_a_little_better_is_slowing():
    trend = trend_of(record(STEPS.astype(float) ** -0.08))
    assert trend is not None
    assert trend.direction == "slowing"


def test_an_error_that_rises_after_its_best_is_rising():
    trend = trend_of(record(1.0 + (STEPS / 300.0 - 1) ** 2))
    assert trend is not None
    assert (trend.direction, trend.best_step) == ("rising", 300)


def test_noise_around_the_best_does_not_make_it_rising():
    noise = np.random.default_rng(0).uniform(1.0, 1.05, len(STEPS))
    trend = trend_of(record(noise))
    assert trend is not None
    assert trend.direction == "flat"


@pytest.mark.parametrize("rows", [1, 4])
def test_a_few_validations_say_nothing(rows):
    assert trend_of(record(STEPS[:rows] ** -0.5, STEPS[:rows])) is None


def test_a_trend_needs_a_validation_in_the_first_half():
    late = STEPS[60:70]
    assert trend_of(record(late**-0.5, late)) is None


def test_the_trend_of_a_target_is_that_of_its_own_column():
    gap = TARGETS["gap"]
    trend = trend_of(record(STEPS**-0.5, name="validation_gap_mae"), gap)
    assert trend is not None
    assert trend.name == "validation_gap_mae"


def test_compiling_in_the_first_interval_is_not_in_the_rate():
    seconds = np.array([100.0, 101.0, 102.0, 103.0])
    columns = {"step": np.array([5.0, 10, 15, 20]), "epoch": np.array([1.0, 2, 3, 4]), "seconds": seconds}
    timing = timing_of(Metrics(columns))
    assert timing is not None
    assert (timing.seconds, timing.steps, timing.epochs) == (103.0, 20, 4)
    assert timing.steps_per_second == pytest.approx(5.0)
    assert timing.seconds_per_epoch == pytest.approx(1.0)


def test_one_validation_gives_no_rate():
    columns = {"step": np.array([5.0]), "epoch": np.array([1.0]), "seconds": np.array([2.0])}
    timing = timing_of(Metrics(columns))
    assert timing is not None
    assert timing.steps_per_second is None
    assert timing_of(Metrics({"step": np.array([5.0])})) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "cannot be read"),
        ("", "holds no rows"),
        ("step,validation_loss\n", "holds no rows"),
        ("step,validation_loss\n10,x\n", "no table of numbers"),
        ("a,b\n1,2\n", "no record of a training run"),
    ],
)
def test_a_file_that_is_no_record_is_refused(tmp_path: Path, text, said):
    metrics = tmp_path / "metrics.csv"
    if text is not None:
        metrics.write_text(text)
    with pytest.raises(DataError, match=said):
        read_metrics(metrics)


def test_the_row_of_the_kept_weights_is_found_by_its_step():
    metrics = record(np.array([3.0, 1.0, 2.0]), np.array([10, 20, 30]))
    assert metrics.best == 1
    assert metrics.row_of(30) == 2
    assert metrics.row_of(77) == 1
