"""The loss weighs what its formula says."""

import pytest
import torch

from hermtk.graph.build import build_graph
from hermtk.models.build import build_model
from hermtk.models.config import ModelConfig
from hermtk.physics.derivatives import Prediction
from hermtk.training.config import LossConfig
from hermtk.training.data.batches import Batch, join, prepare
from hermtk.training.errors import ErrorSums
from hermtk.training.loss import Loss
from training_world import clusters


def a_batch(n: int = 3) -> Batch:
    potential = build_model(ModelConfig(channels=4, layers=1, cutoff=3.0), (1, 6, 8))
    return join(potential, prepare(clusters(n), 3.0))


def off_by(batch: Batch, energy: float, force: float) -> Prediction:
    shares = torch.zeros(batch.graph.n_atoms, dtype=torch.float64)
    return Prediction(batch.energy + energy, shares, batch.forces + force)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("mse", 2 * (0.6 / 6) ** 2 + 3 * 0.2**2),
        ("mae", 2 * 0.6 / 6 + 3 * 0.2),
        ("huber", 2 * (0.1 - 0.005) + 3 * (0.2 - 0.005)),
    ],
)
def test_each_kind_follows_its_formula(kind: str, expected: float) -> None:
    batch = a_batch()
    loss = Loss(LossConfig(kind=kind, energy=2.0, forces=3.0, delta=0.01), 0.0)
    assert loss(off_by(batch, 0.6, 0.2), batch).item() == pytest.approx(expected, rel=1e-9)


def test_a_perfect_prediction_costs_nothing() -> None:
    batch = a_batch()
    assert Loss(LossConfig(), 0.0)(off_by(batch, 0.0, 0.0), batch).item() == 0.0


def test_errors_are_those_of_all_batches_together() -> None:
    whole, sums = ErrorSums(), ErrorSums()
    one, other = a_batch(3), a_batch(1)
    sums.add(off_by(one, 0.6, 0.2), one)
    sums.add(off_by(other, -1.2, 0.4), other)
    assert sums.mae("energy") == pytest.approx((3 * 0.6 + 1.2) / 4)
    assert sums.rmse("forces") == pytest.approx(((3 * 0.04 + 0.16) / 4) ** 0.5)
    assert sums.mae("energy_per_atom") == pytest.approx((3 * 0.1 + 0.2) / 4)
    assert whole.mae("energy") is None


def test_missing_labels_are_not_counted() -> None:
    batch, sums = a_batch(2), ErrorSums()
    batch.energy[0] = torch.nan
    sums.add(off_by(batch, 0.5, 0.0), batch)
    assert sums.sums["energy count"] == 1


def test_the_stress_enters_per_atom() -> None:
    graph = build_graph(clusters(1), 3.0)
    batch = a_batch(1)
    cell = 4.0 * torch.eye(3, dtype=torch.float64).unsqueeze(0)
    batch.graph.cell.copy_(cell)
    batch.stress.zero_()
    shares = torch.zeros(graph.n_atoms, dtype=torch.float64)
    wrong = Prediction(batch.energy, shares, None, torch.full((1, 3, 3), 0.01, dtype=torch.float64))
    loss = Loss(LossConfig(kind="mae", energy=1.0, forces=0.0), 2.0)
    assert loss(wrong, batch).item() == pytest.approx(2.0 * 0.01 * 64 / graph.n_atoms)


@pytest.mark.parametrize("kind", ["mse", "mae", "huber"])
def test_missing_labels_are_masked_structure_by_structure(kind: str) -> None:
    batch, loss = a_batch(3), Loss(LossConfig(kind=kind, energy=2.0, forces=3.0), 0.0)
    prediction = off_by(batch, 0.6, 0.2)
    prediction.energy.requires_grad_()
    whole = loss(prediction, batch)
    batch.energy[0] = torch.nan
    batch.forces[batch.graph.structure == 1] = torch.nan
    part = loss(prediction, batch)
    # every error is the same, so the mean over what is left is the same
    assert part.item() == pytest.approx(whole.item(), rel=1e-12)
    (slope,) = torch.autograd.grad(part, prediction.energy)
    assert slope[0] == 0
    assert torch.isfinite(slope).all()
    assert slope[1] != 0


def test_a_batch_without_any_label_costs_nothing_and_pulls_nowhere() -> None:
    batch = a_batch(2)
    prediction = off_by(batch, 0.6, 0.2)
    prediction.energy.requires_grad_()
    batch.energy[:] = torch.nan
    batch.forces[:] = torch.nan
    cost = Loss(LossConfig(), 0.0)(prediction, batch)
    (slope,) = torch.autograd.grad(cost, prediction.energy)
    assert cost.item() == 0.0
    assert not slope.any()
