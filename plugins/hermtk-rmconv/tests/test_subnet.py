"""The published layers under hermtk's relations: the same numbers, differentiable twice, and trainable."""

import csv

import pytest
import torch

from hermtk import registry
from hermtk.data.structure import Structure
from hermtk.graph.build import build_graph
from hermtk.graph.graph import edge_vectors
from hermtk.physics.derivatives import predict
from hermtk_cli.main import run
from hermtk_rmconv.evaluate import evaluate
from hermtk_rmconv.subnet import RMConv
from hermtk_rmconv.transfer import transfer
from small import ELEMENTS, FORMALDEHYDE, KINDS, WATER, apart, network

every_kind = pytest.mark.parametrize("kind", KINDS)


def structure(numbers, positions) -> Structure:
    return Structure(numbers.numpy(), positions.numpy())


def test_it_is_found_by_its_name():
    assert registry.find("subnet", "rmconv") is RMConv
    assert registry.entries("subnet")["rmconv"].distribution == "hermtk-rmconv"


@every_kind
@pytest.mark.parametrize("elements", [ELEMENTS, ("O", "N", "H", "C")])
@pytest.mark.parametrize("molecule", [WATER, FORMALDEHYDE])
def test_each_layer_computes_what_the_published_layer_computes(kind, elements, molecule):
    model = network(kind, elements)
    numbers, positions = molecule
    expected = evaluate(model, positions, numbers)
    potential, _ = transfer(model, elements=sorted(elements), dtype="float64")
    graph = build_graph(structure(*molecule), potential.cutoff)
    union = potential.relate(graph.numbers, graph.center, graph.neighbor)
    layers = potential.network
    edges = layers.edges(edge_vectors(graph), union)
    features = layers.start(potential.element_index(graph.numbers))
    with torch.no_grad():
        for layer, (s, v) in zip(layers.layers, expected.features, strict=True):
            features = layers.step(layer, features, edges, graph.n_atoms)
            assert apart(features[0].squeeze(1), s) < 1e-12
            assert apart(features[1].transpose(1, 2), v) < 1e-12
    found = predict(potential, graph)
    assert found.forces is not None
    assert apart(found.energy, expected.energies) < 1e-12
    assert apart(found.forces, expected.forces) < 1e-9


@every_kind
def test_its_derivatives_are_right_where_the_step_is_small_enough(kind):
    # the kit's differences, with steps of 0.001 Angstrom, are too coarse for the published eps
    model = network(kind, n_basis=6, features=4, layers=2)
    potential, _ = transfer(model, dtype="float64")
    graph = build_graph(structure(*WATER), potential.cutoff)
    union = potential.relate(graph.numbers, graph.center, graph.neighbor)

    def energy(vectors):
        return potential(graph.numbers, vectors, graph.center, graph.neighbor, union, 3).sum()

    vectors = edge_vectors(graph).requires_grad_()
    assert torch.autograd.gradcheck(energy, (vectors,))
    assert torch.autograd.gradgradcheck(energy, (vectors,))


@pytest.mark.parametrize(
    ("kind", "variant", "readout"),
    [("HVNet", "hvnet", "energy"), ("HTNet", "htnet", "energy"), ("HVNet", "hvnet", "pooled")],
)
def test_hermtk_trains_it(kind, variant, readout, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = {
        "model.subnet_options": f"{{kind: {kind}, n_functions: 8}}",
        "model.readout": readout,
        "model.channels": 8,
        "model.layers": 1,
        "data.n_train": 16,
        "data.n_validation": 8,
        "data.n_test": 8,
        "training.batch_size": 1 if readout == "pooled" else 8,
        "training.warmup_steps": 0,
        "training.learning_rate": 0.01,
        "training.ema": 0,
        "training.compile": "false",
    }
    settings = [word for name, value in options.items() for word in ("--set", f"{name}={value}")]
    status = run(
        ["train", "--subnet", "rmconv", "--variant", variant, "--steps", "30", "--out", "run", *settings]
    )
    assert status == 0
    with (tmp_path / "run" / "metrics.csv").open() as file:
        errors = [float(row["validation_forces_mae"]) for row in csv.DictReader(file)]
    assert errors[-1] < errors[0]
    assert (tmp_path / "run" / "model.pt").is_file()
