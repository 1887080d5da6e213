"""Typed by the atom that receives: HVNet's relations (HermNet, npj Comput. Mater. 8, 53 (2022), Fig. 2)."""

from collections.abc import Sequence

from hermtk.relations.base import Member, Relation


class Center(Relation):
    """One relation per element of the receiving atom."""

    def members(self, neighbor: int, center: int, elements: Sequence[int]) -> list[Member]:
        return [Member((center,))]
