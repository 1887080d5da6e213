"""The shell around the kernel: what is asked for, and the signs of forces and stress."""

import numpy as np
import pytest
import torch

from hermtk.data.structure import Structure
from hermtk.graph.build import build_graph
from hermtk.graph.graph import Graph, edge_vectors
from hermtk.models.potential import Potential
from hermtk.physics.derivatives import forces_from, predict, stress_from
from hermtk.testing import Subject, structures
from hermtk.testing.structures import ORGANIC

SUBJECT = Subject("painn", "htnet")


@pytest.fixture(scope="module")
def potential() -> Potential:
    return SUBJECT.make(ORGANIC)


def springs(graph: Graph, rest: float = 1.0) -> torch.Tensor:
    """dE/d(edge vector) of E = sum over directed edges of (d - rest)^2 / 4: each pair is a spring of unit stiffness."""
    vectors = edge_vectors(graph)
    d = vectors.norm(dim=1, keepdim=True)
    return 0.5 * (d - rest) * vectors / d


def test_a_stretched_spring_pulls_its_ends_together():
    graph = build_graph(Structure(np.array([1, 1]), np.array([[0.0, 0, 0], [1.5, 0, 0]])), 4.0)
    torch.testing.assert_close(
        forces_from(springs(graph), graph), torch.tensor([[0.5, 0, 0], [-0.5, 0, 0]]).double()
    )


@pytest.mark.parametrize("order", [[0, 1, 2], [1, 0, 2]])
def test_a_stretched_lattice_has_the_positive_stress_worked_out_by_hand(order):
    # one atom, a = 2: one spring of length 2 per direction; E/V = 3 (2-1)^2/2 / 8, dE/d(strain_xx)/V = 2 (2-1) / 8
    crystal = Structure(np.array([1]), np.zeros((1, 3)), 2.0 * np.eye(3)[order], np.ones(3, dtype=bool))
    graph = build_graph(crystal, 2.5)
    stress = stress_from(springs(graph), edge_vectors(graph), graph)
    torch.testing.assert_close(stress, 0.25 * torch.eye(3, dtype=torch.float64).unsqueeze(0))


def test_forces_sum_to_zero_and_make_no_torque(potential):
    molecule = structures.molecule()
    forces = SUBJECT.result(potential, molecule).forces
    assert forces.abs().max() > 0.01
    assert forces.sum(0).abs().max() < 1e-12
    torque = torch.linalg.cross(torch.as_tensor(molecule.positions), forces).sum(0)
    assert torque.abs().max() < 1e-12


def test_stress_is_symmetric(potential):
    stress = SUBJECT.result(potential, structures.crystal()).stress
    torch.testing.assert_close(stress, stress.transpose(1, 2))
    assert stress.abs().max() > 1e-3


def test_a_structure_without_a_volume_has_no_stress(potential):
    result = SUBJECT.result(potential, [structures.molecule(), structures.slab(), structures.crystal()])
    assert not result.stress[:2].any()
    assert result.stress[2].any()


def test_only_what_is_asked_for_is_given(potential):
    graph = SUBJECT.graph(structures.crystal())
    energy = predict(potential, graph, forces=False)
    assert energy.forces is None
    assert energy.stress is None
    only_stress = predict(potential, graph, forces=False, stress=True)
    assert only_stress.forces is None
    both = predict(potential, graph, stress=True)
    assert both.forces is not None
    torch.testing.assert_close(energy.energy, both.energy)
    torch.testing.assert_close(only_stress.stress, both.stress)


def test_a_prediction_leaves_no_graph_behind_unless_it_is_trained_on(potential):
    graph = SUBJECT.graph(structures.crystal())
    plain, trained = (predict(potential, graph, stress=True, training=t) for t in (False, True))
    for name in ("energy", "energies", "forces", "stress"):
        assert not getattr(plain, name).requires_grad
        assert getattr(trained, name).requires_grad
        torch.testing.assert_close(getattr(plain, name), getattr(trained, name).detach())


def test_forces_may_be_asked_for_where_gradients_are_off(potential):
    graph = SUBJECT.graph(structures.crystal())
    with torch.no_grad():
        inside = predict(potential, graph)
    torch.testing.assert_close(inside.forces, predict(potential, graph).forces)


def test_a_known_union_is_used_as_it_is(potential):
    graph = SUBJECT.graph(structures.crystal())
    union = potential.relate(graph.numbers, graph.center, graph.neighbor)
    torch.testing.assert_close(predict(potential, graph, union).forces, predict(potential, graph).forces)


def test_energies_of_many_atoms_are_summed_in_double_precision():
    # a sum in float32 would be wrong in the eighth digit
    single = SUBJECT.make((6,), dtype=torch.float32)
    single.reference.fill_(-1000.123456)
    many = Structure(np.full(400, 6), np.arange(1200.0).reshape(400, 3) * 10)
    energy = SUBJECT.result(single, many).energy
    lone = SUBJECT.result(single, structures.lone(6)).energy
    torch.testing.assert_close(energy, 400 * lone, rtol=2e-9, atol=0)
