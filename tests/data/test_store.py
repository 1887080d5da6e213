"""Stores: exact, opened anywhere, never silently damaged."""

import json
import pickle
import shutil
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from data_world import assert_same, data_sets
from hermtk.data import columns
from hermtk.data.dataset import (
    file_digest,
    iterate_structures,
    open_structures,
    read_structures,
    write_structures,
)
from hermtk.data.store import Store
from hermtk.data.storing import write_store
from hermtk.data.structure import Structure
from hermtk.errors import DataError, RunError
from hermtk.units import Units
from training_world import clusters


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Twelve clusters."""
    write_store(tmp_path / "a.store", clusters(12))
    return tmp_path / "a.store"


@settings(max_examples=40, deadline=None)
@given(data_sets(max_structures=6))
def test_what_is_stored_is_read_back_to_the_last_bit(tmp_path_factory, before):
    path = tmp_path_factory.mktemp("store") / "a.store"
    write_structures(path, before)
    assert_same(before, read_structures(path))
    assert_same(before, Store(path))
    again = path.with_name("b.store")
    write_structures(again, read_structures(path))
    assert_same(before, Store(again))


def test_it_holds_everything_that_a_structure_has():
    # a new field of Structure needs a column, or it is lost on the way
    kept = {"numbers", "positions", "cell", "pbc", "energy", "forces", "stress", "source", "info"}
    assert {field.name for field in fields(Structure)} == kept


def test_info_keeps_numbers_words_and_arrays(tmp_path):
    info = {
        "group": "äöü",
        "step": 7,
        "gap": np.float64(0.1),
        "on": True,
        "none": None,
        "dipole": np.array([0.1, 1 / 3, -2.0]),
        "charges": np.arange(6, dtype=np.int32).reshape(2, 3),
        "empty": np.zeros((0, 3)),
        "names": np.array(["a", "bc"]),
        "nested": {"a": [1, "x", {"b": np.array([1.5], dtype=np.float32)}]},
        "strange": object(),
    }
    write_store(tmp_path / "a.store", [replace(clusters(1)[0], info=info)])
    found = dict(Store(tmp_path / "a.store")[0].info)
    assert Store(tmp_path / "a.store")._columns.meta["left_out"] == {"strange": 1}
    for name in ("dipole", "charges", "empty", "names"):
        array = found.pop(name)
        assert np.array_equal(array, info[name]), name
        assert array.dtype == info[name].dtype, name
    assert found.pop("nested")["a"][2]["b"].dtype == np.float32
    assert found == {name: info[name] for name in ("group", "step", "gap", "on", "none")}


def test_it_is_a_sequence(store):
    whole, structures = Store(store), clusters(12)
    assert len(whole) == 12
    assert_same(structures[-1:], [whole[-1]])
    assert_same(structures[2:9:3], whole[2:9:3])
    assert_same([structures[k] for k in (7, 1, 1)], whole.pick([7, 1, 1]))
    assert_same([structures[1]], whole.pick([7, 1, 3])[1:2])
    assert whole.pick([7, 1])[1].source == f"{store}:1"
    assert whole.pick([7, 1]).origin(0) == "cluster:7"
    for place in (12, -13):
        with pytest.raises(IndexError, match="among 12"):
            whole[place]


def test_arrays_are_those_of_the_structures(store):
    view, structures = Store(store).pick([3, 0, 11]), [clusters(12)[k] for k in (3, 0, 11)]
    assert view.numbers_of(2).tolist() == structures[2].numbers.tolist()
    assert np.array_equal(view.rows("positions"), np.concatenate([s.positions for s in structures]))
    assert view.values("energy").tolist() == [s.energy for s in structures]
    assert view.sizes.tolist() == [6, 6, 6]
    assert view.has("forces").all()
    assert not view.has("stress").any()
    assert np.isnan(view.values("stress")).all()
    assert not view.periodic.any()
    assert [len(block) for block in Store(store).blocks(atoms=30)] == [5, 5, 2]
    assert [len(block) for block in Store(store).blocks(atoms=1)] == [1] * 12


def test_other_values_can_take_the_place_of_the_energy(store):
    view = Store(store).pick([4, 2, 9]).with_energies(np.array([0.5, np.nan, -1.0])).pick([2, 1])
    for some in (view, pickle.loads(pickle.dumps(view))):
        assert [s.energy for s in some] == [-1.0, None]
        assert some.has("energy").tolist() == [True, False]
        assert all(s.forces is None and s.stress is None for s in some)
        assert not some.has("forces").any()
        assert np.isnan(some.rows("forces")).all()
        assert some[0].source == f"{store}:9"


def test_a_view_survives_the_way_to_another_process(store):
    view = Store(store).pick([5, 2])
    assert_same(list(view), pickle.loads(pickle.dumps(view)))


def test_a_view_refuses_another_store_at_its_place(store):
    sent = pickle.dumps(Store(store))
    shutil.rmtree(store)
    write_store(store, clusters(12, seed=1))
    with pytest.raises(DataError, match="not the store any more"):
        pickle.loads(sent)


def test_pages_given_back_are_read_again(store, monkeypatch):
    monkeypatch.setattr(columns, "_KEPT", 1)
    assert_same(clusters(12), Store(store))


def test_an_interrupted_writer_leaves_nothing(tmp_path):
    def coming():
        yield clusters(1)[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_store(tmp_path / "a.store", coming())
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_stored_is_refused(store, tmp_path):
    with pytest.raises(RunError, match="exists"):
        write_store(store, clusters(1))
    with pytest.raises(DataError, match="at least one structure"):
        write_store(tmp_path / "b.store", [])
    wrong = replace(clusters(1)[0], energy=float("nan"))
    with pytest.raises(DataError, match="energy is not finite"):
        write_store(tmp_path / "b.store", [wrong])
    assert [path.name for path in tmp_path.iterdir()] == ["a.store"]


def test_a_store_has_its_units(store):
    assert len(read_structures(store, units=Units())) == 12
    with pytest.raises(DataError, match="leave its units out"):
        read_structures(store, units=Units(energy="Ha"))
    with pytest.raises(DataError, match="leave its units out"):
        open_structures(store, units=Units(energy="Ha"))


def test_its_digest_follows_content_alone(store, tmp_path):
    other = tmp_path / "b.store"
    write_store(other, clusters(12))
    (store / "neighbors").mkdir()
    (store / "neighbors" / "anything").write_text("x")
    assert file_digest(store) == file_digest(other) == Store(store).verify()
    shutil.rmtree(other)
    write_store(other, clusters(11))
    assert file_digest(store) != file_digest(other)


NAMES = ("first", "numbers", "positions", "energy", "forces", "pbc", "labels", "records", "first_byte")


@pytest.mark.parametrize("name", NAMES)
def test_a_changed_byte_is_found(store, name):
    path = store / f"{name}.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="damaged"):
        list(iterate_structures(store))
    with pytest.raises(DataError, match="damaged"):
        open_structures(store)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("damage", ["cut", "longer", "gone", "empty", "pickle", "other", "header"])
def test_a_file_that_does_not_fit_is_refused_at_once(store, name, damage):
    path = store / f"{name}.npy"
    content = path.read_bytes()
    path.unlink()
    if damage == "cut":
        path.write_bytes(content[:-1])
    elif damage == "longer":
        path.write_bytes(content + b"x")
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "pickle":
        np.save(path, np.array([object()]), allow_pickle=True)
    elif damage == "other":
        np.save(path, np.zeros(3, dtype=np.int16))
    elif damage == "header":
        path.write_bytes(content[:30] + b"\xff" * 60 + content[90:])
    with pytest.raises(DataError, match="damaged"):
        Store(store)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda meta: meta.update(version=2), "version 2 of its layout, this hermtk reads 1"),
        (lambda meta: meta.update(kind="other"), "does not describe a hermtk store"),
        (lambda meta: meta.pop("arrays"), "cannot be read"),
        (lambda meta: meta.update(arrays=3), "does not describe"),
        (lambda meta: meta["arrays"].pop("numbers"), "a store has the arrays"),
        (lambda meta: meta["arrays"]["numbers"].update(shape=["x"]), "numbers"),
        (lambda meta: meta["arrays"]["numbers"].update(shape=[-1]), "numbers"),
        (lambda meta: meta["arrays"]["numbers"].update(dtype="O"), "numbers"),
        (lambda meta: meta["arrays"].update(numbers=7), "numbers"),
        (lambda meta: meta.update(structures=13), "meta.json is not what was written"),
        (lambda meta: meta.update(atoms=13), "meta.json is not what was written"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(store, change, words):
    path = store / "meta.json"
    meta = json.loads(path.read_text())
    change(meta)
    path.write_text(json.dumps(meta))
    with pytest.raises(DataError, match=words):
        open_structures(store)


@pytest.mark.parametrize("text", ["", "[", "[" * 100_000, "7", "null", '{"kind": "hermtk store"}', "\xff"])
def test_a_description_that_is_none_is_refused(store, text):
    (store / "meta.json").write_text(text, encoding="latin-1")
    with pytest.raises(DataError, match=r"meta\.json"):
        Store(store)


def test_no_folder_is_no_store(tmp_path):
    with pytest.raises(DataError, match="cannot be opened"):
        Store(tmp_path / "a.store")
