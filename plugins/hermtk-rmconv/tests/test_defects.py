"""What is wrong in the published networks, shown one by one; the numbers are those of the list in the README."""

import numpy as np
import pytest
import torch
from ase.build import bulk

from hermtk.data.structure import Structure
from hermtk.graph.build import build_graph
from hermtk_rmconv.evaluate import evaluate
from hermtk_rmconv.formulas import fading
from hermtk_rmconv.pairs import edge_vectors, find_pairs
from small import CO, ELEMENTS, FORMALDEHYDE, KINDS, WATER, apart, beside, network

every_kind = pytest.mark.parametrize("kind", KINDS)


@every_kind
def test_1_an_energy_depends_on_what_else_is_in_the_batch(kind):
    model = network(kind)
    alone = evaluate(model, WATER[1], WATER[0]).energies[0]
    numbers, positions, batch = beside(WATER, CO)
    together = evaluate(model, positions, numbers, batch=batch).energies[0]
    assert abs(together / alone - 1) > 1e-3


@every_kind
def test_2_two_far_molecules_do_not_have_twice_the_energy(kind):
    model = network(kind)
    numbers, positions = FORMALDEHYDE
    one = evaluate(model, positions, numbers)
    # not by a multiple of 20, see 8
    far = torch.cat([positions, positions + 110.0])
    two = evaluate(model, far, numbers.repeat(2))
    assert apart(two.features[-1][0], one.features[-1][0].repeat(2, 1)) < 1e-9
    assert abs(two.energies / (2 * one.energies) - 1) > 1e-2


def test_3_where_the_readout_saturates_there_are_no_forces():
    model = network()
    before = evaluate(model, FORMALDEHYDE[1], FORMALDEHYDE[0])
    with torch.no_grad():
        model.fc[0].bias -= 60.0
    after = evaluate(model, FORMALDEHYDE[1], FORMALDEHYDE[0])
    assert before.forces.abs().max() > 1e-2
    assert after.forces.abs().max() < 1e-12
    assert torch.equal(before.pool, after.pool)


@every_kind
def test_4_eps_is_a_constant_of_the_model(kind):
    found = [evaluate(network(kind, eps=eps), FORMALDEHYDE[1], FORMALDEHYDE[0]) for eps in (1e-5, 1e-4)]
    assert apart(found[0].forces, found[1].forces) > 3e-3


@every_kind
def test_4_near_a_symmetric_place_forces_are_not_in_proportion_to_the_displacement(kind):
    def stiffness(step: float, eps: float) -> float:
        line = torch.tensor([[-1.2, 0.0, 0.0], [step, 0.0, 0.0], [1.2, 0.0, 0.0]]).double()
        found = evaluate(network(kind, eps=eps), line, torch.tensor([6, 6, 6]))
        return float(found.forces[1, 0]) / step

    assert abs(stiffness(1e-2, 1e-5) / stiffness(1e-4, 1e-5) - 1) > 0.3
    assert abs(stiffness(1e-2, 1.0) / stiffness(1e-4, 1.0) - 1) < 0.01


@every_kind
def test_5_energy_and_forces_jump_where_a_neighbor_crosses_the_cutoff(kind):
    def at(distance: float):
        trimer = torch.tensor([[0.0, 0.0, 0.0], [1.2, 0.0, 0.0], [-distance, 0.0, 0.0]])
        return evaluate(network(kind), trimer, torch.tensor([6, 8, 1]))

    before, inside, outside, after = (at(d) for d in (4.9998, 4.9999, 5.0001, 5.0002))
    jump = abs(float(outside.energies - inside.energies))
    assert jump > 30 * abs(float(inside.energies - before.energies))
    assert jump > 30 * abs(float(after.energies - outside.energies))
    assert (outside.forces - inside.forces).norm() > 30 * (inside.forces - before.forces).norm()


@pytest.mark.parametrize(
    ("crystal", "kept", "true"),
    [
        (bulk("Cu", "fcc", a=3.615), 0, 42),
        (bulk("Cu", "fcc", a=3.615, cubic=True), 12, 168),
        (bulk("Cu", "fcc", a=3.615, cubic=True).repeat(2), 864, 1344),
        (bulk("Si", "diamond", a=5.43, cubic=True), 56, 224),
    ],
)
def test_6_boxes_below_twice_the_cutoff_lose_neighbors(crystal, kept, true):
    positions, cell = torch.tensor(crystal.positions), torch.tensor(crystal.cell.array)
    source, _ = find_pairs(positions, torch.zeros(len(crystal), dtype=torch.long), cell.unsqueeze(0), 5.0)
    whole = build_graph(Structure(crystal.numbers, crystal.positions, crystal.cell.array, crystal.pbc), 5.0)
    assert (len(source), whole.n_edges) == (kept, true)


def test_7_atoms_that_are_not_wrapped_lose_their_neighbors():
    cell = 12.0 * torch.eye(3).double()
    numbers, positions = FORMALDEHYDE
    batch = torch.zeros_like(numbers)
    edges = find_pairs(positions, batch, cell.unsqueeze(0), 5.0)
    moved = positions.clone()
    moved[1] += 2 * cell[0]
    here, there = (edge_vectors(x, *edges, batch, cell.unsqueeze(0)).norm(dim=1) for x in (positions, moved))
    assert here.max() < 5.0
    assert there.max() > 7.0
    # so crystals are wrapped first here, as in the published data sets
    model = network()
    wrapped = [evaluate(model, x, numbers, cell) for x in (positions, moved)]
    assert apart(wrapped[0].energies, wrapped[1].energies) < 1e-12
    assert apart(evaluate(model, moved, numbers, cell, edges=edges).energies, wrapped[0].energies) > 1e-4


def test_8_molecules_meet_their_images_in_a_box_that_nobody_sees():
    numbers = torch.cat([WATER[0], WATER[0]])
    positions = torch.cat([WATER[1], WATER[1] + torch.tensor([16.0, 0.0, 0.0])])
    batch = torch.zeros_like(numbers)
    source, destination = find_pairs(positions, batch, None, 5.0)
    lengths = edge_vectors(positions, source, destination, batch, None).norm(dim=1)
    false = lengths > 5.0
    assert false.any()
    assert lengths[false].min() > 14.0
    found = evaluate(network(), positions, numbers)
    true = evaluate(network(), positions, numbers, edges=(source[~false], destination[~false]))
    assert apart(found.energies, true.energies) > 1e-3


def test_9_the_filter_rises_again_beyond_the_cutoff():
    at = fading(torch.tensor([[4.9], [5.0], [6.0], [10.0]]).double(), 5.0).squeeze(-1)
    assert at[1] < 1e-10
    assert at[2] > 0.05
    assert at[3] == pytest.approx(1.0)


def test_10_the_filter_of_htnet_never_vanishes():
    model = network("HTNet")
    relation = model.get_submodule("hermconv1.mods.C-C-C")
    distances = torch.tensor([1.0, 3.0, 4.9, 5.0, 6.0]).double()
    filtered = relation.filter(model.geometry(distances.unsqueeze(1) * torch.eye(3).double()[:1]))
    assert filtered.shape == (5, 1)
    assert filtered.min() > 0.1


def test_11_neighbors_of_another_element_have_no_vectors_in_the_first_layer():
    model = network()
    before = evaluate(model, WATER[1], WATER[0]).features[0]
    update = model.get_submodule("hermconv1.mods.O.us2")
    with torch.no_grad():
        # the weights that multiply the vectors, and their "angle"
        update.get_parameter("weight")[:32] += 1.0
    after = evaluate(model, WATER[1], WATER[0]).features[0]
    assert torch.equal(before[0], after[0])
    assert torch.equal(before[1], after[1])


@every_kind
def test_11_channels_of_vectors_never_meet(kind):
    model = network(kind)
    name = "O" if kind == "HVNet" else "H-O-H"
    relation = model.get_submodule(f"hermconv1.mods.{name}")
    flat = torch.tensor([[0.9, 0.3, 0.0], [-0.8, 0.5, 0.0]]).double()
    s, v = (
        torch.randn(3, 16, generator=torch.Generator().manual_seed(2)).double(),
        torch.zeros(3, 16, 3).double(),
    )
    v[1:, 0, 2] = 1.0
    source, destination = torch.tensor([1, 2]), torch.tensor([0, 0])
    with torch.no_grad():
        _, dv = relation((s, v), source, destination, model.geometry(flat), None)
    assert dv[0, 0, 2] != 0
    assert not dv[0, 1:, 2].any()


def test_11_an_atom_does_not_read_its_own_vectors():
    model = network()
    relation = model.get_submodule("hermconv1.mods.O")
    s, v = torch.ones(2, 16).double(), torch.zeros(2, 16, 3).double()
    own = v.clone()
    own[0] = 1.0
    with torch.no_grad():
        geometry = model.geometry(torch.tensor([[1.0, 0.2, 0.0]]).double())
        changes = [relation((s, x), torch.tensor([1]), torch.tensor([0]), geometry, None) for x in (v, own)]
    assert torch.equal(changes[0][0], changes[1][0])
    assert torch.equal(changes[0][1], changes[1][1])


def test_12_the_readout_drops_half_of_its_units_in_training_whatever_is_asked_for():
    model = network(dropout=0.0).train()
    energies = [evaluate(model, WATER[1], WATER[0]).energies for _ in range(5)]
    assert torch.cat(energies).std() > 1e-3


def test_13_an_element_without_relations_is_accepted_in_silence():
    numbers = FORMALDEHYDE[0].clone()
    numbers[0] = 7
    assert "N" not in ELEMENTS
    found = evaluate(network(), FORMALDEHYDE[1], numbers)
    assert torch.isfinite(found.energies).all()
    assert torch.equal(found.features[-1][0][0], network().embed.weight[7])


def test_14_the_division_by_edges_does_not_tell_one_neighbor_from_many():
    # the second step takes means: more of the same neighbours change nothing in it
    relation = network().get_submodule("hermconv1.mods.C")
    with torch.no_grad():
        for part in ("ms2", "us1"):
            relation.get_submodule(part).get_parameter("weight").zero_()
            relation.get_submodule(part).get_parameter("bias").zero_()
        s, v = torch.ones(4, 16).double(), torch.ones(4, 16, 3).double()
        changes = []
        for count in (1, 3):
            geometry = network().geometry(torch.ones(count, 3).double())
            source, center = torch.arange(1, count + 1), torch.zeros(count, dtype=torch.long)
            changes.append(relation((s, v), source, center, geometry, None)[0][0])
    assert np.allclose(changes[0], changes[1], rtol=1e-13)
    assert changes[0].abs().max() > 1e-3
