"""Typed by centre B and the unordered pair of neighbour elements {A, C}: HTNet's relations (HermNet, Fig. 2).

An edge A to B stands in the triads A-B-C for every element C of the model, whether or not such a C is near: its members
depend on the edge and the element list alone.
"""

from collections.abc import Sequence

from hermtk.relations.base import Member, Relation


class Triad(Relation):
    """One relation per A-B-C with A <= C, N^2(N+1)/2 for N elements; the key's middle is the centre."""

    def members(self, neighbor: int, center: int, elements: Sequence[int]) -> list[Member]:
        return [
            Member((min(neighbor, other), center, max(neighbor, other)), side=int(neighbor > other))
            for other in elements
        ]
