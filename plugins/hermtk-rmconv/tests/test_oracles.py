"""The published code's own outputs, reproduced in float64."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import reference_files
from hermtk.data.structure import Structure
from hermtk.graph.build import build_graph
from hermtk.physics.derivatives import predict
from hermtk_rmconv.evaluate import Reference, evaluate, read_reference, reproduce
from hermtk_rmconv.original import Network
from hermtk_rmconv.pairs import find_pairs
from hermtk_rmconv.transfer import transfer
from hermtk_rmconv.weights import network_of, read_weights

EXACT = 1e-10

every_file = pytest.mark.parametrize("path", reference_files())


def weights_of(path: Path) -> Path:
    """The file that holds the weights: itself, or another that it names."""
    meta, arrays = read_reference(path)
    if any(name.startswith("sd/") for name in arrays):
        return path
    named = re.search(r"same weights as (\w+)", meta["structure"])
    assert named, f"{path} neither holds nor names weights"
    return path.with_name(f"{named[1]}.npz")


def off(found: torch.Tensor, reference: Reference, name: str) -> float:
    expected = reference.arrays[f"out64/{name}"]
    return float(np.abs(found.numpy().reshape(expected.shape) - expected).max() / np.abs(expected).max())


@every_file
def test_energies_forces_and_features_are_those_of_the_published_code(path: Path):
    reference = read_reference(path)
    found = reproduce(path, weights_of(path))
    assert off(found.energies, reference, "energy") < EXACT
    assert off(found.forces, reference, "forces") < EXACT
    assert off(found.pool, reference, "pool") < EXACT
    assert len(found.features) == sum(name.startswith("out64/L") for name in reference.arrays) // 2
    for layer, (s, v) in enumerate(found.features, start=1):
        assert off(s, reference, f"L{layer}/s") < EXACT
        assert off(v, reference, f"L{layer}/v") < EXACT


@every_file
def test_the_same_edges_are_found(path: Path):
    meta, arrays = read_reference(path)
    cell = None if meta["molecule"] else torch.from_numpy(arrays["cell"]).reshape(-1, 3, 3)
    positions, batch = torch.from_numpy(arrays["pos"]), torch.from_numpy(arrays["batch"])
    source, destination = find_pairs(positions, batch, cell, meta["rc"])
    expected = set(zip(arrays["src"].tolist(), arrays["dst"].tolist(), strict=True))
    assert set(zip(source.tolist(), destination.tolist(), strict=True)) == expected


@every_file
def test_without_given_edges_the_results_are_the_same(path: Path):
    meta, arrays = read_reference(path)
    model = network_of(read_weights(weights_of(path)), intensive=meta.get("intensive", False)).double()
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items() if "/" not in name}
    cell = None if meta["molecule"] else tensors["cell"]
    found = evaluate(model, tensors["pos"], tensors["numbers"], cell, tensors["batch"])
    expected = reproduce(path, weights_of(path))
    assert torch.allclose(found.energies, expected.energies, rtol=EXACT)
    assert torch.allclose(found.forces, expected.forces, rtol=EXACT, atol=EXACT)


@every_file
def test_weights_load_strictly_into_a_network_made_from_what_the_file_says(path: Path):
    meta = read_reference(weights_of(path)).meta
    sizes = {"features": meta["F"], "n_basis": meta["l"], "layers": meta["layers"], "cutoff": meta["rc"]}
    model = Network(meta["kind"], meta["elems"], **sizes)
    model.load_state_dict(read_weights(weights_of(path)), strict=True)


@every_file
def test_a_model_of_hermtk_gives_the_same(path: Path):
    reference = read_reference(path)
    meta, arrays = reference
    box = arrays["cell"].reshape(-1, 3, 3) if "cell" in arrays and not meta["molecule"] else None
    network = network_of(read_weights(weights_of(path)), intensive=meta.get("intensive", False)).double()
    if arrays["batch"].any():
        pytest.skip("several structures: hermtk computes them one by one")
    if box is not None and 1 / np.linalg.norm(np.linalg.inv(box[0]), axis=0).max() < 2 * meta["rc"]:
        pytest.skip("a small box: hermtk sees neighbours that the published code loses")
    potential, _ = transfer(network, dtype="float64")
    if not set(arrays["numbers"].tolist()) <= set(potential.elements):
        pytest.skip("an element without relations: hermtk refuses it")
    periodic = () if box is None else (box[0], np.ones(3, dtype=bool))
    graph = build_graph(Structure(arrays["numbers"], arrays["pos"], *periodic), meta["rc"])
    found = predict(potential, graph)
    assert found.forces is not None
    assert off(found.energy, reference, "energy") < EXACT
    assert off(found.forces, reference, "forces") < EXACT
