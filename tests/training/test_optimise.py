"""Schedules and the average of the weights."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from hermtk.models.build import build_model
from hermtk.models.config import ModelConfig
from hermtk.models.model import Model
from hermtk.training.config import TrainingConfig
from hermtk.training.optimise import Average, Schedule, make_optimizers


def typed(subnet: str) -> Model:
    return build_model(ModelConfig(subnet=subnet, variant="hvnet", channels=4), (1, 6, 8))


def rates(config: TrainingConfig, steps: int) -> list[float]:
    model = nn.Linear(2, 2)
    optimizers = make_optimizers(model, config)
    schedule = Schedule(optimizers, config, steps)
    seen = []
    for _ in range(steps):
        seen.append(optimizers.rate)
        optimizers.step()
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
    optimizers = make_optimizers(nn.Linear(2, 2), config)
    schedule = Schedule(optimizers, config, 100)
    for _ in range(4):
        schedule.validated(1.0)
    assert optimizers.rate == pytest.approx(0.1)


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


@pytest.mark.parametrize("optimizer", ["soap", "adamw"])
def test_biases_do_not_decay(optimizer) -> None:
    config = TrainingConfig(weight_decay=0.1, optimizer=optimizer)
    groups = [g for part in make_optimizers(nn.Linear(2, 2), config).parts for g in part.param_groups]
    assert [(g["weight_decay"], g["params"][0].ndim) for g in groups] == [(0.1, 2), (0.0, 1)]


@pytest.mark.parametrize("subnet", ["painn", "unite"])
def test_soap_has_the_matrices_of_linear_maps_and_adamw_the_rest(subnet) -> None:
    model = typed(subnet)
    soap, adamw = make_optimizers(model, TrainingConfig()).parts
    matrices, others = (
        {id(p) for group in part.param_groups for p in group["params"]} for part in (soap, adamw)
    )
    assert not matrices & others
    assert len(matrices) + len(others) == len(list(model.parameters()))
    for name, parameter in model.named_parameters():
        linear = name.endswith("weight") and "embedding" not in name and min(parameter.shape[-2:]) > 1
        assert (id(parameter) in matrices) == linear, name


def test_adamw_alone_has_all() -> None:
    model = typed("painn")
    (adamw,) = make_optimizers(model, TrainingConfig(optimizer="adamw")).parts
    assert sum(len(g["params"]) for g in adamw.param_groups) == len(list(model.parameters()))


@pytest.mark.parametrize("optimizer", ["soap", "adamw"])
def test_frozen_weights_are_left_out(optimizer) -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[0].requires_grad_(False)
    parts = make_optimizers(model, TrainingConfig(optimizer=optimizer)).parts
    found = {id(p) for part in parts for g in part.param_groups for p in g["params"]}
    assert found == {id(p) for p in model[1].parameters()}
