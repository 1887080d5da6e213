"""What is right in the published networks: symmetries, and derivatives of any order."""

import numpy as np
import pytest
import torch

from hermtk.errors import DataError
from hermtk_rmconv.evaluate import evaluate
from hermtk_rmconv.original import relation_names
from hermtk_rmconv.pairs import edge_vectors, find_pairs
from small import CO, FORMALDEHYDE, KINDS, WATER, apart, beside, network

every_kind = pytest.mark.parametrize("kind", KINDS)
BOX = 20.0 * torch.eye(3).double()


@pytest.mark.parametrize(("n", "triads"), [(1, 1), (2, 6), (3, 18), (4, 40), (5, 75)])
def test_there_are_as_many_relations_as_published(n, triads):
    elements = ["Cr", "Fe", "Ni", "Mn", "Co"][:n]
    assert relation_names("HVNet", elements) == elements
    assert len(set(relation_names("HTNet", elements))) == triads


def test_triads_are_named_in_the_order_of_the_elements():
    assert set(relation_names("HTNet", ["O", "H"])) == {
        "O-O-O", "O-H-O", "H-O-H", "H-H-H", "O-O-H", "O-H-H",
    }  # fmt: skip


@every_kind
@pytest.mark.parametrize("cell", [None, BOX])
def test_energies_follow_rotations_and_mirrors_and_forces_turn(kind, cell):
    model = network(kind)
    numbers, positions = FORMALDEHYDE
    turn = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(1)).double())[0]
    turned = None if cell is None else cell @ turn.T
    for matrix in (turn, -turn):
        here = evaluate(model, positions, numbers, cell)
        there = evaluate(model, positions @ matrix.T, numbers, turned)
        assert apart(here.energies, there.energies) < 1e-12
        assert apart(here.forces @ matrix.T, there.forces) < 1e-9
        for (s, v), (t, w) in zip(here.features, there.features, strict=True):
            assert apart(s, t) < 1e-12
            assert apart(v @ matrix.T, w) < 1e-10


@every_kind
def test_atoms_have_no_order(kind):
    numbers, positions = FORMALDEHYDE
    order = torch.tensor([2, 0, 3, 1])
    here = evaluate(network(kind), positions, numbers)
    there = evaluate(network(kind), positions[order], numbers[order])
    assert apart(here.energies, there.energies) < 1e-12
    assert apart(here.forces[order], there.forces) < 1e-9


@every_kind
def test_molecules_and_crystals_differ_by_the_sign_of_vectors_only(kind):
    numbers, positions = FORMALDEHYDE
    free, boxed = (
        evaluate(network(kind), positions, numbers),
        evaluate(network(kind), positions, numbers, BOX),
    )
    assert apart(free.energies, boxed.energies) < 1e-12
    assert apart(free.forces, boxed.forces) < 1e-9
    for (s, v), (t, w) in zip(free.features, boxed.features, strict=True):
        assert apart(s, t) < 1e-12
        assert apart(v, -w) < 1e-12


@every_kind
@pytest.mark.parametrize("cell", [None, BOX])
def test_first_and_second_derivatives_are_right(kind, cell):
    model = network(kind)
    numbers, positions = WATER
    batch = torch.zeros_like(numbers)
    cell = None if cell is None else cell.unsqueeze(0)
    edges = find_pairs(positions, batch, cell, model.cutoff)

    def energy(x):
        return model(numbers, edge_vectors(x, *edges, batch, cell), *edges, batch, 1).energy

    x = positions.clone().requires_grad_()
    assert torch.autograd.gradcheck(energy, (x,))
    assert torch.autograd.gradgradcheck(energy, (x,))


def test_forces_are_the_slope_of_the_energy_of_every_structure_of_a_crystal_batch():
    model = network("HTNet")
    numbers, positions, batch = beside(WATER, FORMALDEHYDE)
    cells = torch.stack([BOX, 0.6 * BOX + torch.tensor(np.triu(np.ones((3, 3)), 1))])
    found = evaluate(model, positions, numbers, cells, batch)
    along = torch.randn(positions.shape, generator=torch.Generator().manual_seed(0)).double()
    ahead, behind = (
        evaluate(model, positions + step * along, numbers, cells, batch).energies for step in (1e-6, -1e-6)
    )
    assert float((ahead - behind).sum() / 2e-6) == pytest.approx(
        -float((found.forces * along).sum()), rel=1e-6
    )


def test_a_batch_of_the_same_elements_equals_one_by_one():
    model = network("HVNet")
    moved = FORMALDEHYDE[0], FORMALDEHYDE[1] * 1.07
    numbers, positions, batch = beside(FORMALDEHYDE, moved)
    together = evaluate(model, positions, numbers, batch=batch)
    alone = [evaluate(model, x, z) for z, x in (FORMALDEHYDE, moved)]
    assert apart(together.energies, torch.cat([one.energies for one in alone])) < 1e-13
    assert apart(together.forces, torch.cat([one.forces for one in alone])) < 1e-11


def test_an_intensive_network_reads_the_mean():
    numbers, positions = CO
    pools = [evaluate(network(intensive=mean), positions, numbers).pool for mean in (True, False)]
    assert apart(2 * pools[0], pools[1]) < 1e-13


def test_atoms_without_edges_keep_their_embedding():
    model = network()
    numbers = torch.tensor([6, 8])
    found = evaluate(model, torch.tensor([[0.0, 0.0, 0.0], [9.0, 0.0, 0.0]]), numbers)
    assert torch.equal(found.features[-1][0], model.embed(numbers))
    assert not found.forces.any()


def test_a_number_that_is_no_element_is_refused():
    with pytest.raises(DataError, match="119"):
        evaluate(network(), CO[1], torch.tensor([6, 119]))
