"""What is planned is what a run then does; what is measured is of the right size; what speaks against a run is said."""

import json
import math
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermtk.audit.coverage import SEEN_ENOUGH, Coverage, relation_table
from hermtk.data.dataset import read_structures
from hermtk.data.statistics import elements_of
from hermtk.errors import HermtkError
from hermtk.models.build import build_model
from hermtk.planning.plan import Plan, at_size, measure, parameters_of
from hermtk.planning.trial import Trial
from hermtk.planning.trials import Trials
from hermtk.training.config import RunConfig, TrainingConfig, make_config
from hermtk.training.loop import Listener
from hermtk.training.optimise import make_optimizers
from hermtk.training.run import new_run
from hermtk.training.soap import LONGEST

MODEL = {"channels": 8, "layers": 2, "n_basis": 7, "cutoff": 3.0}


def config_of(file: Path, variant: str = "htnet", **training: Any) -> RunConfig:
    values = {"batch_size": 4, "steps": 9, **training}
    return make_config(
        {
            "data": {"train": str(file), "n_train": 24, "n_validation": 8, "n_test": 4},
            "model": {**MODEL, "variant": variant},
            "training": values,
            "threads": 1,
        }
    )


class Silent(Listener):
    def stepped(self, progress, total, loss): ...
    def validated(self, row): ...
    def note(self, text): ...


@pytest.fixture(scope="module")
def trials() -> Iterator[Trials]:
    with Trials() as one:
        yield one


@pytest.fixture(scope="module")
def plan(trials: Trials, cluster_file: Path) -> Plan:
    return measure(config_of(cluster_file), trials=trials)


@pytest.fixture(scope="module")
def long(trials: Trials, cluster_file: Path) -> Plan:
    """Of a run that a trial does not come to the end of."""
    return measure(config_of(cluster_file, "homogeneous", steps=None, epochs=5000), trials=trials)


def imagined(**changes: Any) -> Plan:
    """A run of 100 steps of 8 structures and 1000 edges, of 1 s each, with 2 GiB at the peak."""
    coverage = Coverage()
    trial = Trial(
        config={}, elements=[1, 6, 8], structures={"train": 80, "validation": 10, "test": 0}, parameters=1000,
        relations={"all": 1000}, seen=coverage.facts(), steps=100, batches=10, samples=[(1.0, 1000)] * 5, mean_edges=1000.0,
        structures_per_batch=8.0, clock="cpu", preparation=4.0, compiling=None, evaluation=0.1, peak=2 * 2**30,
        device_peak=None, states=2**20, data=2**20, growth=[(1000, 2 * 2**30), (2000, 3 * 2**30)], limit=100 * 2**30,
        checkpoint=1000, model=100, notes=[],
    )  # fmt: skip
    config = make_config({"model": {"variant": changes.pop("variant", "homogeneous")}})
    return Plan(config, replace(trial, **changes))


def test_the_plan_is_what_the_run_does(plan: Plan, cluster_file: Path, tmp_path: Path):
    run = new_run(config_of(cluster_file), tmp_path / "run", Silent())
    progress = run.train()
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert plan.config == run.config
    assert plan.parameters == facts["parameters"]
    assert plan.steps == progress.step == 9
    assert plan.trial.batches == len(run.trainer.train)
    assert plan.trial.structures == facts["data"]["structures"]
    assert sum(plan.trial.relations.values()) > 0
    assert set(plan.trial.relations) == set(facts["coverage"])


def test_files_are_as_large_as_was_said(plan: Plan, cluster_file: Path, tmp_path: Path):
    new_run(config_of(cluster_file), tmp_path / "run", Silent()).train()
    for name, said in (("checkpoint.pt", plan.trial.checkpoint), ("model.pt", plan.trial.model)):
        assert (tmp_path / "run" / name).stat().st_size == pytest.approx(said, rel=0.05)


def test_epochs_become_the_steps_of_the_run(long: Plan):
    assert long.trial.batches == 6
    assert long.steps == 6 * 5000
    assert long.config.training.steps == long.steps
    # the trial came to an end long before
    assert len(long.trial.samples) < 1000


def test_states_are_six_times_the_weights(plan: Plan, trials: Trials, cluster_file: Path):
    """Weights, gradients, two moments, the average, the best, counts; and the products and bases of SOAP."""
    weights = 4 * plan.parameters
    plain = measure(config_of(cluster_file, optimizer="adamw"), trials=trials)
    assert 6 * weights <= plain.trial.states < 6.2 * weights
    elements = elements_of(read_structures(cluster_file))
    model = build_model(config_of(cluster_file).model, elements)
    soap, _ = make_optimizers(model, TrainingConfig()).parts
    sides = 0
    for group in soap.param_groups:
        blocks = sum(weight.numel() for weight in group["params"]) // math.prod(group["size"])
        sides += blocks * sum(side**2 for side in group["size"] if side <= LONGEST)
    assert 6 * weights + 2 * 4 * sides <= plan.trial.states < 6.2 * weights + 2 * 4 * sides


def test_memory_is_that_of_a_process_with_torch_in_it(plan: Plan):
    assert 100 * 2**20 < plan.peak < 4 * 2**30
    assert plan.trial.limit is None or plan.peak < plan.trial.limit
    edges, peaks = zip(*plan.trial.growth, strict=True)
    assert list(edges) == [edges[0] * 2**k for k in range(len(edges))]
    assert list(peaks) == sorted(peaks)


def test_a_trial_leaves_nothing_behind(cluster_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    measure(config_of(cluster_file, "hvnet"))
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_planned_says_why_and_disturbs_nothing_else(
    trials: Trials, cluster_file: Path, plan: Plan
):
    with pytest.raises(HermtkError, match=r"there is no file .*nowhere\.xyz"):
        measure(config_of(Path("nowhere.xyz")), trials=trials)
    wrong = config_of(cluster_file)
    wrong = wrong.model_copy(
        update={"model": wrong.model.model_copy(update={"subnet_options": {"hiden": 3}})}
    )
    with pytest.raises(HermtkError, match="Did you mean 'hidden'"):
        measure(wrong, trials=trials)
    assert measure(config_of(cluster_file), trials=trials).parameters == plan.parameters


@pytest.mark.parametrize(
    ("death", "said"),
    [
        ("os.kill(os.getpid(), 9)", "not enough memory"),
        ("sys.exit('for a reason')", "the process that measures has ended: for a reason"),
    ],
)
def test_a_process_that_dies_is_an_error_in_words(cluster_file: Path, death: str, said: str):
    server = (sys.executable, "-c", f"import os, sys; sys.stdin.readline(); {death}")
    with Trials(server) as dying, pytest.raises(HermtkError, match=said):
        measure(config_of(cluster_file), trials=dying)


@pytest.mark.skipif(sys.platform != "linux", reason="memory is bounded on Linux")
def test_memory_that_is_not_there_is_an_error_instead_of_a_kill():
    text = (
        "import numpy, torch; from hermtk.memory import *\n"
        "bound(2**28)\n"
        "for make in (lambda: numpy.ones(2**27), lambda: torch.ones(2**28)):\n"
        "    try: make()\n"
        "    except Exception as problem: print(is_shortage(problem))\n"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True"]


@pytest.mark.parametrize("variant", ["homogeneous", "htnet"])
def test_parameters_are_counted_without_data(variant: str, cluster_file: Path, tmp_path: Path):
    run = new_run(config_of(cluster_file, variant), tmp_path / "run", Silent())
    nowhere = config_of(Path("nowhere.xyz"), variant)
    assert parameters_of(nowhere, [8, 1, 6]) == run.facts["parameters"]


@given(
    overhead=st.floats(0.01, 1), per_edge=st.floats(0, 1e-3), asked=st.integers(1, 9999),
    edges=st.lists(st.integers(1, 9999), min_size=1, max_size=20),
)  # fmt: skip
def test_a_time_is_moved_to_the_size_that_is_asked_for(
    overhead: float, per_edge: float, asked: int, edges: list[int]
):
    samples = [(overhead + per_edge * n, n) for n in edges]
    slope = per_edge if len(set(edges)) > 1 else 0.0
    assert at_size(samples, asked) == pytest.approx(samples[0][0] + slope * (asked - edges[0]), rel=1e-6)


def test_one_disturbed_step_does_not_count():
    samples = [(1.0 + 0.001 * n, n) for n in range(100, 120)]
    disturbed = [(50.0, samples[7][1]) if k == 7 else sample for k, sample in enumerate(samples)]
    assert at_size(disturbed, 110) == pytest.approx(at_size(samples, 110), rel=0.01)


def test_the_time_of_a_run_is_that_of_its_parts():
    plan = imagined()
    # 10 structures to validate at 0.1 s each
    assert plan.epoch_seconds == pytest.approx(10 * 1.0 + 1.0)
    # reading, 100 steps, 10 validations, testing on the validation set
    assert plan.run_seconds == pytest.approx(4 + 100 + 10 + 1)
    assert imagined(compiling=60.0).run_seconds == pytest.approx(60 + plan.run_seconds)
    assert plan.steps_in(plan.run_seconds / 60) == pytest.approx(100, abs=1)
    assert plan.steps_in(0.01) == 0


def test_a_batch_fits_where_memory_goes_on_to_grow_as_it_did():
    plan = imagined()
    assert plan.bytes_per_edge == pytest.approx(2**30 / 1000)
    # 90 GiB, a thousand edges for each above the 1 GiB of nothing
    assert plan.largest_batch_edges == pytest.approx(89000, abs=1)
    assert plan.largest_batch == 89000 * 8 // 1000
    assert imagined(growth=[(1000, 5)]).largest_batch_edges is None
    assert imagined(limit=None).largest_batch is None


def seen(**angles: int) -> dict[str, int]:
    """Relations of htnet for H, C, O, each seen 500 times unless another number is given."""
    return {**dict.fromkeys(relation_table("htnet", [1, 6, 8]).labels, 500), **angles}


def test_starving_relations_are_named_with_their_consequence():
    (text,) = imagined(variant="htnet", relations=seen(**{"H-C-O": 7, "H-O-H": 99, "C-C-C": 100})).warnings
    assert "2 of 18 triads are seen fewer than 100 times in training: H-C-O (7), H-O-H (99)." in text
    assert "Their weights stay mostly what they were at the start" in text
    assert "hermtk data audit" in text


def test_relations_that_training_never_shows_are_named_apart():
    (text,) = imagined(variant="htnet", relations=seen(**{"O-O-O": 0})).warnings
    assert text.startswith("1 of 18 triads is never seen in training: O-O-O. The model will be wrong")


def test_a_variant_that_the_data_feed_is_proposed():
    def plan(molecules: int) -> Plan:
        coverage = Coverage()
        for _ in range(molecules):
            coverage.add(*water())
        seen, table = coverage.facts(), relation_table("htnet", [1, 8])
        # H-H-H and H-O-O do not occur in one molecule
        relations = {"H-O-H": 7, **dict.fromkeys(set(table.labels) - {"H-O-H"}, 500)}
        return imagined(variant="htnet", elements=[1, 8], relations=relations, seen=seen)

    assert "Consider data that" in plan(SEEN_ENOUGH // 8).warnings[0]
    # every molecule has two edges at its O, and none between two O
    assert "Consider hpnet, or data that" in plan(SEEN_ENOUGH).warnings[0]


def water():
    """One molecule: its numbers, and both ends of each edge."""
    return (
        np.array([8, 1, 1]),
        np.array([0, 0, 1, 1, 2, 2]),
        np.array([1, 2, 0, 2, 0, 1]),
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"limit": 2 * 2**30}, "a step needs 2 GiB of the 2 GiB that this machine has left; smaller batches"),
        ({"limit": 2 * 2**30, "data": 2**31}, "hermtk convert DATA NAME.store"),
        ({"limit": 2 * 2**30, "device_peak": 2**31}, "that the device has left"),
        ({"steps": 10**6}, "the run would take 12.7 days"),
        ({"checkpoint": 2**60}, "the disk has"),
        ({"notes": ["something"]}, "something"),
    ],
)
def test_what_speaks_against_a_run_is_said(changes: dict[str, Any], said: str):
    (text,) = imagined(**changes).warnings
    assert said in text


def test_nothing_is_said_against_a_good_run():
    assert imagined().warnings == []


def test_a_summary_is_plain_values(plan: Plan, long: Plan):
    for one in (plan, long, imagined()):
        assert json.loads(json.dumps(one.summary(), allow_nan=False)) == one.summary()
    found = plan.summary()
    assert found["relations"]["number"] == found["relations"]["fed"] + len(
        found["relations"]["starving"]
    ) + len(found["relations"]["unseen"])
