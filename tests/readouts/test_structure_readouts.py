"""Readouts of structures: what they follow, what they ignore, and how they grow; in double precision."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from hermtk.data.structure import Structure
from hermtk.data.targets import TARGETS
from hermtk.graph.build import build_graph
from hermtk.readouts.dipole import Dipole
from hermtk.readouts.extent import Extent
from hermtk.readouts.intensive import Intensive
from hermtk.testing.structures import lone, molecule
from property_world import CUTOFF, NAMES, copies, made, values

MOLECULES = [molecule(), molecule((8, 1, 1), seed=2), molecule((6, 1, 1, 1, 1), seed=3)]
ONE = torch.ones((), dtype=torch.float64)


def moved(structure: Structure, turn: np.ndarray, shift: np.ndarray) -> Structure:
    return Structure(structure.numbers, structure.positions @ turn.T + shift)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("variant", ["homogeneous", "hpnet"])
def test_values_do_not_see_rotations_mirrors_and_translations(name: str, variant: str):
    model = made(name, variant=variant)
    turn = Rotation.from_euler("xyz", [0.3, -1.1, 2.0]).as_matrix()
    for sign in (1, -1):
        there = [moved(m, sign * turn, np.array([5.0, -7.0, 31.0])) for m in MOLECULES]
        assert torch.allclose(values(model, *there), values(model, *MOLECULES), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_is_its_structures_one_by_one_in_any_order_of_atoms(name: str):
    model = made(name)
    alone = torch.cat([values(model, m) for m in MOLECULES])
    shuffled = [Structure(m.numbers[::-1].copy(), m.positions[::-1].copy()) for m in MOLECULES]
    assert alone.std() > 1e-3
    assert torch.allclose(values(model, *MOLECULES), alone, rtol=1e-12)
    assert torch.allclose(values(model, *shuffled), alone, rtol=1e-10)


@pytest.mark.parametrize(("name", "times"), [("U0", 3.0), ("gap", 1.0), ("mu", 3.0)])
def test_far_copies_multiply_what_is_extensive_and_leave_what_is_intensive(name: str, times: float):
    model = made(name)
    for one in MOLECULES:
        several = values(model, copies(one, 50.0, 120.0))
        # the length is softened by 1e-6 of the scale
        assert torch.allclose(
            several, times * values(model, one), rtol=1e-10, atol=1e-5 if name == "mu" else 0
        )


def test_dipoles_that_face_each_other_cancel():
    model = made("mu")
    for one in MOLECULES:
        assert values(model, one) > 1e-2
        assert values(model, copies(one, 50.0, turn=-np.eye(3))) < 1e-8


def test_atomic_dipoles_turn_with_the_molecule_and_charges_do_not():
    model = made("mu")

    def rows(structure: Structure) -> torch.Tensor:
        graph = build_graph(structure, CUTOFF)
        union = model.relate(graph.numbers, graph.center, graph.neighbor)
        vectors = graph.positions[graph.neighbor] - graph.positions[graph.center]
        with torch.no_grad():
            return model.network(model.index[graph.numbers], vectors, union, graph.n_atoms)

    turn = -Rotation.from_euler("xyz", [0.3, -1.1, 2.0]).as_matrix()
    here, there = rows(molecule()), rows(moved(molecule(), turn, np.zeros(3)))
    assert here[:, 1:].abs().max() > 1e-3
    assert torch.allclose(there[:, 0], here[:, 0], rtol=1e-10)
    assert torch.allclose(there[:, 1:], here[:, 1:] @ torch.as_tensor(turn.T), atol=1e-10)


@given(st.floats(0.5, 3.0), st.floats(-2.0, 2.0), st.floats(-3.0, 3.0))
@settings(max_examples=20, deadline=None)
def test_a_dipole_is_that_of_the_neutral_charges_and_the_atomic_dipoles(d: float, q: float, total: float):
    pair = build_graph(Structure(np.array([1, 8]), np.array([[9.0, 0, 0], [9.0 + d, 0, 0]])), CUTOFF)
    # the excess charge of both atoms is taken away
    rows = torch.tensor([[q + total, 0.0, 0.3, 0.0], [-q + total, 0.0, 0.1, 0.0]], dtype=torch.float64)
    found = Dipole(4).gather(rows, torch.zeros(2, dtype=torch.float64), 2 * ONE, pair)
    assert found.item() == pytest.approx(2 * np.hypot(q * d, 0.4), abs=1e-5)


def test_an_extent_is_a_second_moment_about_the_centre_of_mass():
    # two atoms of one mass: the centre is half way
    pair = build_graph(Structure(np.array([6, 6]), np.array([[9.0, 0, 0], [12.0, 0, 0]])), CUTOFF)
    rows = torch.tensor([[1.0], [2.0]], dtype=torch.float64)
    found = Extent(4).gather(rows, torch.tensor([0.5, 0.5], dtype=torch.float64), 10 * ONE, pair)
    assert found.item() == pytest.approx((10.5 + 20.5) * (1.5**2 + 0.5), rel=1e-12)


def test_an_intensive_value_is_between_those_of_the_atoms():
    graph = build_graph(MOLECULES, CUTOFF)
    rows = torch.randn(graph.n_atoms, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = Intensive(4).gather(rows, torch.zeros(graph.n_atoms, dtype=torch.float64), ONE, graph)
    for k, value in enumerate(found):
        own = rows[graph.structure == k, 0]
        assert own.min() < value < own.max()


@pytest.mark.parametrize("readout", [Intensive, Dipole, Extent])
def test_without_the_network_values_are_linear_in_the_references(readout: type):
    graph = build_graph(MOLECULES, CUTOFF)
    made_ = readout(4)
    rows = torch.zeros(graph.n_atoms, {Intensive: 2, Dipole: 4, Extent: 1}[readout], dtype=torch.float64)
    a, b = torch.rand(2, graph.n_atoms, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = [made_.gather(rows, reference, ONE, graph) for reference in (a, b, a + 3 * b)]
    assert torch.allclose(found[0] + 3 * found[1], found[2], rtol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_a_lone_atom_has_a_value_that_can_be_learned_from(name: str):
    model = made(name)
    value = model(build_graph(lone(8), CUTOFF))
    value.sum().backward()
    assert torch.isfinite(value).all()
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in model.parameters())
    if name == "mu":
        assert value.item() == 0.0


def test_a_subnet_without_vectors_still_has_charges():
    scalars = torch.randn(5, 1, 8)
    assert Dipole(8)((scalars,))[:, 1:].abs().max() == 0.0


def test_every_readout_of_the_table_is_tried_here():
    assert {TARGETS[name].kind for name in NAMES} == {target.kind for target in TARGETS.values()}
