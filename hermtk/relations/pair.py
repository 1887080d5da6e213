"""Typed by both atoms of the edge: HPNet's relations (HermNet, npj Comput. Mater. 8, 53 (2022), Fig. 2)."""

from collections.abc import Sequence

from hermtk.relations.base import Member, Relation


class Pair(Relation):
    """One relation per (neighbour, centre); unordered pairs share both directions."""

    def __init__(self, *, ordered: bool = True) -> None:
        """``ordered``: H to C and C to H are two relations (N^2 for N elements), else one (N(N+1)/2)."""
        self.ordered = ordered

    def members(self, neighbor: int, center: int, elements: Sequence[int]) -> list[Member]:
        pair = (neighbor, center)
        return [Member(pair if self.ordered else (min(pair), max(pair)))]
