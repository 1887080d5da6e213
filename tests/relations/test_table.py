"""How many relations there are, which hold an edge, and that nothing but the edge decides."""

import pytest
import torch

from hermtk.relations.base import RelationTable
from hermtk.relations.center import Center
from hermtk.relations.pair import Pair
from hermtk.relations.plain import Plain
from hermtk.relations.triad import Triad

ELEMENTS = (8, 1, 26, 6, 79)
SCHEMES = {
    "plain": Plain(),
    "center": Center(),
    "pair": Pair(),
    "unordered pair": Pair(ordered=False),
    "triad": Triad(),
}


def expected_count(name: str, n: int) -> int:
    return {
        "plain": 1,
        "center": n,
        "pair": n * n,
        "unordered pair": n * (n + 1) // 2,
        "triad": n * n * (n + 1) // 2,
    }[name]


@pytest.mark.parametrize("n", [1, 2, 3, 5])
@pytest.mark.parametrize("name", SCHEMES)
def test_there_are_as_many_relations_as_the_paper_says(name, n):
    assert len(RelationTable(SCHEMES[name], ELEMENTS[:n])) == expected_count(name, n)


@pytest.mark.parametrize(("n", "count"), [(5, 75), (10, 550), (20, 4200)])
def test_triads_grow_as_the_specification_lists(n, count):
    assert len(RelationTable(Triad(), tuple(range(1, n + 1)))) == count


@pytest.mark.parametrize("name", SCHEMES)
def test_an_edge_stands_in_one_relation_and_in_triads_in_one_per_element(name):
    table = RelationTable(SCHEMES[name], ELEMENTS)
    assert table.relation.shape == (5, 5, 5 if name == "triad" else 1)
    for members in table.relation.flatten(0, 1).tolist():
        assert len(set(members)) == len(members)


@pytest.mark.parametrize("name", SCHEMES)
def test_the_order_of_elements_does_not_change_the_relations(name):
    one, other = RelationTable(SCHEMES[name], ELEMENTS), RelationTable(SCHEMES[name], sorted(ELEMENTS))
    assert one.keys == other.keys == sorted(one.keys)
    for a in ELEMENTS:
        for b in ELEMENTS:
            here = one.relation[ELEMENTS.index(a), ELEMENTS.index(b)]
            there = other.relation[sorted(ELEMENTS).index(a), sorted(ELEMENTS).index(b)]
            assert sorted(here.tolist()) == sorted(there.tolist())


def test_pairs_tell_the_sender_from_the_receiver():
    table = RelationTable(Pair(), (1, 8))
    hydrogen_to_oxygen, oxygen_to_hydrogen = table.relation[0, 1, 0], table.relation[1, 0, 0]
    assert table.keys[hydrogen_to_oxygen] == (1, 8)
    assert table.keys[oxygen_to_hydrogen] == (8, 1)


def test_unordered_pairs_do_not():
    table = RelationTable(Pair(ordered=False), (1, 8))
    assert table.relation[0, 1, 0] == table.relation[1, 0, 0]


def test_an_edge_stands_in_the_triads_of_its_center_whatever_else_is_near():
    table = RelationTable(Triad(), (1, 6, 8))
    members = {table.keys[r] for r in table.relation[0, 1].tolist()}
    assert members == {(1, 6, 1), (1, 6, 6), (1, 6, 8)}


def test_the_two_ends_of_a_triad_are_its_two_sides():
    table = RelationTable(Triad(), (8, 1, 6))
    for neighbor, element in enumerate(table.elements):
        for center in range(3):
            for relation, side in zip(
                table.relation[neighbor, center], table.side[neighbor, center], strict=True
            ):
                first, _, last = table.keys[relation]
                assert (first, last)[side] == element
                assert bool(table.mixed[relation]) == (first != last)


@pytest.mark.parametrize("name", ["plain", "center", "pair", "unordered pair"])
def test_only_triads_have_two_sides(name):
    table = RelationTable(SCHEMES[name], ELEMENTS)
    assert table.sides == 1
    assert not table.mixed.any()


@pytest.mark.parametrize(
    ("name", "per_center"), [("plain", 1), ("center", 1), ("pair", 5), ("unordered pair", 5), ("triad", 15)]
)
def test_increments_are_scaled_by_the_relations_a_center_can_be_in(name, per_center):
    table = RelationTable(SCHEMES[name], ELEMENTS)
    torch.testing.assert_close(table.scale, torch.full((len(table),), per_center**-0.5, dtype=torch.float64))


@pytest.mark.parametrize(
    ("name", "label"), [("plain", "all"), ("center", "H"), ("pair", "H-H"), ("triad", "H-H-H")]
)
def test_labels_are_symbols_joined_by_dashes(name, label):
    assert RelationTable(SCHEMES[name], (1, 6)).labels[0] == label


def test_a_triad_is_labelled_end_center_end():
    assert Triad().label((1, 6, 8)) == "H-C-O"
