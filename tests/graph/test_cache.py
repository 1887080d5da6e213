"""Neighbour lists on disk: those that would be computed, of these structures, this cut-off and this code."""

import multiprocessing
import os
import pickle
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from data_world import data_sets
from hermtk.data.store import Store
from hermtk.data.storing import write_store
from hermtk.data.structure import Structure
from hermtk.errors import RunError
from hermtk.graph import cache, many
from hermtk.graph.cache import neighbor_lists
from hermtk.graph.neighbors import neighbor_pairs
from hermtk.testing import structures as worlds
from training_world import clusters


def stored(path: Path, structures: list[Structure]) -> Store:
    write_store(path, structures)
    return Store(path)


def kept(store: Store) -> list[Path]:
    return sorted((store.path / "neighbors").glob("*/lists"))


def assert_lists_of(lists, structures, cutoff):
    for place, s in enumerate(structures):
        found, wanted = lists.pairs(place), neighbor_pairs(s.positions, s.cell, s.pbc, cutoff)
        for name in ("center", "neighbor", "shift"):
            assert np.array_equal(getattr(found, name), getattr(wanted, name)), (place, name)
            assert getattr(found, name).dtype == getattr(wanted, name).dtype


@settings(max_examples=25, deadline=None)
@given(data_sets(max_structures=6, max_atoms=4))
def test_lists_are_those_of_single_structures(tmp_path_factory, structures):
    store = stored(tmp_path_factory.mktemp("lists") / "a.store", structures)
    assert_lists_of(neighbor_lists(store, 4.2), structures, 4.2)


def test_small_and_large_open_and_periodic_stand_in_their_places(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "_ATOMS", 40)
    monkeypatch.setattr(many, "_AT_A_TIME", 100)
    rng = np.random.default_rng(0)
    large = Structure(
        np.full(60, 18), 3.0 * np.stack(np.meshgrid(*[np.arange(4.0)] * 3), -1).reshape(-1, 3)[:60]
    )
    mixed = [*clusters(9), worlds.crystal(), large, worlds.slab(), worlds.lone(8), *clusters(3, seed=5)]
    mixed = [mixed[k] for k in rng.permutation(len(mixed))]
    store, done = stored(tmp_path / "a.store", mixed), []
    lists = neighbor_lists(store, 3.9, done.append)
    assert_lists_of(lists, mixed, 3.9)
    assert sum(done) == len(mixed)
    assert len(done) > 3
    whole = lists.of(np.arange(len(mixed)))
    assert whole.edges.tolist() == [len(lists.pairs(k).center) for k in range(len(mixed))]


@pytest.mark.parametrize("cutoff", [1.0, 2.0, np.sqrt(3.0), np.sqrt(5.0)])
def test_a_distance_equal_to_the_cutoff_is_judged_as_for_a_single_structure(tmp_path, cutoff):
    grid = np.stack(np.meshgrid(*[np.arange(3.0)] * 3), -1).reshape(-1, 3)
    turn, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    structures = [Structure(np.full(27, 6), grid @ turn + shift) for shift in (0.0, 0.1, 1e3)] + clusters(3)
    assert_lists_of(neighbor_lists(stored(tmp_path / "a.store", structures), cutoff), structures, cutoff)


@pytest.mark.parametrize("far", [100, 1000])
def test_atoms_many_cells_away_keep_their_shifts(tmp_path, far):
    crystal = worlds.crystal()
    positions = crystal.positions.copy()
    positions[0] += far * crystal.cell[0]
    structures = [*clusters(2), replace(crystal, positions=positions)]
    store = stored(tmp_path / "a.store", structures)
    lists = neighbor_lists(store, 3.9)
    assert_lists_of(lists, structures, 3.9)
    assert lists._columns.meta["arrays"]["shift"]["dtype"] == ("|i1" if far == 100 else "<i4")


def test_they_are_computed_once(tmp_path, monkeypatch):
    store = stored(tmp_path / "a.store", clusters(5))
    neighbor_lists(store, 3.0)
    monkeypatch.setattr(cache, "many_pairs", None)
    assert_lists_of(neighbor_lists(store.pick([1]), 3.0), clusters(5), 3.0)
    assert len(kept(store)) == 1


def test_lists_of_other_structures_cutoffs_and_code_are_never_taken(tmp_path, monkeypatch):
    store = stored(tmp_path / "a.store", clusters(5))
    neighbor_lists(store, 3.0)
    assert_lists_of(neighbor_lists(store, 1.5), clusters(5), 1.5)
    assert_lists_of(neighbor_lists(store, 3.0 + 1e-12), clusters(5), 3.0)
    assert len(kept(store)) == 3
    # the folder of lists left in that of another store
    other = stored(tmp_path / "b.store", clusters(5, seed=1))
    shutil.copytree(store.path / "neighbors", other.path / "neighbors")
    assert_lists_of(neighbor_lists(other, 3.0), clusters(5, seed=1), 3.0)
    assert len(kept(other)) == 4
    changed = tmp_path / "neighbors.py"
    changed.write_text("# another way to find neighbours")
    monkeypatch.setattr(many, "__file__", str(changed))
    neighbor_lists(store, 3.0)
    assert len(kept(store)) == 4


@pytest.mark.parametrize("name", ["first", "degree", "neighbor"])
@pytest.mark.parametrize("damage", ["flip", "cut", "gone"])
def test_damaged_lists_are_computed_anew(tmp_path, name, damage):
    store = stored(tmp_path / "a.store", clusters(5))
    neighbor_lists(store, 3.0)
    path = kept(store)[0] / f"{name}.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content if damage == "flip" else content[:-1])
    if damage == "gone":
        path.unlink()
    assert_lists_of(neighbor_lists(store, 3.0), clusters(5), 3.0)


def test_an_interrupted_computation_leaves_nothing_that_is_used(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "_ATOMS", 10)
    store = stored(tmp_path / "a.store", clusters(5))

    def interrupt(done):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        neighbor_lists(store, 3.0, interrupt)
    assert kept(store) == []
    assert [path.name for path in (store.path / "neighbors").glob("*/*")] == ["lock"]


def _die(path: Path) -> None:
    cache._ATOMS = 10
    neighbor_lists(Store(path), 3.0, lambda done: os.kill(os.getpid(), signal.SIGKILL))


def _ask(path: Path) -> None:
    lists = neighbor_lists(Store(path), 3.0)
    assert_lists_of(lists, clusters(200), 3.0)


def test_what_a_killed_process_left_is_removed(tmp_path):
    store = stored(tmp_path / "a.store", clusters(5))
    process = multiprocessing.get_context("spawn").Process(target=_die, args=(store.path,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert len(list((store.path / "neighbors").glob("*/*"))) == 2
    assert_lists_of(neighbor_lists(store, 3.0), clusters(5), 3.0)
    assert {path.name for path in (store.path / "neighbors").glob("*/*")} == {"lock", "lists"}


def test_processes_that_ask_at_the_same_time_get_the_same(tmp_path):
    store = stored(tmp_path / "a.store", clusters(200))
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_ask, args=(store.path,)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert len(kept(store)) == 1


def test_lists_can_be_sent_to_another_process(tmp_path):
    lists = neighbor_lists(stored(tmp_path / "a.store", clusters(5)), 3.0)
    assert_lists_of(pickle.loads(pickle.dumps(lists)), clusters(5), 3.0)


def test_a_place_that_cannot_be_written_to_is_named(tmp_path):
    store = stored(tmp_path / "a.store", clusters(2))
    (store.path / "neighbors").write_text("a file in the way")
    with pytest.raises(RunError, match="cannot be written to"):
        neighbor_lists(store, 3.0)
