"""Schedules and the average of the weights."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from hermtk.training.config import TrainingConfig
from hermtk.training.optimise import Average, Schedule, make_optimizer


def rates(config: TrainingConfig, steps: int) -> list[float]:
    model = nn.Linear(2, 2)
    optimizer = make_optimizer(model, config)
    schedule = Schedule(optimizer, config, steps)
    seen = []
    for _ in range(steps):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return seen


def test_cosine_rises_then_falls_to_zero() -> None:
    seen = rates(TrainingConfig(learning_rate=1.0, warmup_steps=10, schedule="cosine"), 110)
    assert seen[:10] == pytest.approx([k / 10 for k in range(1, 11)])
    assert seen[60] == pytest.approx(0.5, abs=0.02)
    assert seen[-1] < 1e-3
    assert all(a >= b for a, b in pairwise(seen[10:]))


def test_constant_stays() -> None:
    assert rates(TrainingConfig(learning_rate=0.5, warmup_steps=0, schedule="constant"), 5) == [0.5] * 5


def test_plateau_falls_when_nothing_improves() -> None:
    config = TrainingConfig(learning_rate=1.0, schedule="plateau", plateau_patience=2, plateau_factor=0.1)
    optimizer = make_optimizer(nn.Linear(2, 2), config)
    schedule = Schedule(optimizer, config, 100)
    for _ in range(4):
        schedule.validated(1.0)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.1)


def test_the_average_follows_its_formula_and_steps_aside() -> None:
    model = nn.Linear(1, 1, bias=False)
    average = Average(model, decay=0.5)
    with torch.no_grad():
        model.weight.fill_(1.0)
    start = average.weights[0].item()
    average.update()
    keep = min(0.5, 2 / 11)
    assert average.weights[0].item() == pytest.approx(keep * start + (1 - keep))
    with average.applied():
        assert model.weight.item() == average.weights[0].item()
    assert model.weight.item() == 1.0


def test_no_average_is_the_weights_themselves() -> None:
    model = nn.Linear(2, 2)
    average = Average(model, decay=0.0)
    with torch.no_grad():
        model.weight.add_(1.0)
    average.update()
    assert torch.equal(average.weights[0], model.weight)


def test_biases_do_not_decay() -> None:
    optimizer = make_optimizer(nn.Linear(2, 2), TrainingConfig(weight_decay=0.1))
    assert [(g["weight_decay"], g["params"][0].ndim) for g in optimizer.param_groups] == [(0.1, 2), (0.0, 1)]
