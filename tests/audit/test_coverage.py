"""Coverage: counted as by hand, kept in facts, held against the relations of a variant."""

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit_world import molecules
from hermtk.audit.coverage import (
    SEEN_ENOUGH,
    Coverage,
    coverage_findings,
    in_words,
    rarely_seen,
    relation_table,
    seen_in_training,
    starving,
)
from hermtk.audit.views import view, views
from hermtk.data.dataset import read_structures
from hermtk.data.elements import symbols
from hermtk.data.structure import Structure
from hermtk.errors import UnknownName

CUTOFF = 3.0


def covered(structures: list[Structure], cutoff: float = CUTOFF) -> Coverage:
    coverage = Coverage()
    for _, _, seen in views({"": structures}, cutoff):
        coverage.add(seen.structure.numbers, seen.center, seen.neighbor)
    return coverage


def by_hand(structures: list[Structure]) -> dict[str, dict[str, list[int]]]:
    """The same facts, one angle after the other."""
    total = {title: Counter() for title in ("elements", "pairs", "triads")}
    within = {title: Counter() for title in total}
    for s in structures:
        seen = view(s, CUTOFF)
        names = symbols(s.numbers.tolist())
        here = {title: Counter() for title in total}
        here["elements"].update(names)
        for i in range(len(s)):
            near = seen.neighbor[seen.center == i].tolist()
            here["pairs"].update(f"{names[j]}-{names[i]}" for j in near)
            for j, k in combinations(near, 2):
                a, c = sorted((j, k), key=lambda n: s.numbers[n])
                here["triads"][f"{names[a]}-{names[i]}-{names[c]}"] += 1
        for title, counts in here.items():
            total[title].update(counts)
            within[title].update(counts.keys())
    return {
        title: {key: [n, within[title][key]] for key, n in counts.items()} for title, counts in total.items()
    }


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**31), st.integers(1, 4))
def test_counts_are_those_made_by_hand(seed, n):
    rng = np.random.default_rng(seed)
    structures = []
    for _ in range(n):
        size = int(rng.integers(1, 7))
        pbc = np.full(3, rng.random() < 0.5)
        cell = np.diag(rng.uniform(2.5, 5.0, 3)) if pbc.any() else np.zeros((3, 3))
        structures.append(Structure(rng.choice([1, 6, 8, 30], size), rng.uniform(0, 4, (size, 3)), cell, pbc))
    coverage = covered(structures)
    facts = coverage.facts()
    assert facts.pop("structures") == n
    assert facts == by_hand(structures)


def test_facts_and_back_again():
    coverage = covered([*molecules(4), *molecules(3, name="NH3")])
    again = Coverage.from_facts(coverage.facts())
    assert again.facts() == coverage.facts()
    table = relation_table("htnet", (1, 6, 7, 8))
    assert again.relations(table) == coverage.relations(table)


def test_edges_of_relations_are_those_of_their_pairs():
    coverage = covered(molecules(3))
    facts = coverage.facts()
    assert coverage.relations(relation_table("homogeneous", (1, 6, 8))) == {
        "all": sum(n for n, _ in facts["pairs"].values())
    }
    pairs = coverage.relations(relation_table("hpnet", (1, 6, 8)))
    assert {name: n for name, n in pairs.items() if n} == {name: n for name, (n, _) in facts["pairs"].items()}


def test_a_triad_is_seen_where_both_its_neighbours_are_together():
    # H and O near different carbons, never near the same
    separate = [
        Structure(np.array([1, 6]), np.array([[0.0, 0, 0], [0, 0, 1.1]])),
        Structure(np.array([8, 6]), np.array([[0.0, 0, 0], [0, 0, 1.2]])),
    ]
    together = [Structure(np.array([1, 6, 8]), np.array([[0.0, 0, 0], [0, 0, 1.1], [0, 0, 2.3]]))]
    table = relation_table("htnet", (1, 6, 8))
    assert covered(separate).relations(table)["H-C-O"] == 0
    assert covered(separate).edges(table)["H-C-O"] == 2
    assert covered(together).relations(table)["H-C-O"] == 1
    assert covered(separate).relations(table)["H-C-H"] == 1


def test_a_lone_atom_and_no_atoms_are_no_edges():
    coverage = covered([Structure(np.array([2]), np.zeros((1, 3)))])
    coverage.add(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64))
    assert coverage.facts() == {"structures": 1, "elements": {"He": [1, 1]}, "pairs": {}, "triads": {}}


def test_relations_that_the_test_uses_and_training_hardly_shows_are_named():
    sets = {"train": covered(molecules(4)), "test": covered([*molecules(2, 1), *molecules(1, name="CH3OH")])}
    assert [f.name for f in coverage_findings(sets, CUTOFF, "homogeneous")] == []
    findings = {f.name: f for f in coverage_findings(sets, CUTOFF, "hpnet")}
    starved = findings["starving-relations"]
    assert starved.severity == "warning"
    counts = starved.evidence["relations"]
    assert all(0 < row["train"] < SEEN_ENOUGH for row in counts.values())
    assert f"C-O ({counts['C-O']['train']})" in starved.summary
    assert "rare-relations" in findings


def test_relations_never_seen_are_an_error_and_unknown_elements_too():
    sets = {"train": covered(molecules(30)), "test": covered(molecules(2, name="CH3NO2"))}
    findings = {f.name: f for f in coverage_findings(sets, CUTOFF, "hvnet")}
    assert findings["unseen-elements"].evidence["elements"] == ["N"]
    assert findings["starving-relations"].severity == "error"
    assert findings["starving-relations"].evidence["relations"]["N"]["train"] == 0


def test_well_covered_sets_have_no_findings():
    sets = {"train": covered(molecules(120)), "test": covered(molecules(5, 1))}
    for variant in ("homogeneous", "hvnet", "hpnet"):
        assert [f for f in coverage_findings(sets, CUTOFF, variant) if f.name != "rare-relations"] == []


def test_an_unknown_variant_is_refused():
    with pytest.raises(UnknownName, match="htnet"):
        relation_table("htnett", (1, 8))


def test_what_is_not_known_is_not_called_rare():
    assert starving({"H-C": 5, "C-H": 400}, {"H-C": 1, "C-H": 1, "O-O": 7}) == {"H-C": 5}
    assert starving({"H-C": 5}, {"H-C": 0}) == {}
    assert in_words({f"r{k}": k for k in range(11)}).endswith("r7 (7) and 3 more")


def test_facts_of_a_model_say_what_it_has_rarely_seen():
    train, table = molecules(60), relation_table("hpnet", (1, 6, 8))
    facts = {"seen": covered(train).facts()}
    assert rarely_seen(facts, table, train, CUTOFF) == {}
    water = molecules(2, name="H2O2")
    assert rarely_seen(facts, table, water, CUTOFF) == {"O-O": 0}
    assert rarely_seen({}, table, water, CUTOFF) == {}
    # a file of an older version
    assert seen_in_training({"coverage": {"O-O": 3}}, table) == {"O-O": 3}
    assert rarely_seen({"coverage": {"O-O": 3}}, table, water, CUTOFF) == {"O-O": 3}


def test_triads_of_a_quaternary_alloy_starve_on_unary_and_binary_training(shared):
    train = read_structures(shared / "data" / "nbmotaw" / "train.npz")
    rng = np.random.default_rng(0)
    a = 3.24
    corners = np.stack(np.meshgrid(*[np.arange(3)] * 3, indexing="ij"), -1).reshape(-1, 3) * a
    positions = np.concatenate([corners, corners + a / 2])
    numbers = rng.permutation(np.resize([41, 42, 73, 74], len(positions)))
    cell = Structure(numbers, positions, np.eye(3) * 3 * a, np.ones(3, bool), source="quaternary")
    sets = {"train": covered(train[::20]), "test": covered([cell])}
    findings = {f.name: f for f in coverage_findings(sets, CUTOFF, "htnet")}
    starved = findings["starving-relations"].evidence["relations"]
    assert findings["starving-relations"].severity == "error"
    # three elements at one place are in no binary: 4 centres x 6 pairs of unlike neighbours, less those with the centre in
    assert {name for name, row in starved.items() if len(set(name.split("-"))) == 3} == set(starved)
    assert len(starved) == 12
    assert {row["train"] for row in starved.values()} == {0}
    assert not [f for f in coverage_findings(sets, CUTOFF, "hpnet") if f.name == "starving-relations"]
