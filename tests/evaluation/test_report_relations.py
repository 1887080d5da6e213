"""An atom's force error, shared out among the relations of its edges."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hermtk.data.structure import Structure
from hermtk.evaluation.report.relations import Shares
from hermtk.graph.neighbors import neighbor_pairs
from hermtk.models.build import build_model
from hermtk.models.config import ModelConfig
from hermtk.models.potential import Potential
from hermtk.testing.structures import crystal, molecule

ELEMENTS = (1, 6, 8)
VARIANTS = ("homogeneous", "hvnet", "hpnet", "htnet")


def model(variant: str, cutoff: float = 3.5) -> Potential:
    with torch.random.fork_rng(devices=[]):
        return build_model(ModelConfig(variant=variant, channels=4, layers=1, cutoff=cutoff), ELEMENTS)


def some(seed: int) -> list[Structure]:
    r = np.random.default_rng(seed)
    numbers = [tuple(r.choice(ELEMENTS, size).tolist()) for size in (1, 3, 6)]
    return [*(molecule(n, seed) for n in numbers), crystal((8, 1, 6), seed=seed)]


def errors(structure: Structure, seed: int) -> tuple[np.ndarray, np.ndarray]:
    r = np.random.default_rng(seed)
    return r.normal(size=(len(structure), 3)), r.normal(size=(len(structure), 3))


def by_definition(potential: Potential, structures: list[Structure], seed: int) -> dict[str, float]:
    """The same, one edge after the other."""
    table, cutoff = potential.table, potential.cutoff
    weighted: dict[str, list[tuple[float, float]]] = {}
    for s in structures:
        error, _ = errors(s, seed)
        pairs = neighbor_pairs(s.positions, s.cell, s.pbc, cutoff)
        for atom in range(len(s)):
            sums: dict[tuple[int, int], float] = {}
            for edge in np.flatnonzero(pairs.center == atom):
                a, shift = pairs.neighbor[edge], pairs.shift[edge]
                distance = np.linalg.norm(s.positions[a] + shift @ s.cell - s.positions[atom])
                near = potential.network.envelope(torch.tensor([distance]), cutoff).item()
                kinds = ELEMENTS.index(s.numbers[a]), ELEMENTS.index(s.numbers[atom])
                for r, side in zip(table.relation[kinds].tolist(), table.side[kinds].tolist(), strict=True):
                    sums[r, side] = sums.get((r, side), 0.0) + near
            whole = {r for r, _ in sums if not table.mixed[r] or {(r, 0), (r, 1)} <= set(sums)}
            of_relation = {r: sum(v for (q, _), v in sums.items() if q == r) for r in whole}
            total = sum(of_relation.values())
            for r, value in of_relation.items():
                if total > 0:
                    mae = float(np.abs(error[atom]).mean())
                    weighted.setdefault(table.labels[r], []).append((value / total, mae))
    return {
        name: sum(w * e for w, e in rows) / sum(w for w, _ in rows)
        for name, rows in weighted.items()
        if sum(w for w, _ in rows) > 0
    }


def shared(potential: Potential, structures: list[Structure], seed: int) -> Shares:
    shares = Shares(potential)
    for s in structures:
        shares.add(s, *errors(s, seed))
    return shares


@pytest.mark.parametrize("variant", VARIANTS)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_shares_are_those_of_the_definition(variant: str, seed: int):
    potential, structures = model(variant), some(seed)
    found = {part.name: part.mae for part in shared(potential, structures, seed).parts({})}
    assert found == pytest.approx(by_definition(potential, structures, seed))


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_shares_of_an_atom_add_up_to_one(variant: str):
    potential, structures = model(variant), some(3)
    shares = shared(potential, structures, 0)
    near = sum(
        len(np.unique(neighbor_pairs(s.positions, s.cell, s.pbc, potential.cutoff).center))
        for s in structures
    )
    assert shares.sums[0].sum() == pytest.approx(near)


def test_the_relations_of_centres_have_the_errors_of_the_elements():
    potential, structures = model("hvnet", cutoff=6.0), some(5)[1:]
    found = {part.name: part for part in shared(potential, structures, 1).parts({})}
    numbers = np.concatenate([s.numbers for s in structures])
    error = np.concatenate([errors(s, 1)[0] for s in structures])
    for name, z in (("H", 1), ("C", 6), ("O", 8)):
        part = found[name]
        assert part.mae == pytest.approx(np.abs(error[numbers == z]).mean())
        assert part.rmse == pytest.approx(np.sqrt(np.square(error[numbers == z]).mean()))
        assert part.expected == pytest.approx(part.mae)


def test_a_relation_that_carries_the_error_stands_out_from_its_element():
    carbons = np.array([[0.0, 0, 0], [1.3, 0, 0]])
    with_oxygen = Structure(np.array([6, 8]), carbons)
    with_hydrogen = Structure(np.array([6, 1]), carbons)
    shares = Shares(model("hpnet"))
    for s, size in ((with_oxygen, 1.0), (with_hydrogen, 0.1)):
        shares.add(s, np.full((2, 3), size), np.ones((2, 3)))
    found = {part.name: part for part in shares.parts({})}
    assert found["O-C"].mae == pytest.approx(1.0)
    assert found["H-C"].mae == pytest.approx(0.1)
    assert found["O-C"].expected == found["H-C"].expected == pytest.approx(0.55)


def test_atoms_without_a_reference_or_a_neighbor_count_nowhere():
    potential = model("hpnet")
    pair = Structure(np.array([6, 8, 1]), np.array([[0.0, 0, 0], [1.2, 0, 0], [50, 0, 0]]))
    error = np.array([[1.0, 1, 1], [np.nan] * 3, [7.0] * 3])
    shares = Shares(potential)
    shares.add(pair, error, np.ones((3, 3)))
    (part,) = shares.parts({})
    assert (part.name, part.mae) == ("O-C", 1.0)


def test_counts_in_training_come_from_the_facts_of_the_model():
    potential, structures = model("hpnet"), some(2)
    shares = shared(potential, structures, 0)
    parts = shares.parts({"seen": shares.used.facts()})
    assert parts
    assert all(part.seen == part.count > 0 for part in parts)
    assert all(part.seen is None for part in shares.parts({}))


def test_the_order_of_atoms_does_not_matter():
    potential, structure = model("htnet"), some(9)[2]
    error, true = errors(structure, 0)
    order = np.random.default_rng(1).permutation(len(structure))
    turned = replace(structure, numbers=structure.numbers[order], positions=structure.positions[order])
    one, two = Shares(potential), Shares(potential)
    one.add(structure, error, true)
    two.add(turned, error[order], true[order])
    assert np.allclose(one.sums, two.sums)
