"""Pictures: that they are drawn whole, from any data, and leave nothing behind when they cannot be."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from hermtk.errors import DataError, RunError
from hermtk.evaluation import plots
from hermtk.evaluation.comparison import Compared, Evaluation
from hermtk.evaluation.curves import learning_curve
from hermtk.evaluation.metrics import read_metrics
from hermtk.evaluation.plots import error_histogram, log_ticks, parity

HEAD = (
    "step,seconds,train_loss,train_forces_mae,validation_loss,validation_forces_mae,validation_stress_mae\n"
)


def made(structures: int = 4, size: int = 3, spread: float = 1.0, elements: int = 2) -> Evaluation:
    r = np.random.default_rng(0)
    total = structures * size

    def pair(*shape: int) -> Compared:
        true = spread * r.normal(size=shape)
        return Compared(true, true + 0.01 * spread * r.normal(size=shape))

    return Evaluation(
        numbers=1 + np.arange(total) % elements,
        atoms=np.full(structures, size),
        sources=("",) * structures,
        energy=pair(structures),
        forces=pair(total, 3),
        stress=pair(structures, 3, 3),
    )


def unlabelled(e: Evaluation, *names: str) -> Evaluation:
    values = {name: getattr(e, name) for name in ("energy", "forces", "stress")}
    for name in names:
        values[name] = Compared(np.full_like(values[name].true, np.nan), values[name].predicted)
    return Evaluation(e.numbers, e.atoms, e.sources, **values)


def size_of(picture: Path) -> tuple[int, int]:
    head = picture.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    return int.from_bytes(head[16:20]), int.from_bytes(head[20:24])


def test_a_picture_has_one_column_per_labelled_quantity(tmp_path):
    widths = []
    for missing in ((), ("stress",), ("stress", "energy")):
        parity(unlabelled(made(), *missing), tmp_path / "p.png")
        widths.append(size_of(tmp_path / "p.png")[0])
    assert widths[0] / 3 == pytest.approx(widths[1] / 2) == pytest.approx(widths[2])


@pytest.mark.parametrize("spread", [0.0, 1e-9, 1e6])
def test_any_size_of_values_and_errors_can_be_drawn(tmp_path, spread):
    parity(made(spread=spread), tmp_path / "p.png")
    size_of(tmp_path / "p.png")


@pytest.mark.parametrize("elements", [1, 7, 20])
def test_any_number_of_elements_can_be_drawn(tmp_path, elements):
    parity(made(structures=8, elements=elements), tmp_path / "p.png")
    size_of(tmp_path / "p.png")


def test_a_single_atom_can_be_drawn(tmp_path):
    parity(made(structures=1, size=1), tmp_path / "p.png")
    size_of(tmp_path / "p.png")


def test_of_very_many_points_the_worst_are_always_drawn(monkeypatch):
    monkeypatch.setattr(plots, "MOST_POINTS", 100)
    true = np.zeros(5000)
    for worst in (0, 1234, 4999):
        predicted = np.random.default_rng(0).normal(size=5000, scale=0.01)
        predicted[worst] = -9.0
        shown = plots._shown(plots.Panel("", "eV", true, predicted))
        assert worst in shown
        assert 100 <= len(shown) <= 105
        assert len(set(shown.tolist())) == len(shown)


def test_without_labels_there_is_no_picture(tmp_path):
    with pytest.raises(DataError, match="nothing to draw"):
        parity(unlabelled(made(), "energy", "forces", "stress"), tmp_path / "p.png")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(RunError, match=r"p.png could not be written"):
        parity(made(), tmp_path / "nowhere" / "p.png")


def test_the_window_system_of_matplotlib_is_never_loaded():
    code = "import sys, hermtk.evaluation.plots; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_learning_curve_has_one_panel_per_recorded_quantity(tmp_path):
    metrics = tmp_path / "metrics.csv"
    metrics.write_text(HEAD + "10,1,2.0,0.5,2.1,0.6,\n20,2,1.0,0.2,,,\n30,3,0.5,0.1,0.9,0.2,\n")
    learning_curve(read_metrics(metrics), tmp_path / "two.png")
    metrics.write_text(HEAD + "10,1,2.0,0.5,2.1,0.6,0.01\n20,2,1.0,0.2,1.1,0.3,0.001\n")
    learning_curve(read_metrics(metrics), tmp_path / "three.png")
    two, three = (size_of(tmp_path / name) for name in ("two.png", "three.png"))
    # two panels beside each other
    assert two[0] == three[0]
    assert two[1] < three[1]


def test_a_learning_curve_of_one_row_or_of_many_decades_can_be_drawn(tmp_path):
    metrics = tmp_path / "metrics.csv"
    for rows in ("10,1,2.0,0.5,2.1,0.6,\n", "10,1,2e6,5,1,1,\n20,2,1e-6,5,1e-9,1,\n"):
        metrics.write_text(HEAD + rows)
        learning_curve(read_metrics(metrics), tmp_path / "l.png")
        size_of(tmp_path / "l.png")


@pytest.mark.parametrize("spread", [0.0, 1e-9, 1e6])
def test_errors_of_any_size_have_a_histogram(tmp_path, spread):
    error_histogram(made(spread=spread), tmp_path / "e.png")
    size_of(tmp_path / "e.png")


@settings(deadline=None)
@given(st.floats(-9, 9), st.floats(0.02, 12))
def test_a_logarithmic_axis_has_some_numbers_and_not_too_many(start, decades):
    axes = Figure().subplots()
    axes.set_xscale("log")
    axes.set_xlim(10**start, 10 ** (start + decades))
    log_ticks(axes.xaxis)
    shown = [t for t in axes.xaxis.get_majorticklocs() if 10**start <= t <= 10 ** (start + decades)]
    assert 2 <= len(shown) <= 10
