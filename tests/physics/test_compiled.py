"""Compiled predictions are the eager ones, whatever the size; what cannot be compiled runs eagerly and says so."""

import copy
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from ase.build import bulk

import hermtk.physics.compiled as compiled_module
from hermtk.data.structure import Structure
from hermtk.graph.build import build_graph
from hermtk.interfaces.ase import HermCalculator
from hermtk.kernels.library import compiler_missing
from hermtk.models.build import build_model
from hermtk.models.config import ModelConfig
from hermtk.models.potential import Potential
from hermtk.physics.compiled import CompiledPotential
from hermtk.physics.derivatives import predict

needs_compiler = pytest.mark.skipif(bool(compiler_missing()), reason=compiler_missing())


def model() -> Potential:
    torch.manual_seed(0)
    config = ModelConfig(variant="homogeneous", channels=8, layers=1, cutoff=3.0, dtype="float64")
    return build_model(config, (13, 29)).requires_grad_(False)


def crystal(repeats: int) -> Structure:
    atoms = bulk("Cu", cubic=True) * (repeats, 1, 1)
    atoms.numbers[::2] = 13
    atoms.rattle(0.05, seed=repeats)
    return Structure(atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc)


def compare_sizes() -> None:
    potential, notes = model(), []
    fast = CompiledPotential(potential, notes.append)
    for repeats in (1, 2, 3):
        graph = build_graph(crystal(repeats), 3.0)
        found, expected = fast.predict(graph, stress=True), predict(potential, graph, stress=True)
        torch.testing.assert_close(found.energies, expected.energies, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(found.forces, expected.forces, rtol=1e-11, atol=1e-12)
        torch.testing.assert_close(found.stress, expected.stress, rtol=1e-11, atol=1e-13)
    assert notes == []


@needs_compiler
@pytest.mark.slow
def test_compiled_is_eager_for_every_size() -> None:
    # in a process of its own: checks of shapes, which tests have on, cannot be traced
    command = [sys.executable, "-c", "import test_compiled; test_compiled.compare_sizes()"]
    done = subprocess.run(command, cwd=Path(__file__).parent, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_compiled_model_that_gives_other_numbers_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(kernel, **_):
        def off(*arguments):
            energies, slopes = kernel(*arguments)
            return energies * (1 + 1e-6), slopes

        return off

    monkeypatch.setattr(torch, "compile", wrong)
    monkeypatch.setattr(compiled_module, "compiler_missing", lambda: "")
    potential, notes = model(), []
    graph = build_graph(crystal(1), 3.0)
    found = CompiledPotential(potential, notes.append).predict(graph)
    assert torch.equal(found.energy, predict(potential, graph).energy)
    assert len(notes) == 1
    assert "differ" in notes[0]


def test_without_a_compiler_the_plain_way_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled_module, "compiler_missing", lambda: "no compiler")
    potential, notes = model(), []
    graph = build_graph(crystal(1), 3.0)
    fast = CompiledPotential(potential, notes.append)
    assert torch.equal(fast.predict(graph).energy, predict(potential, graph).energy)
    assert notes == ["no compiler; it goes on without compiling"]


def test_atoms_without_edges_need_no_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled_module, "compiler_missing", lambda: "")
    alone = Structure(np.array([29]), np.zeros((1, 3)), np.zeros((3, 3)), np.zeros(3, dtype=bool))
    graph = build_graph(alone, 3.0)
    found = CompiledPotential(model(), pytest.fail).predict(graph)
    assert torch.equal(found.forces, torch.zeros(1, 3, dtype=torch.float64))


def test_a_compiled_calculator_can_be_copied_and_pickled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda kernel, **_: kernel)
    monkeypatch.setattr(compiled_module, "compiler_missing", lambda: "")
    atoms = bulk("Cu", cubic=True)
    calculator = HermCalculator(model(), compiled=True)
    energy = calculator.get_potential_energy(atoms)
    for other in (pickle.loads(pickle.dumps(calculator)), copy.deepcopy(calculator)):
        assert other.get_potential_energy(atoms.copy()) == pytest.approx(energy, abs=1e-12)
