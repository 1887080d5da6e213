"""Batches: what they hold, in which order, from memory and from disk."""

from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hermtk.data.statistics import elements_of
from hermtk.data.store import Store
from hermtk.data.storing import write_store
from hermtk.errors import ConfigError
from hermtk.models.build import build_model
from hermtk.models.config import ModelConfig
from hermtk.testing import structures as worlds
from hermtk.training.data.batches import Batches, join, mean_neighbors, prepare, sizes_of
from hermtk.training.data.order import Budget, Order
from hermtk.training.data.stored import StoredItems, prepare_store
from training_world import clusters

CUTOFF = 3.2


def mixed() -> list:
    """Clusters with and without labels, a crystal, a slab, a lone atom."""
    bare = [replace(s, energy=None, forces=None) for s in clusters(3, seed=4)]
    periodic = [
        replace(worlds.crystal(), energy=1.5, stress=np.arange(9.0).reshape(3, 3)),
        replace(worlds.slab(), energy=-2.0),
    ]
    return [*clusters(9), *periodic, *bare, worlds.lone(8)]


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> StoredItems:
    path = tmp_path_factory.mktemp("batches") / "a.store"
    write_store(path, mixed())
    return prepare_store(Store(path), CUTOFF)


@pytest.fixture(scope="module")
def potential():
    return build_model(ModelConfig(variant="htnet", channels=4, cutoff=CUTOFF), elements_of(mixed()))


def tensors(thing: Any, place: str = "") -> dict[str, torch.Tensor]:
    """Every tensor in nested dataclasses and tuples, by its place."""
    if isinstance(thing, torch.Tensor):
        return {place: thing}
    parts: dict[str, Any] = {}
    if is_dataclass(thing) and not isinstance(thing, type):
        parts = {field.name: getattr(thing, field.name) for field in fields(thing)}
    elif isinstance(thing, tuple):
        parts = {str(k): part for k, part in enumerate(thing)}
    return {name: one for key, part in parts.items() for name, one in tensors(part, f"{place}.{key}").items()}


def assert_equal(one: Any, other: Any) -> None:
    left, right = tensors(one), tensors(other)
    assert left.keys() == right.keys()
    assert left
    for name, value in left.items():
        assert value.dtype == right[name].dtype, name
        assert torch.equal(torch.nan_to_num(value, 9e9), torch.nan_to_num(right[name], 9e9)), name


def test_items_of_a_store_are_those_in_memory(stored, potential):
    held = prepare(mixed(), CUTOFF)
    assert len(stored) == len(held)
    for place in (0, -1, 9, 11):
        assert_equal(stored[place], held[place])
    assert_equal(join(potential, stored[3:12]), join(potential, held[3:12]))
    assert [sizes.tolist() for sizes in sizes_of(stored)] == [sizes.tolist() for sizes in sizes_of(held)]
    assert mean_neighbors(stored) == mean_neighbors(held)


@pytest.mark.parametrize("budget", [4, Budget(atoms=30), Budget(edges=700, structures=3)])
def test_batches_of_a_store_are_those_in_memory(stored, potential, budget):
    one, other = (Batches(potential, items, budget, 3) for items in (stored, prepare(mixed(), CUTOFF)))
    for way in (lambda batches: batches.epoch(2), lambda batches: batches.in_order()):
        pairs = list(zip(way(one), way(other), strict=True))
        assert len(pairs) > 2
        for left, right in pairs:
            assert_equal(left, right)


def test_two_processes_make_the_batches_of_none(stored, potential):
    budget = Budget(atoms=30)
    alone, helped = (Batches(potential, stored, budget, 3, workers) for workers in (0, 2))
    state = torch.get_rng_state()
    for epoch, start in ((0, 0), (1, 2), (0, 1)):
        for left, right in zip(alone.epoch(epoch, start), helped.epoch(epoch, start), strict=True):
            assert_equal(left, right)
    # an epoch that was left in its middle does not spoil the next one
    for _ in helped.epoch(4):
        break
    assert_equal(next(helped.epoch(5)), next(alone.epoch(5)))
    assert torch.equal(torch.get_rng_state(), state), "the run's own random numbers were drawn from"


def test_an_epoch_can_be_begun_anywhere(stored, potential):
    batches = Batches(potential, stored, Budget(atoms=30), 1)
    whole = list(batches.epoch(3))
    for start in (1, len(whole) - 1, len(whole)):
        rest = list(batches.epoch(3, start))
        assert len(rest) == len(whole) - start
        for left, right in zip(rest, whole[start:], strict=True):
            assert_equal(left, right)


SIZES = st.lists(st.tuples(st.integers(1, 30), st.integers(0, 300)), min_size=1, max_size=40)


def order(sizes: list[tuple[int, int]], budget: Budget, seed: int = 0) -> Order:
    atoms, edges = np.array(sizes).T
    return Order(atoms, edges, budget, seed)


@settings(max_examples=60)
@given(
    SIZES, st.integers(1, 6) | st.none(), st.integers(30, 90) | st.none(), st.integers(300, 900) | st.none()
)
def test_no_batch_exceeds_its_budget_and_none_ends_early(sizes, structures, atoms, edges):
    budget = Budget.of(structures, atoms, edges)
    one = order(sizes, budget)
    one.budget.check(one.atoms, one.edges)
    for batches in (one.epoch(5), one.in_order):
        assert sorted(np.concatenate(batches).tolist()) == list(range(len(sizes)))
        for k, batch in enumerate(batches):
            assert _fits(one, budget, batch)
            if k + 1 < len(batches):
                assert not _fits(one, budget, np.append(batch, batches[k + 1][0]))
    assert np.concatenate(one.in_order).tolist() == list(range(len(sizes)))


def _fits(one: Order, budget: Budget, batch: np.ndarray) -> bool:
    counts = (len(batch), one.atoms[batch].sum(), one.edges[batch].sum())
    limits = (budget.structures, budget.atoms, budget.edges)
    return all(limit is None or count <= limit for count, limit in zip(counts, limits, strict=True))


@given(SIZES)
def test_seed_and_epoch_alone_decide_the_order(sizes):
    budget = Budget(atoms=40)

    def seen(seed: int, epoch: int) -> list[list[int]]:
        return [batch.tolist() for batch in order(sizes, budget, seed).epoch(epoch)]

    assert seen(1, 2) == seen(1, 2)
    if len(sizes) > 12:
        assert len({str(seen(seed, epoch)) for seed in (1, 2) for epoch in (1, 2)}) == 4


@given(SIZES, st.integers(1, 4))
def test_steps_of_epochs_are_their_batches(sizes, epochs):
    for budget in (Budget(3), Budget(atoms=50)):
        one = order(sizes, budget)
        assert one.steps(epochs) == sum(len(one.epoch(epoch)) for epoch in range(epochs))


def test_the_order_by_number_is_the_one_it_always_was():
    # runs made before there were budgets are resumed exactly
    found = [batch.tolist() for batch in order([(6, 30)] * 10, Budget(4), seed=7).epoch(3)]
    permutation = np.random.default_rng((7, 3)).permutation(10).tolist()
    assert found == [permutation[:4], permutation[4:8], permutation[8:]]


def test_a_structure_larger_than_a_batch_is_refused():
    one = order([(5, 20), (12, 90), (30, 40)], Budget())
    with pytest.raises(ConfigError, match=r"batch_atoms is 10, but 2 of 3 .* the largest 30"):
        Budget(atoms=10).check(one.atoms, one.edges)
    with pytest.raises(ConfigError, match=r"batch_edges is 80, but 1 of 3 .* the largest 90"):
        Budget(edges=80).check(one.atoms, one.edges)
    Budget(atoms=30, edges=90).check(one.atoms, one.edges)


def test_a_budget_is_said_in_words():
    assert Budget.of(None, None, None).in_words == "8 structures"
    assert Budget.of(3, 4000, None).in_words == "at most 3 structures, 4,000 atoms"
    assert Budget.of(None, None, 90000).in_words == "at most 90,000 edges"


def test_a_store_is_never_read_whole(stored, potential, monkeypatch):
    asked = []
    together = StoredItems.together
    monkeypatch.setattr(
        StoredItems, "together", lambda self, places: asked.append(len(places)) or together(self, places)
    )
    list(Batches(potential, stored, 4, 0).epoch(0))
    assert max(asked) == 4


def test_the_folder_of_the_lists_is_in_the_store(stored):
    assert (Path(stored.store.path) / "neighbors").is_dir()
