"""From a description to a model, and what a wrong description is told."""

import pytest
import torch

from hermtk.errors import ConfigError, UnknownName
from hermtk.models.build import build_model
from hermtk.models.config import ModelConfig
from hermtk.models.variants import VARIANTS, variant

SMALL = {"channels": 4, "layers": 1, "n_basis": 3}


def build(**options):
    return build_model(ModelConfig(**{**SMALL, **options}), (1, 8))


@pytest.mark.parametrize(
    ("name", "relations"), [("homogeneous", 1), ("hvnet", 2), ("hpnet", 4), ("htnet", 6)]
)
def test_a_variant_is_a_relation_scheme(name, relations):
    assert len(build(variant=name).table) == relations


def test_options_reach_the_relation_and_the_subnet():
    unordered = build(variant="hpnet", relation_options={"ordered": False})
    assert len(unordered.table) == 3
    assert build(subnet_options={"hidden": 6}).network.layers[0].source.first.weight.shape == (2, 4, 6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"subnet": "pain"}, "no subnet named 'pain'. Did you mean 'painn'"),
        ({"variant": "htmet"}, "no variant named 'htmet'. Did you mean 'htnet'"),
        ({"envelope": "polynomal"}, "Did you mean 'polynomial'"),
        ({"basis": "besel"}, "Did you mean 'bessel'"),
        ({"dtype": "float16"}, "no dtype named 'float16'"),
        ({"readout": "enrgy"}, "Did you mean 'energy'"),
        ({"subnet_options": {"hiden": 4}}, "Did you mean 'hidden'"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(options, message):
    with pytest.raises(UnknownName, match=message.replace(".", r"\.")):
        build(**options)


def test_an_option_of_the_wrong_type_is_refused():
    with pytest.raises(ConfigError, match="'hidden' of subnet 'painn' cannot be 'wide'"):
        build(subnet_options={"hidden": "wide"})


def test_every_variant_says_what_it_is_for():
    for name in VARIANTS:
        assert variant(name).summary


@pytest.mark.parametrize("name", VARIANTS)
def test_the_precision_is_that_of_the_description(name):
    assert build(variant=name).dtype == torch.float32
    assert build(variant=name, dtype="float64").network.scale.dtype == torch.float64


def test_the_same_seed_makes_the_same_model():
    weights = []
    for _ in range(2):
        torch.manual_seed(3)
        weights.append(build().state_dict())
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
