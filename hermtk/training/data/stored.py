"""Graphs with labels that stay on disk: a store and its neighbour lists, joined batch by batch."""

from collections.abc import Callable
from typing import overload

import numpy as np
import torch
from jaxtyping import Int

from hermtk.data.columns import starts
from hermtk.data.store import Store
from hermtk.graph.cache import NeighborLists, neighbor_lists
from hermtk.graph.graph import Graph
from hermtk.training.data.batches import Items, Labelled

Array = np.ndarray


class StoredItems(Items):
    """What ``prepare`` makes of a list, for a store: the same graphs and labels, bit for bit, but never all at once."""

    def __init__(self, store: Store, lists: NeighborLists) -> None:
        self.store, self.lists = store, lists

    def __len__(self) -> int:
        return len(self.store)

    @overload
    def __getitem__(self, place: int) -> Labelled: ...
    @overload
    def __getitem__(self, place: slice) -> "StoredItems": ...
    def __getitem__(self, place: int | slice) -> "Labelled | StoredItems":
        if isinstance(place, slice):
            return StoredItems(self.store.pick(place), self.lists)
        return self.together(np.arange(len(self))[[place]])

    @property
    def atoms(self) -> Int[Array, " structures"]:
        return self.store.sizes

    @property
    def edges(self) -> Int[Array, " structures"]:
        return self.lists.edges(self.store.index)

    def together(self, places: Int[Array, " some"]) -> Labelled:
        some = self.store.pick(places)
        lists, sizes = self.lists.of(some.index), some.sizes
        first, total = starts(sizes), int(sizes.sum())
        edges = int(lists.edges.sum())
        graph = Graph(
            numbers=torch.from_numpy(some.rows("numbers").astype(np.int64)),
            positions=torch.from_numpy(some.rows("positions")),
            structure=torch.from_numpy(np.repeat(np.arange(len(some)), sizes)),
            cell=torch.from_numpy(some.values("cell")),
            center=torch.from_numpy(np.repeat(np.arange(total), lists.degree)),
            neighbor=torch.from_numpy(lists.neighbor + np.repeat(first[:-1], lists.edges)),
            shift=torch.zeros(edges, 3, dtype=torch.float64)
            if lists.shift is None
            else torch.from_numpy(lists.shift.astype(np.float64)),
        )
        energy, forces, stress = some.values("energy"), some.rows("forces"), some.values("stress")
        return Labelled(graph, torch.from_numpy(energy), torch.from_numpy(forces), torch.from_numpy(stress))


def prepare_store(store: Store, cutoff: float, advance: Callable[[int], None] | None = None) -> StoredItems:
    """A store's structures as items; their neighbour lists are computed where its folder has none yet.

    Raises:
        RunError: the neighbour lists cannot be kept.
    """
    return StoredItems(store, neighbor_lists(store, cutoff, advance))
