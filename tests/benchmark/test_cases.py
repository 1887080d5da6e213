"""What a case runs: the real step, the real prediction, on the same weights every time."""

from dataclasses import replace

import pytest
import torch

from hermtk.benchmark.cases import Case, Job, Settings, cases_of, check_names, workload
from hermtk.benchmark.systems import System, alloy, ethanols
from hermtk.errors import HermtkError, UnknownName
from hermtk.models.looped import Looped

TINY = Settings(channels=4, layers=2, cutoff=3.0, dtype="float64")
VARIANTS = ("homogeneous", "hvnet", "hpnet", "htnet")
SYSTEMS = (alloy(8, 2), ethanols(2))


def test_every_combination_is_measured_and_one_geometry_is_one_group():
    sizes = [[alloy(8, 1), alloy(8, 2)], [ethanols(2)]]
    groups = cases_of(
        ["painn"], VARIANTS, sizes, ["training", "inference"], compiled=True, against_looped=True
    )
    assert [(group[0].job, group[0].system.name) for group in groups] == [
        ("training", "alloy of 8 atoms"),
        ("training", "2 ethanols"),
        ("inference", "alloy of 8 atoms"),
        ("inference", "2 ethanols"),
    ]
    for group in groups:
        assert len({(case.job, case.system.name) for case in group}) == 1
        assert len(set(group)) == len(group)
    # eager, compiled, looped of four variants on two alloys
    assert [len(group) for group in groups] == [24, 12, 24, 12]


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.kind)
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_looped_form_gives_the_same_energies_and_forces(variant: str, system: System):
    case = Case("painn", variant, system, "inference")
    grouped, looped = (workload(replace(case, looped=on), TINY) for on in (False, True))
    assert all(isinstance(layer, Looped) for layer in looped.potential.network.layers)
    here, there = grouped.call(), looped.call()
    assert here.forces is not None
    assert here.forces.abs().max() > 0
    torch.testing.assert_close(here.energy, there.energy)
    torch.testing.assert_close(here.forces, there.forces)


@pytest.mark.parametrize("looped", [False, True])
def test_a_training_step_has_gradients_and_leaves_the_weights_as_they_are(looped: bool):
    work = workload(Case("painn", "hvnet", alloy(8, 2), "training", looped=looped), TINY)
    before = [weight.detach().clone() for weight in work.potential.parameters()]
    first, second = work.call(), work.call()
    torch.testing.assert_close(first.energy, second.energy, atol=1e-8, rtol=0.0)
    for weight, was in zip(work.potential.parameters(), before, strict=True):
        torch.testing.assert_close(weight.detach(), was, atol=1e-10, rtol=0.0)
    gradients = [weight.grad for weight in work.potential.network.layers.parameters()]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)
    assert any(gradient.abs().max() > 0 for gradient in gradients)


def test_training_and_inference_have_the_same_energies_and_forces():
    case = Case("painn", "hpnet", ethanols(3), "training")
    step = workload(case, TINY).call()
    prediction = workload(replace(case, job="inference"), TINY).call()
    assert step.energy.shape == (3,)
    assert step.forces is not None
    torch.testing.assert_close(step.energy.detach(), prediction.energy)
    torch.testing.assert_close(step.forces.detach(), prediction.forces)


def test_the_model_is_made_for_the_systems_elements():
    work = workload(Case("painn", "hpnet", alloy(8, 3), "inference"), TINY)
    assert work.potential.elements == alloy(8, 3).elements
    assert len(work.potential.table) == 9
    assert work.potential.dtype == torch.float64


def test_building_a_case_disturbs_nobodys_random_numbers():
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    workload(Case("painn", "hvnet", alloy(4, 2), "inference"), TINY)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("job", ["training", "inference"])
def test_what_cannot_be_compiled_is_an_error_and_is_not_measured_eager(
    monkeypatch: pytest.MonkeyPatch, job: Job
):
    def broken(*_: object, **__: object):
        def call(*_: object) -> None:
            raise RuntimeError("no compiler worth the name\nmore")

        return call

    monkeypatch.setattr(torch, "compile", broken)
    work = workload(Case("painn", "hvnet", alloy(4, 2), job, compiled=True), TINY)
    with pytest.raises(HermtkError, match=r"compiling failed \(RuntimeError: no compiler worth the name\)$"):
        work.call()


@pytest.mark.parametrize(
    ("subnet", "variant", "dtype", "said"),
    [
        ("pain", "hvnet", "float32", "no subnet named 'pain'. Did you mean 'painn'"),
        ("painn", "hvnt", "float32", "no variant named 'hvnt'. Did you mean 'hvnet'"),
        ("painn", "hvnet", "float23", "no dtype named 'float23'. Did you mean 'float32'"),
    ],
)
def test_what_does_not_exist_is_refused_by_name(subnet: str, variant: str, dtype: str, said: str):
    with pytest.raises(UnknownName, match=said):
        check_names(["painn", subnet], ["htnet", variant], replace(TINY, dtype=dtype))
