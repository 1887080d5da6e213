"""Any elements, sizes, layers, cut-offs, cells: the networks against plain loops, the models of hermtk against the networks."""

import numpy as np
import pytest
import torch
from ase.data import atomic_numbers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hermtk.data.structure import Structure
from hermtk.graph.build import build_graph
from hermtk.physics.derivatives import predict
from hermtk_rmconv.evaluate import evaluate
from hermtk_rmconv.pairs import edge_vectors, find_pairs
from hermtk_rmconv.transfer import transfer
from plain import energies
from small import KINDS, apart, network

quickly = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
SYMBOLS = ["H", "O", "Si", "Cu", "Pt"]


# what a network is made of: hypothesis draws no weights
models = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(KINDS),
        "elements": st.lists(st.sampled_from(SYMBOLS), min_size=1, max_size=3, unique=True),
        "seed": st.integers(0, 99),
        "features": st.integers(4, 7),
        "n_basis": st.integers(1, 9),
        "layers": st.integers(1, 3),
        "cutoff": st.floats(2.0, 6.0),
        "intensive": st.booleans(),
    }
)


@st.composite
def matter(draw, elements, most=6):
    """Numbers and positions at least 0.7 Angstrom apart, sparse enough that some atoms may be alone."""
    count = draw(st.integers(1, most))
    numbers = [atomic_numbers[draw(st.sampled_from(elements))] for _ in range(count)]
    generator = np.random.default_rng(draw(st.integers(0, 10**6)))
    box = draw(st.sampled_from([2.5, 5.0, 9.0]))
    positions = np.zeros((0, 3))
    while len(positions) < count:
        trial = generator.uniform(0, box, 3)
        if np.linalg.norm(positions - trial, axis=1).min(initial=1.0) > 0.7:
            positions = np.vstack([positions, trial])
    return torch.tensor(numbers), torch.tensor(positions)


@quickly
@given(data=st.data(), options=models, boxed=st.booleans())
def test_a_batch_gives_what_loops_give(data, options, boxed):
    model = network(**options)
    # an element without relations may stand among them
    parts = [data.draw(matter([*model.elements, "Pt"])) for _ in range(data.draw(st.integers(1, 2)))]
    numbers, positions = (torch.cat(column) for column in zip(*parts, strict=True))
    batch = torch.cat([torch.full_like(z, k) for k, (z, _) in enumerate(parts)])
    skew = torch.tensor([[11.0, 0.0, 0.0], [2.0, 10.0, 0.0], [-1.0, 3.0, 12.0]]).double()
    cell = skew.expand(len(parts), 3, 3) if boxed else None
    source, destination = find_pairs(positions, batch, cell, model.cutoff)
    vectors = edge_vectors(positions, source, destination, batch, cell)
    found = evaluate(model, positions, numbers, cell, batch, (source, destination))
    expected, features = energies(
        {name: value.numpy() for name, value in model.state_dict().items()},
        numbers.tolist(),
        list(zip(source.tolist(), destination.tolist(), vectors.numpy(), strict=True)),
        batch.tolist(),
        layers=model.depth,
        cutoff=model.cutoff,
        intensive=model.intensive,
    )
    assert np.allclose(found.energies, expected, rtol=1e-10, atol=1e-12)
    for (s, v), (t, w) in zip(found.features, features, strict=True):
        assert apart(s, torch.tensor(t)) < 1e-11
        assert np.allclose(v, w, rtol=1e-10, atol=1e-11)


@quickly
@given(data=st.data(), options=models, boxed=st.booleans())
def test_a_model_of_hermtk_gives_what_the_network_gives(data, options, boxed):
    model = network(**options)
    numbers, positions = data.draw(matter(list(model.elements)))
    order = data.draw(st.permutations(model.elements))
    # twice the cut-off and more between images: neighbours stand once
    cell = 2.2 * max(model.cutoff, 5.0) * torch.eye(3).double() if boxed else None
    periodic = () if cell is None else (cell.numpy(), np.ones(3, dtype=bool))
    potential, _ = transfer(model, elements=order, dtype="float64")
    graph = build_graph(Structure(numbers.numpy(), positions.numpy(), *periodic), model.cutoff)
    found, expected = predict(potential, graph), evaluate(model, positions, numbers, cell)
    assert found.energy.item() == pytest.approx(expected.energies.item(), rel=1e-10, abs=1e-12)
    assert found.forces is not None
    assert np.allclose(found.forces, expected.forces, rtol=1e-8, atol=1e-9)
