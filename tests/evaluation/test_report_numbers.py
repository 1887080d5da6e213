"""The numbers of a report, and the sentences that they amount to."""

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from report_world import METRICS, potential, predicted, predicted_gaps, run_in, some_structures

from hermtk.data.structure import Structure
from hermtk.data.targets import TARGETS
from hermtk.errors import RunError
from hermtk.evaluation.comparison import Compared, Evaluation
from hermtk.evaluation.report import groups, parts
from hermtk.evaluation.report.groups import Labelling, formula_of
from hermtk.evaluation.report.numbers import make_report
from hermtk.evaluation.report.predicted import Predicted
from hermtk.evaluation.report.record import read_run
from hermtk.evaluation.report.verdict import verdicts
from hermtk.evaluation.report.worst import worst_of


def made(errors: np.ndarray, forces: np.ndarray | None = None, size: int = 2) -> Predicted:
    """Structures of ``size`` carbons with the energy errors per atom and force errors given."""
    n = len(errors)
    structures = [
        Structure(np.full(size, 6), np.arange(3.0 * size).reshape(size, 3), source=f"x:{k}") for k in range(n)
    ]
    r = np.random.default_rng(0)
    true = r.normal(size=(n * size, 3)) * 10.0 ** r.uniform(-2, 1, size=(n * size, 1))
    error = np.zeros((n * size, 3)) if forces is None else forces
    nothing = np.full((n, 3, 3), np.nan)
    evaluation = Evaluation(
        numbers=np.full(n * size, 6),
        atoms=np.full(n, size),
        sources=tuple(s.source for s in structures),
        energy=Compared(np.zeros(n), size * errors),
        forces=Compared(true, true + error),
        stress=Compared(nothing, nothing),
    )
    return Predicted("test", structures, evaluation, potential())


def said(tmp_path, tested: Predicted, **changes: object) -> str:
    report = make_report(run_in(tmp_path / "run", tested), tested, 60)
    return " ".join(verdict.text for verdict in verdicts(replace(report, **changes)))


def test_every_atom_is_in_one_range_of_forces():
    tested = made(np.zeros(200), np.random.default_rng(1).normal(size=(400, 3)))
    ranges = parts.by_magnitude(tested)
    assert len(ranges) > 3
    assert sum(m.atoms for m in ranges) == 400
    assert all(m.atoms >= 20 for m in ranges)
    assert all(one.high == two.low for one, two in pairwise(ranges))


@pytest.mark.parametrize("atoms", [1, 30])
def test_few_atoms_are_one_range(atoms):
    tested = made(np.zeros(atoms), np.ones((atoms, 3)), size=1)
    assert [m.atoms for m in parts.by_magnitude(tested)] == [atoms]


def test_forces_ten_percent_too_long_have_that_relative_error_and_the_right_direction():
    tested = made(np.zeros(100))
    forces = tested.evaluation.forces
    longer = replace(tested.evaluation, forces=Compared(forces.true, 1.1 * forces.true))
    for magnitude in parts.by_magnitude(replace(tested, evaluation=longer)):
        assert magnitude.relative == pytest.approx(0.1)
        assert magnitude.angle == pytest.approx(0.0, abs=1e-3)


def test_forces_that_are_exactly_zero_can_be_reported():
    tested = made(np.zeros(40))
    zero = Compared(np.zeros((80, 3)), np.full((80, 3), 0.1))
    (only,) = parts.by_magnitude(replace(tested, evaluation=replace(tested.evaluation, forces=zero)))
    assert np.isnan(only.relative)
    assert only.atoms == 80


def test_groups_by_size_and_composition_hold_every_structure_once():
    structures = some_structures(9)
    tested = predicted(structures)
    labels = Labelling()
    for s in structures:
        labels.add(s)
    called = labels.labels()
    for found in (groups.by_size(tested), groups.by_composition(tested, called)):
        assert len(found) == 2
        assert sum(g.structures for g in found) == 9
        assert sum(g.atoms for g in found) == int(tested.atoms.sum())
        mean = sum(g.value_mae * g.structures for g in found) / 9
        assert mean == pytest.approx(tested.evaluation.summary()["energy_per_atom"]["mae"])


def test_structures_are_grouped_by_what_the_data_call_them():
    labels = Labelling()
    structures = [replace(s, info={"config_type": "ab"[k % 2]}) for k, s in enumerate(some_structures(6))]
    for s in structures:
        labels.add(s)
    called = labels.labels()
    assert called.key == "config_type"
    tested = predicted(structures)
    assert [(g.name, g.structures) for g in groups.by_kind(tested, called)] == [("a", 3), ("b", 3)]
    # every second one lacks an atom: the formulas tell the same structures apart
    assert groups.by_composition(tested, called) == ()


def test_names_of_single_structures_are_no_kinds():
    labels = Labelling()
    for k, s in enumerate(some_structures(41)):
        labels.add(replace(s, info={"config_type": f"frame {k}"}))
    assert labels.labels().key == ""


def test_the_formula_of_a_periodic_structure_is_reduced():
    cell = 5 * np.eye(3)
    structure = Structure(
        np.array([14, 14, 8, 8, 8, 8]), np.zeros((6, 3)), cell, np.array([True, True, True])
    )
    assert formula_of(structure) == "O2Si"
    assert formula_of(replace(structure, pbc=np.zeros(3, dtype=bool))) == "O4Si2"


def test_the_worst_structures_are_those_with_the_largest_force_errors():
    forces = np.zeros((24, 3))
    forces[7, 2], forces[20, 0] = 5.0, -3.0
    worst = worst_of(made(np.zeros(12), forces))
    assert [w.index for w in worst[:2]] == [3, 10]
    assert (worst[0].force_error, worst[0].atom, worst[1].atom) == (5.0, 1, 0)
    assert len(worst) == 10


def test_where_no_forces_are_known_the_worst_have_the_largest_errors_of_the_value():
    tested = predicted_gaps(some_structures(6))
    error = np.abs(tested.value.predicted - tested.value.true)
    worst = worst_of(tested)
    assert [w.index for w in worst] == (1 + np.argsort(-error[1:])).tolist()
    assert 0 not in [w.index for w in worst]


def test_a_difference_within_chance_is_called_so(tmp_path):
    forces = np.random.default_rng(0).normal(size=(400, 3))
    text = said(tmp_path, made(np.zeros(200), forces))
    assert "The force error is that of validation (800 meV/Å in validation, " in text


def test_a_test_that_is_worse_than_validation_is_said(tmp_path):
    forces = 4.0 + 0.1 * np.random.default_rng(0).normal(size=(400, 3))
    text = said(tmp_path, made(np.zeros(200), forces))
    assert "larger than in validation by 400 %" in text


def test_one_shift_of_all_energies_is_said(tmp_path):
    text = said(tmp_path, made(np.full(30, -0.02)))
    assert "Energies are too low by 20 meV/atom on average" in text


def test_a_run_that_is_not_finished_says_how_far_it_came(tmp_path):
    tested = predicted(some_structures())
    record = run_in(tmp_path / "run", tested, ended="")
    text = " ".join(v.text for v in verdicts(make_report(record, tested)))
    assert "not finished (60 of 60 steps)" in text
    assert f"hermtk train --resume {tmp_path / 'run'}" in text


def test_changed_data_are_named(tmp_path):
    assert "c.xyz changed after the run began" in said(
        tmp_path, predicted(some_structures()), changed=("c.xyz",)
    )


def test_relations_that_starve_are_named(tmp_path):
    text = said(tmp_path, predicted(some_structures()))
    assert "seen fewer than 100 times" in text
    assert "C-O-C" in text


def test_a_curve_that_still_falls_asks_for_twice_the_steps(tmp_path):
    assert "still falling: by 33 % over the last doubling" in said(tmp_path, predicted(some_structures()))
    assert "`--steps 120`" in said(tmp_path, predicted(some_structures()))


def test_a_model_that_knows_its_training_set_by_heart_is_told_so(tmp_path):
    forces = np.full((400, 3), 0.8) + 0.05 * np.random.default_rng(0).normal(size=(400, 3))
    tested = made(np.zeros(200), forces)
    record = run_in(tmp_path / "run", tested, metrics=METRICS.replace(",2,1.0,0.8", ",2,0.2,0.8"))
    text = " ".join(v.text for v in verdicts(make_report(record, tested, 60)))
    assert "4.0 times those of training" in text


def test_all_numbers_are_json_without_values_that_are_none(tmp_path):
    tested = predicted(some_structures())
    report = make_report(run_in(tmp_path / "run", tested), tested, 60)
    values = json.loads(json.dumps(report.values(), allow_nan=False))
    assert values["errors"] == tested.evaluation.summary()
    assert {p["name"] for p in values["elements"]} == {"H", "C", "O"}
    assert values["magnitudes"]
    assert values["facts"]["data"]["sha256"] == {"c.xyz": "ab12"}


def test_a_property_is_reported_in_its_own_unit(tmp_path):
    tested = predicted_gaps(some_structures())
    record = run_in(tmp_path / "run", tested, target="gap")
    report = make_report(record, tested)
    assert (report.target, report.unit) == ("gap", TARGETS["gap"].unit)
    assert report.relations == report.elements == report.magnitudes == ()
    assert "gap" in verdicts(report)[0].text
    assert "meV" in verdicts(report)[0].text


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(RunError, match="holds no run"):
        read_run(tmp_path)


def test_a_damaged_record_is_refused(tmp_path):
    tested = predicted(some_structures(2))
    with pytest.raises(RunError, match="no record of a training run"):
        run_in(tmp_path / "run", tested, metrics="a,b\n1,2\n")
    run_in(tmp_path / "run", tested)
    (tmp_path / "run" / "run.json").write_text("{")
    with pytest.raises(RunError, match=r"run\.json cannot be read"):
        read_run(tmp_path / "run")
