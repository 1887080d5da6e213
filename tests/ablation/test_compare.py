import json

import numpy as np
import pytest

from hermtk.ablation.compare import findings_of
from hermtk.ablation.record import Recorder
from hermtk.ablation.verdict import outcome
from hermtk.evaluation.stored import read_predictions
from hermtk.models.files import load_model


@pytest.fixture(scope="module")
def found(finished):
    return findings_of(finished, {finished.jobs[-1].name: "the loss was no number"})


def table(found, quantity, kind="mae", part=""):
    (one,) = [
        t for t in found.tables if (t.metric.quantity, t.metric.kind, t.metric.part) == (quantity, kind, part)
    ]
    return one


def test_errors_are_those_that_the_runs_say_themselves(finished, found):
    for quantity, key in (("energy", "energy_per_atom"), ("forces", "forces")):
        for kind in ("mae", "rmse"):
            for errors in table(found, quantity, kind).errors:
                for seed, value in zip(errors.seeds, errors.values, strict=True):
                    (job,) = [j for j in finished.jobs if (j.arm.name, j.seed) == (errors.arm, seed)]
                    assert value == pytest.approx(1e3 * job.results["errors"][key][kind])


def test_errors_on_elements_are_those_that_the_runs_say(finished, found):
    job = finished.jobs[0]
    for symbol, own in job.results["errors"]["elements"].items():
        value = table(found, "forces", part=f"element {symbol}").errors[0].values[0]
        assert value == pytest.approx(1e3 * own["mae"])


def test_relations_share_out_every_atom_once(finished):
    errors = Recorder().errors(finished.jobs[0])
    shared = sum(sums for (_, part), sums in errors.sums.items() if part.startswith("relation"))
    whole = errors.sums["forces", ""]
    # one component instead of three; every atom has a neighbour
    assert np.allclose(shared, whole / 3)


def test_differences_are_paired_by_seed_and_corrected_together(found):
    forces = table(found, "forces")
    by_arm = {errors.arm: errors for errors in forces.errors}
    control = by_arm["painn-homogeneous"]
    assert [one.arm for one in forces.differences] == ["painn-hvnet", "painn-hpnet"]
    full, single = forces.differences
    assert full.values == pytest.approx(np.subtract(by_arm["painn-hvnet"].values, control.values))
    assert full.relative == pytest.approx(full.mean / control.mean)
    # of two comparisons one has a single seed, and no probability
    assert single.seeds == (0,)
    assert single.interval is None
    assert full.p_holm == full.p
    assert outcome(single) == "undecided"


def test_relations_say_how_often_training_saw_them(finished, found):
    facts = json.loads((finished.jobs[0].folder / "run.json").read_text())
    hpnet = load_model(finished.jobs[2].folder / "model.pt")
    assert set(found.seen[None]) == set(hpnet.model.table.labels)
    assert sum(found.seen[None].values()) > 0
    assert facts["seed"] == 0
    relations = [t for t in found.tables if t.metric.part.startswith("relation ")]
    assert relations
    for one in relations:
        name = one.metric.part.removeprefix("relation ")
        assert one.differences[0].seen == pytest.approx(found.seen[None][name])


def test_what_failed_is_named_and_disturbs_no_other(found):
    hpnet = found.arms[2]
    assert hpnet.finished == (0,)
    assert hpnet.problems == {1: "the loss was no number"}
    said = [verdict.text for verdict in found.verdicts if verdict.kind == "missing"]
    assert said == ["painn-hpnet failed with seed 1: the loss was no number"]
    assert found.arms[0].finished == (0, 1)
    assert found.arms[0].steps == 6


def test_predictions_are_read_as_they_were_written(finished):
    job = finished.jobs[0]
    found = read_predictions(job.folder / "predictions.npz")
    assert found.summary() == job.results["errors"]


def test_the_commands_make_the_same_numbers_by_hand(finished, found, tmp_path):
    from hermtk_cli.main import run

    job = finished.jobs[1]
    words = found.commands[job.name].split()
    assert words[:2] == ["hermtk", "train"]
    again = tmp_path / "again"
    words[words.index("--out") + 1] = str(again)
    assert run(words[1:]) == 0
    assert json.loads((again / "results.json").read_text())["errors"] == job.results["errors"]
