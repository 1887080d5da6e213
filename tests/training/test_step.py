"""The training step: compiled where it can be, eager where not, the same numbers either way."""

import pytest
import torch

from hermtk.kernels.library import compiler_missing
from hermtk.models.build import build_model
from hermtk.models.config import ModelConfig
from hermtk.models.potential import Potential
from hermtk.physics.derivatives import predict
from hermtk.training.data.batches import Batch, join, prepare
from hermtk.training.step import make_step
from training_world import clusters


def world(dtype: str = "float64") -> tuple[Potential, Batch]:
    torch.manual_seed(0)
    potential = build_model(ModelConfig(channels=8, layers=2, cutoff=3.0, dtype=dtype), (1, 6, 8))
    return potential, join(potential, prepare(clusters(3), 3.0))


def test_the_step_gives_what_the_shell_gives_and_can_be_differentiated() -> None:
    potential, batch = world()
    notes: list[str] = []
    step = make_step(potential, forces=True, stress=True, compiled=False, note=notes.append)
    found = step(batch)
    expected = predict(potential, batch.graph, batch.union, stress=True)
    assert found.forces is not None
    assert expected.forces is not None
    torch.testing.assert_close(found.energy.detach(), expected.energy)
    torch.testing.assert_close(found.forces.detach(), expected.forces)
    found.forces.square().sum().backward()
    assert all(p.grad is not None for p in potential.network.layers.parameters())
    assert notes == []


def test_a_failing_compiler_is_told_once_and_the_run_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> object:
        def call(*_: object) -> None:
            raise RuntimeError("no compiler worth the name\nmore")

        return call

    potential, batch = world()
    notes: list[str] = []
    monkeypatch.setattr(torch, "compile", broken)
    step = make_step(potential, forces=True, stress=False, compiled=True, note=notes.append)
    eager = make_step(potential, forces=True, stress=False, compiled=False, note=notes.append)
    for _ in range(2):
        torch.testing.assert_close(step(batch).forces, eager(batch).forces)
    assert len(notes) == 1
    assert "no compiler worth the name" in notes[0]


@pytest.mark.parametrize("name", ["CXX"])
def test_a_missing_compiler_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "no-such-compiler-anywhere")
    assert "no-such-compiler-anywhere" in compiler_missing()
