"""Pairs of classes of elements: like elements share weights, so that many elements need few relations."""

from collections.abc import Sequence

from hermtk.data.elements import number_of, symbols
from hermtk.errors import ConfigError
from hermtk.relations.base import Member, Relation


class Classes(Relation):
    """One relation per (class of the neighbour, class of the centre); an element in no class is a class of its own."""

    def __init__(self, *, classes: list[list[str]]) -> None:
        """``classes``: symbols of the elements that share weights, for example ``[[Fe, Co, Ni], [Si, Ge]]``.

        Raises:
            ConfigError: an element stands in two classes.
            UnknownName: there is no such element.
        """
        self.classes = [sorted(number_of(symbol) for symbol in group) for group in classes]
        members = [number for group in self.classes for number in group]
        twice = {number for number in members if members.count(number) > 1}
        if twice:
            raise ConfigError(f"{', '.join(symbols(twice))}: an element can stand in one class only, once")
        self.lightest = {number: group[0] for group in self.classes for number in group}

    def members(self, neighbor: int, center: int, elements: Sequence[int]) -> list[Member]:
        """A class is known by its lightest element."""
        return [Member((self.lightest.get(neighbor, neighbor), self.lightest.get(center, center)))]

    def label(self, key: tuple[int, ...]) -> str:
        groups = {group[0]: group for group in self.classes if group}
        return "-".join("+".join(symbols(groups.get(number, [number]))) for number in key)
