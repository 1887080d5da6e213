"""Predictions of many structures, and what is refused before any is made."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hermtk.data.structure import Structure
from hermtk.errors import DataError, HermtkError, UnknownElement
from hermtk.evaluation import evaluate as module
from hermtk.evaluation.evaluate import batches, check_elements, evaluate, predict_structures
from hermtk.graph.build import build_graph
from hermtk.physics.derivatives import predict
from hermtk.testing.structures import lone, slab
from hermtk.training.data.batches import join, prepare
from hermtk.training.errors import ErrorSums


def atoms(n: int) -> Structure:
    return Structure(np.ones(n, dtype=np.int64), np.arange(3.0 * n).reshape(n, 3))


def test_predictions_stand_in_the_order_of_the_data(potential, molecules):
    found = evaluate(potential, molecules, batch_size=2)
    for k, structure in enumerate(molecules):
        alone = predict(potential, build_graph(structure, potential.cutoff))
        assert found.energy.predicted[k] == pytest.approx(alone.energy.item(), abs=1e-12)
        own = found.forces.predicted[found.structure == k]
        assert own == pytest.approx(alone.forces.detach().numpy(), abs=1e-12)


def test_labels_stand_beside_their_predictions(potential, molecules, crystals):
    found = evaluate(potential, [*molecules, *crystals])
    for k, structure in enumerate([*molecules, *crystals]):
        assert found.energy.true[k] == structure.energy
        assert np.array_equal(found.forces.true[found.structure == k], structure.forces)
        assert np.array_equal(found.numbers[found.structure == k], structure.numbers)
        assert found.sources[k] == structure.source
        if structure.stress is None:
            assert np.isnan(found.stress.true[k]).all()
        else:
            assert np.array_equal(found.stress.true[k], structure.stress)


@pytest.mark.parametrize(("size", "most"), [(1, 1000), (3, 7), (64, 1)])
def test_errors_do_not_depend_on_the_batches(potential, molecules, crystals, size, most):
    several = [*crystals, *molecules]
    whole = evaluate(potential, several, batch_size=64, most_atoms=1000)
    parts = evaluate(potential, several, batch_size=size, most_atoms=most)
    for name in ("energy", "forces", "stress"):
        assert getattr(parts, name).errors == pytest.approx(getattr(whole, name).errors, abs=1e-12)


def test_errors_are_those_that_training_shows(potential, molecules, crystals):
    for structures in (molecules, crystals):
        batch = join(potential, prepare(structures, potential.cutoff))
        sums = ErrorSums()
        sums.add(predict(potential, batch.graph, batch.union, stress=structures is crystals), batch)
        summary = evaluate(potential, structures).summary()
        for name in ("energy", "energy_per_atom", "forces", "stress"):
            assert summary[name]["mae"] == (None if sums.mae(name) is None else pytest.approx(sums.mae(name)))
            assert summary[name]["rmse"] == (
                None if sums.rmse(name) is None else pytest.approx(sums.rmse(name))
            )


def test_a_model_reproduces_its_own_labels(potential, molecules, crystals):
    labelled = list(predict_structures(potential, [*molecules, *crystals], batch_size=3))
    summary = evaluate(potential, labelled).summary()
    for name in ("energy", "forces", "stress"):
        assert summary[name]["max"] < 1e-12
        assert summary[name]["mae"] is not None


def test_new_labels_replace_old_ones_and_keep_the_rest(potential, molecules):
    given_ = replace(molecules[0], info={"group": "a"})
    (found,) = predict_structures(potential, [given_])
    assert found.energy != given_.energy
    assert found.info == {"group": "a"}
    assert found.source == given_.source
    assert np.array_equal(found.positions, given_.positions)


def test_only_what_repeats_in_a_cell_has_a_stress(potential, molecules, crystals):
    boxed = replace(molecules[0], cell=20 * np.eye(3))
    found = list(predict_structures(potential, [molecules[0], crystals[0], slab((8, 1, 6)), boxed]))
    assert [s.stress is None for s in found] == [True, False, True, True]


def test_a_lone_atom_is_labelled_with_no_force(potential):
    (found,) = predict_structures(potential, [lone(8)])
    assert np.array_equal(found.forces, np.zeros((1, 3)))


def test_structures_without_labels_can_be_predicted(potential, molecules):
    bare = [replace(s, energy=None, forces=None) for s in molecules]
    assert all(s.energy is not None for s in predict_structures(potential, bare))


def test_an_unknown_element_is_refused_by_name_before_anything_is_computed(potential, molecules, monkeypatch):
    monkeypatch.setattr(module, "predict", lambda *_, **__: pytest.fail("computed something"))
    strange = replace(lone(46), source="alloy.xyz:7")
    for work in (evaluate, predict_structures):
        with pytest.raises(UnknownElement, match=r"alloy.xyz:7 holds Pd; the model knows H, C, O"):
            work(potential, [*molecules, strange])


def test_several_structures_with_unknown_elements_are_counted(potential):
    with pytest.raises(UnknownElement, match=r"holds Au \(and 2 more of 4 structures\)"):
        check_elements(potential, [lone(1), lone(79), lone(46), lone(79)])


def test_a_prediction_that_is_no_number_is_refused_with_its_structure(potential, molecules):
    broken = deepcopy(potential)
    broken.reference[broken.elements.index(8)] = torch.nan
    with pytest.raises(HermtkError, match=r"no finite energy and forces for molecules.xyz:2"):
        evaluate(broken, molecules[1:])


def test_nothing_to_evaluate_is_an_error(potential):
    with pytest.raises(DataError, match="no structures"):
        evaluate(potential, [])


def test_progress_counts_every_structure(potential, molecules):
    done = []
    evaluate(potential, molecules, batch_size=2, on_batch=done.append)
    assert done == [2, 2, 1]


@given(st.lists(st.integers(1, 9), max_size=20), st.integers(1, 5), st.integers(1, 20))
def test_batches_hold_every_structure_once_and_keep_to_their_limits(sizes, size, most):
    structures = [atoms(n) for n in sizes]
    chunks = list(batches(structures, size, most))
    assert [s for chunk in chunks for s in chunk] == structures
    for chunk in chunks:
        assert 1 <= len(chunk) <= size
        assert len(chunk) == 1 or sum(map(len, chunk)) <= most


def test_a_readout_of_whole_structures_gets_them_one_at_a_time(potential, molecules, monkeypatch):
    sizes = []
    expected = evaluate(potential, molecules)
    monkeypatch.setattr(type(potential.network.readout), "whole", True)
    found = evaluate(potential, molecules, on_batch=sizes.append)
    assert sizes == [1] * len(molecules)
    np.testing.assert_allclose(found.energy.predicted, expected.energy.predicted, rtol=1e-12)
    with pytest.raises(HermtkError, match="one at a time"):
        predict(potential, build_graph(molecules, potential.cutoff))
