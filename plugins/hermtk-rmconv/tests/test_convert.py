"""`hermtk convert hermnet`: from weights to a model file and back to the same numbers."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hermtk.data.dataset import read_structures, write_structures
from hermtk.data.structure import Structure
from hermtk.errors import HermtkError, ModelFileError
from hermtk.graph.build import build_graph
from hermtk.interfaces.ase import HermCalculator
from hermtk.models.files import load_model
from hermtk.physics.derivatives import predict
from hermtk_cli.main import run
from hermtk_rmconv.evaluate import evaluate
from hermtk_rmconv.transfer import transfer
from small import CO, FORMALDEHYDE, KINDS, WATER, apart, network

MOLECULES = [
    Structure(numbers.numpy(), positions.numpy()) for numbers, positions in (WATER, CO, FORMALDEHYDE)
]


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def weights(path: Path, kind: str = "HVNet", **options):
    """Save a random network's weights; returns the network."""
    model = network(kind, **options)
    torch.save(model.state_dict(), path)
    return model


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", [{}, {"intensive": True, "cutoff": 3.5, "layers": 3}])
def test_a_converted_model_predicts_what_the_published_network_gives(kind, options, here):
    model = weights(here / "w.pt", kind, **options)
    words = ["--intensive"] if model.intensive else []
    command = ["convert", "hermnet", "w.pt", "--elements", "H,C,O", "--cutoff", str(model.cutoff)]
    assert run([*command, "-o", "model.pt", "--dtype", "float64", *words]) == 0
    write_structures(here / "in.npz", MOLECULES)
    # in one file, but one at a time: batch mates do not matter
    assert run(["predict", "model.pt", "in.npz", "out.npz"]) == 0
    assert load_model("model.pt").potential.elements == (1, 6, 8)
    labelled = {len(s.numbers): s for s in read_structures(here / "out.npz")}
    for numbers, positions in (WATER, CO, FORMALDEHYDE):
        expected = evaluate(model, positions, numbers)
        found = labelled[len(numbers)]
        assert found.energy == pytest.approx(float(expected.energies), rel=1e-10)
        assert apart(torch.tensor(found.forces), expected.forces) < 1e-9


def test_single_precision_is_the_default(here):
    model = weights(here / "w.pt")
    assert run(["convert", "hermnet", "w.pt", "--cutoff", "5", "-o", "model.pt"]) == 0
    file = load_model("model.pt")
    assert file.potential.dtype == torch.float32
    assert file.facts["converted"]["network"] == "HVNet as published"
    found = predict(file.potential, build_graph(MOLECULES[2], 5.0))
    assert found.forces is not None
    assert apart(found.forces.double(), evaluate(model, FORMALDEHYDE[1], FORMALDEHYDE[0]).forces) < 1e-3


def test_the_ase_calculator_takes_the_file(here):
    from ase import Atoms

    model = weights(here / "w.pt")
    assert run(["convert", "hermnet", "w.pt", "--cutoff", "5", "-o", "model.pt", "--dtype", "float64"]) == 0
    atoms = Atoms(WATER[0].numpy(), WATER[1].numpy())
    atoms.calc = HermCalculator("model.pt")
    expected = evaluate(model, WATER[1], WATER[0])
    assert atoms.get_potential_energy() == pytest.approx(float(expected.energies), rel=1e-10)
    assert np.allclose(atoms.get_forces(), expected.forces, rtol=1e-9, atol=1e-10)


def test_it_is_evaluated_like_any_model(here):
    model = weights(here / "w.pt")
    assert run(["convert", "hermnet", "w.pt", "--cutoff", "5"]) == 0
    # a constant beside the energy, as the mean that the weights do not hold
    labelled = [
        replace(s, energy=3.0 + float(found.energies), forces=found.forces.numpy())
        for s, (z, x) in zip(MOLECULES, (WATER, CO, FORMALDEHYDE), strict=True)
        for found in [evaluate(model, x, z)]
    ]
    write_structures(here / "in.npz", labelled)
    assert run(["evaluate", "w-hermtk.pt", "in.npz", "--out", "found"]) == 0
    results = json.loads((here / "found" / "results.json").read_text())
    assert results["forces"]["max"] < 1e-6
    assert results["energy"]["mean"] == pytest.approx(-3.0, abs=1e-5)
    assert results["energy"]["max"] == pytest.approx(3.0, abs=1e-5)


@pytest.mark.parametrize("numbers", [[8], [1, 1], [6, 6, 6, 6]])
def test_absent_elements_and_atoms_without_neighbors_are_computed(numbers, here):
    model = weights(here / "w.pt", "HTNet")
    assert run(["convert", "hermnet", "w.pt", "--cutoff", "5", "--dtype", "float64"]) == 0
    far = torch.tensor([[0.0, 0.0, 0.0], [1.1, 0.0, 0.0], [0.0, 1.3, 0.2], [9.0, 0.0, 0.0]]).double()
    z, x = torch.tensor(numbers), far[: len(numbers)]
    graph = build_graph(Structure(z.numpy(), x.numpy()), 5.0)
    found, expected = predict(load_model("w-hermtk.pt").potential, graph), evaluate(model, x, z)
    assert found.energy.item() == pytest.approx(expected.energies.item(), rel=1e-12)
    assert found.forces is not None
    assert torch.allclose(found.forces, expected.forces, atol=1e-10)


def test_show_says_what_the_file_is(here, capsys):
    weights(here / "w.pt")
    run(["convert", "hermnet", "w.pt", "--cutoff", "5", "-o", "model.pt"])
    assert run(["show", "model.pt"]) == 0
    out = capsys.readouterr().out
    assert "rmconv" in out
    assert "HVNet as published" in out


def test_several_structures_at_once_are_refused_rather_than_mixed():
    potential, _ = transfer(network())
    with pytest.raises(HermtkError, match="one at a time"):
        predict(potential, build_graph(MOLECULES, 5.0))


def test_elements_must_be_those_of_the_weights():
    with pytest.raises(ModelFileError, match="relations of C, H, O; the elements given are C, N"):
        transfer(network(), elements=["C", "N"])


def test_hermtk_needs_four_channels():
    with pytest.raises(ModelFileError, match="channels = 2"):
        transfer(network(features=2))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["w.pt", "--cutoff", "5", "-o", "taken.pt"], "taken.pt exists"),
        (["w.pt", "--cutoff", "5", "-o", "."], "is a folder"),
        (["none.pt", "--cutoff", "5", "-o", "new.pt"], "no file of weights none.pt"),
        (["w.pt", "--cutoff", "5", "-o", "nowhere/new.pt"], "could not be written"),
        (["w.pt", "--cutoff", "-5", "-o", "new.pt"], "cutoff = -5"),
        (["w.pt", "--cutoff", "nan", "-o", "new.pt"], "cutoff = nan"),
        (["short.pt", "--cutoff", "5", "-o", "new.pt"], "hermconv2.mods.O.us2.bias is missing"),
        (["w.pt", "--cutoff", "5", "--elements", "C,H,Q", "-o", "new.pt"], "no element named 'Q'"),
        (["taken.pt", "--cutoff", "5", "-o", "new.pt"], "taken.pt"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_paragraph(words, said, here, capsys):
    kept = weights(here / "w.pt").state_dict()
    del kept["hermconv2.mods.O.us2.bias"]
    torch.save(kept, here / "short.pt")
    (here / "taken.pt").write_bytes(b"kept")
    assert run(["convert", "hermnet", *words]) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert said in err
    assert err.count("\n") == 1
    assert (here / "taken.pt").read_bytes() == b"kept"
    assert not (here / "new.pt").exists()


def test_a_misuse_is_status_two(here, capsys):
    assert run(["convert", "hermnet", "w.pt", "-o", "new.pt"]) == 2
    assert "--cutoff" in capsys.readouterr().err
