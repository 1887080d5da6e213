"""Which structures make up each batch: decided by seed, epoch and the structures' sizes alone."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Int

from hermtk.errors import ConfigError

# structures of a batch where nothing is said
BATCH_SIZE = 8

Array = np.ndarray


@dataclass(frozen=True)
class Budget:
    """The most structures, atoms and edges that a batch may hold; None where there is no limit.

    What a step needs of memory grows with the atoms and edges of its batch, so these bound it.
    """

    structures: int | None = None
    atoms: int | None = None
    edges: int | None = None

    @classmethod
    def of(cls, structures: int | None, atoms: int | None, edges: int | None) -> "Budget":
        """Of what a configuration says: ``BATCH_SIZE`` structures where it says nothing."""
        return cls(BATCH_SIZE if structures is atoms is edges is None else structures, atoms, edges)

    @property
    def in_words(self) -> str:
        """``8 structures``; ``at most 4,000 atoms``."""
        limits = {"structures": self.structures, "atoms": self.atoms, "edges": self.edges}
        said = ", ".join(f"{limit:,} {name}" for name, limit in limits.items() if limit is not None)
        return said if self.counts_structures else f"at most {said}"

    @property
    def counts_structures(self) -> bool:
        """Whether the number of structures alone decides."""
        return self.atoms is None and self.edges is None

    def check(self, atoms: Int[Array, " structures"], edges: Int[Array, " structures"]) -> None:
        """Refuse a set with a structure that is larger than a whole batch may be.

        Raises:
            ConfigError: names the key, the limit and the largest structure.
        """
        for name, limit, sizes in (("atoms", self.atoms, atoms), ("edges", self.edges, edges)):
            largest = int(sizes.max(initial=0))
            if limit is not None and largest > limit:
                raise ConfigError(
                    f"training.batch_{name} is {limit}, but {int((sizes > limit).sum())} of {len(sizes)} structures have more "
                    f"{name} than that, the largest {largest}: allow as many, or leave these structures out"
                )


@dataclass(frozen=True)
class Order:
    """Batches of a fixed set.

    Attributes:
        atoms, edges: of each structure.
        budget: what a batch may hold.
        seed: of the order; epoch ``k`` is the same whenever and however often it is asked for.
    """

    atoms: Int[Array, " structures"]
    edges: Int[Array, " structures"]
    budget: Budget
    seed: int

    def __len__(self) -> int:
        """Batches of the first epoch; of every one where structures alone are counted."""
        return len(self.epoch(0))

    def epoch(self, epoch: int) -> list[Int[Array, " _"]]:
        """The structures of each batch of an epoch."""
        return self._cut(np.random.default_rng((self.seed, epoch)).permutation(len(self.atoms)))

    @cached_property
    def in_order(self) -> list[Int[Array, " _"]]:
        """Every structure once, in the order of the file."""
        return self._cut(np.arange(len(self.atoms)))

    def steps(self, epochs: int) -> int:
        """Batches of that many epochs."""
        if self.budget.counts_structures:
            return epochs * len(self)
        return sum(len(self.epoch(epoch)) for epoch in range(epochs))

    def share(self, places: Int[Array, " _"], rank: int, count: int) -> Int[Array, " _"]:
        """What one of ``count`` processes does of a batch, in its order: about as many edges and atoms as each of the others.

        The largest structures are dealt first, each to whoever has least; with fewer structures than processes some have none.
        """
        if count == 1:
            return places
        work = self.edges[places] + self.atoms[places]
        load, owner = np.zeros(count, np.int64), np.empty(len(places), np.int64)
        for place in np.argsort(-work, kind="stable"):
            owner[place] = least = int(load.argmin())
            load[least] += work[place]
        return places[owner == rank]

    def _cut(self, order: Int[Array, " structures"]) -> list[Int[Array, " _"]]:
        """The order in pieces, each as long as the budget allows and one structure at least."""
        n = len(order)
        step = self.budget.structures or max(n, 1)
        if self.budget.counts_structures:
            return [order[first : first + step] for first in range(0, n, step)]
        limits = [
            (np.concatenate([[0], np.cumsum(sizes[order])]), limit)
            for sizes, limit in ((self.atoms, self.budget.atoms), (self.edges, self.budget.edges))
            if limit is not None
        ]
        pieces, first = [], 0
        while first < n:
            ends = [
                int(np.searchsorted(total, total[first] + limit, side="right")) - 1 for total, limit in limits
            ]
            last = max(min(first + step, n, *ends), first + 1)
            pieces.append(order[first:last])
            first = last
        return pieces
