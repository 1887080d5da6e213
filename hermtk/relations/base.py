"""The contract of a relation scheme: which relations hold an edge, said of its two elements alone."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import torch
from ase.data import chemical_symbols
from torch import Tensor


class Member(NamedTuple):
    """One relation that holds an edge: its ``key`` (atomic numbers) and on which ``side`` (0 or 1) the neighbour stands."""

    key: tuple[int, ...]
    side: int = 0


class Relation(ABC):
    """A rule that says which relations hold an edge. It sees the two elements and the model's element list, nothing else.

    That makes the members independent of the batch, and lets the whole scheme become one small table.
    Every edge must stand in the same number of relations.
    """

    @abstractmethod
    def members(self, neighbor: int, center: int, elements: Sequence[int]) -> list[Member]:
        """The relations that hold an edge from element ``neighbor`` to element ``center`` (atomic numbers)."""

    def label(self, key: tuple[int, ...]) -> str:
        """How a key is written: symbols joined by dashes, ``H-C-O``; ``all`` for the key of no element."""
        return "-".join(chemical_symbols[z] for z in key) or "all"


class RelationTable:
    """A scheme for a fixed list of elements, as tensors. N elements, R relations, M relations per edge.

    Attributes:
        keys: the R keys in order.
        relation: [N, N, M] index of the relations of an edge, by element index of neighbour and centre.
        side: [N, N, M] 0 or 1.
        sides: 2 where some relation tells two kinds of neighbour apart (triads), else 1.
        mixed: [R] bool, whether the relation has both sides.
        scale: [R] 1/sqrt(relations a centre can be in): fixed, so nothing depends on what a batch happens to hold.
    """

    def __init__(self, scheme: Relation, elements: Sequence[int]) -> None:
        self.elements = tuple(elements)
        found = [[scheme.members(a, b, self.elements) for b in self.elements] for a in self.elements]
        self.keys = sorted({m.key for row in found for cell in row for m in cell})
        self.labels = [scheme.label(key) for key in self.keys]
        index = {key: r for r, key in enumerate(self.keys)}
        self.relation = torch.tensor([[[index[m.key] for m in cell] for cell in row] for row in found])
        self.side = torch.tensor([[[m.side for m in cell] for cell in row] for row in found])
        self.sides = int(self.side.max()) + 1
        self.mixed = torch.zeros(len(self.keys), dtype=torch.bool)
        self.mixed[self.relation[self.side == 1]] = True
        self.scale = self._scale()

    def __len__(self) -> int:
        return len(self.keys)

    def _scale(self) -> Tensor:
        most = torch.zeros(len(self.keys), dtype=torch.float64)
        for center in range(len(self.elements)):
            held = self.relation[:, center].unique()
            most[held] = torch.clamp(most[held], min=float(len(held)))
        return most.rsqrt()
