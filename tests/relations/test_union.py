"""The union graph against a slow dictionary of subgraphs."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hermtk.relations.base import RelationTable
from hermtk.relations.center import Center
from hermtk.relations.pair import Pair
from hermtk.relations.plain import Plain
from hermtk.relations.triad import Triad
from hermtk.relations.union import Rows, UnionGraph, unite

SCHEMES = {
    "plain": Plain(),
    "center": Center(),
    "pair": Pair(),
    "unordered": Pair(ordered=False),
    "triad": Triad(),
}
ELEMENTS = (8, 1, 6)


@st.composite
def graphs(draw):
    """Elements by index, and edges sorted by centre; no atoms, no edges and lone atoms included."""
    atoms = draw(st.integers(0, 7))
    elements = draw(st.lists(st.integers(0, 2), min_size=atoms, max_size=atoms))
    ends = st.integers(0, max(atoms - 1, 0))
    edges = sorted(draw(st.lists(st.tuples(ends, ends), max_size=20 if atoms else 0)))
    return elements, [a for a, _ in edges], [b for _, b in edges]


def slow_subgraphs(table: RelationTable, elements, center, neighbor) -> dict[int, list[tuple]]:
    """For each relation its edges: (edge, centre atom, neighbour atom, side)."""
    found: dict[int, list[tuple]] = {r: [] for r in range(len(table))}
    for edge, (i, j) in enumerate(zip(center, neighbor, strict=True)):
        kinds = elements[j], elements[i]
        for relation, side in zip(table.relation[kinds].tolist(), table.side[kinds].tolist(), strict=True):
            found[relation].append((edge, i, j, side))
    return found


def rows_of(rows: Rows, relation: int) -> slice:
    ends = [0, *rows.ends.tolist()]
    return slice(ends[relation], ends[relation + 1])


def united(table: RelationTable, graph) -> UnionGraph:
    return unite(table, *(torch.tensor(part, dtype=torch.long) for part in graph))


@pytest.mark.parametrize("name", SCHEMES)
@settings(max_examples=40, deadline=None)
@given(graph=graphs())
def test_the_union_is_the_subgraphs_side_by_side(name, graph):
    table = RelationTable(SCHEMES[name], ELEMENTS)
    union = united(table, graph)
    for relation, edges in slow_subgraphs(table, *graph).items():
        k, p, q = (rows_of(rows, relation) for rows in (union.edges, union.sources, union.centers))
        assert union.edge[k].tolist() == [edge for edge, *_ in edges]
        assert union.center_atom[union.center[k]].tolist() == [i for _, i, *_ in edges]
        assert union.source_atom[union.neighbor[k]].tolist() == [j for _, _, j, _ in edges]
        assert union.neighbor_atom[k].tolist() == [j for _, _, j, _ in edges]
        assert union.center_atom[q].tolist() == sorted({i for _, i, *_ in edges})
        assert union.source_atom[p].tolist() == sorted({j for _, _, j, _ in edges})
        if union.side is not None:
            assert union.side[k].tolist() == [side for *_, side in edges]


@pytest.mark.parametrize("name", SCHEMES)
@settings(max_examples=40, deadline=None)
@given(graph=graphs())
def test_a_source_slot_knows_the_center_slot_of_its_atom_and_relation(name, graph):
    union = united(RelationTable(SCHEMES[name], ELEMENTS), graph)
    slots = list(zip(union.centers.relation.tolist(), union.center_atom.tolist(), strict=True))
    for source in range(len(union.source_atom)):
        wanted = int(union.sources.relation[source]), int(union.source_atom[source])
        expected = slots.index(wanted) if wanted in slots else -1
        assert int(union.center_of_source[source]) == expected


@pytest.mark.parametrize("name", SCHEMES)
@settings(max_examples=40, deadline=None)
@given(graph=graphs())
def test_rows_are_sorted_by_relation_and_centers_ascend(name, graph):
    table = RelationTable(SCHEMES[name], ELEMENTS)
    union = united(table, graph)
    assert bool((union.center.diff() >= 0).all())
    for rows in (union.edges, union.sources, union.centers):
        assert rows.ends.dtype == torch.int32
        assert len(rows.ends) == len(table)
        expected = torch.bincount(rows.relation, minlength=len(table)).cumsum(0)
        assert torch.equal(rows.ends.long(), expected)


def test_mixed_slots_are_those_of_triads_with_two_different_ends():
    table = RelationTable(Triad(), ELEMENTS)
    union = united(table, ([0, 1, 2], [0, 0, 1], [1, 2, 0]))
    keys = [table.keys[r] for r in union.centers.relation.tolist()]
    assert union.mixed is not None
    assert union.mixed.tolist() == [a != c for a, _, c in keys]


@pytest.mark.parametrize("name", SCHEMES)
def test_no_edges_make_an_empty_union(name):
    union = united(RelationTable(SCHEMES[name], ELEMENTS), ([0, 1], [], []))
    assert len(union.edge) == len(union.center_atom) == len(union.source_atom) == 0


def test_relations_of_an_edge_do_not_depend_on_what_else_is_there():
    table = RelationTable(Triad(), ELEMENTS)
    alone = united(table, ([0, 1], [0], [1]))
    crowded = united(table, ([0, 1, 2, 2], [0, 0, 2, 3], [1, 2, 3, 2]))
    first = crowded.edge == 0
    assert torch.equal(alone.edges.relation, crowded.edges.relation[first])
