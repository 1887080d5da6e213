"""The graph as a batch, and what is computed from it."""

from dataclasses import fields

import numpy as np
import pytest
import torch

from hermtk.data.structure import Structure
from hermtk.graph.build import build_graph
from hermtk.graph.graph import Graph, batch, edge_vectors, volumes
from hermtk.testing import structures

CUTOFF = 3.9


def several() -> list[Structure]:
    return [
        structures.molecule(),
        structures.nothing(),
        structures.left_handed(structures.crystal()),
        structures.slab(),
        structures.lone(8),
    ]


def test_edges_point_from_the_center_to_the_neighbor():
    structure = Structure(np.array([8, 1]), np.array([[0.0, 0, 0], [0, 0, 1.0]]))
    graph = build_graph(structure, CUTOFF)
    assert graph.center.tolist() == [0, 1]
    assert edge_vectors(graph).tolist() == [[0, 0, 1], [0, 0, -1]]


def test_every_edge_is_shorter_than_the_cutoff():
    graph = build_graph(several(), CUTOFF)
    assert graph.n_edges > 50
    assert float(edge_vectors(graph).norm(dim=1).max()) < CUTOFF


def test_edge_vectors_are_positions_images_and_nothing_else():
    structure = structures.crystal()
    graph = build_graph(structure, CUTOFF)
    images = graph.shift.numpy() @ structure.cell
    expected = structure.positions[graph.neighbor] + images - structure.positions[graph.center]
    np.testing.assert_allclose(edge_vectors(graph).numpy(), expected, atol=1e-14)


def test_a_batch_holds_its_graphs_side_by_side():
    parts = [build_graph(one, CUTOFF) for one in several()]
    whole = batch(parts)
    assert whole.n_structures == len(parts)
    assert whole.n_atoms == sum(part.n_atoms for part in parts)
    for index, part in enumerate(parts):
        atoms = (whole.structure == index).nonzero().flatten()
        edges = whole.structure[whole.center] == index
        torch.testing.assert_close(whole.numbers[atoms], part.numbers)
        torch.testing.assert_close(edge_vectors(whole)[edges], edge_vectors(part))
        first = int((whole.structure < index).sum())
        torch.testing.assert_close(whole.center[edges] - first, part.center)
        torch.testing.assert_close(whole.neighbor[edges] - first, part.neighbor)


def test_no_edge_joins_two_structures():
    graph = build_graph(several(), CUTOFF)
    assert torch.equal(graph.structure[graph.center], graph.structure[graph.neighbor])


@pytest.mark.parametrize("which", ["center", "structure"])
def test_centers_and_structures_ascend(which):
    index = getattr(build_graph(several(), CUTOFF), which)
    assert bool((index.diff() >= 0).all())


def test_a_left_handed_cell_has_a_positive_volume():
    crystal = structures.crystal()
    graph = build_graph([crystal, structures.left_handed(crystal), structures.molecule()], CUTOFF)
    assert volumes(graph).tolist() == pytest.approx([crystal.volume, crystal.volume, 0.0])


def test_edge_vectors_can_be_differentiated_in_positions_and_cell():
    graph = build_graph(structures.crystal(), CUTOFF)

    def vectors(positions, cell):
        return edge_vectors(Graph(**{**vars(graph), "positions": positions, "cell": cell}))

    inputs = (graph.positions.requires_grad_(), graph.cell.requires_grad_())
    assert torch.autograd.gradcheck(vectors, inputs)


def test_moving_to_single_precision_leaves_indices_alone():
    graph = build_graph(structures.crystal(), CUTOFF)
    single = graph.to("cpu", torch.float32)
    kinds = {entry.name: getattr(single, entry.name).dtype for entry in fields(Graph)}
    assert kinds["positions"] == kinds["cell"] == kinds["shift"] == torch.float32
    assert kinds["numbers"] == kinds["center"] == kinds["neighbor"] == kinds["structure"] == torch.int64
