"""No typing: one relation holds every edge. The control of every comparison."""

from collections.abc import Sequence

from hermtk.relations.base import Member, Relation


class Plain(Relation):
    """All edges alike."""

    def members(self, neighbor: int, center: int, elements: Sequence[int]) -> list[Member]:
        return [Member(())]
