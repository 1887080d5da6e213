"""The potential around the network: reference energies, scale, precision, refusals."""

import pytest
import torch

from hermtk.errors import UnknownElement
from hermtk.graph.build import build_graph
from hermtk.graph.graph import Graph
from hermtk.models.build import build_model
from hermtk.models.config import ModelConfig
from hermtk.models.potential import Potential
from hermtk.physics.derivatives import predict
from hermtk.testing import Subject, structures
from hermtk.testing.structures import ORGANIC

REFERENCE = {8: -2041.3, 1: -13.6, 6: -1030.1}
CONFIG = ModelConfig(channels=4, layers=1, cutoff=4.0, n_basis=3, dtype="float64")


def made(**changes) -> Potential:
    torch.manual_seed(0)
    config = CONFIG.model_copy(update=changes)
    return build_model(config, ORGANIC, reference=REFERENCE, scale=2.0)


def graph(structure=None) -> Graph:
    return build_graph(structure or structures.molecule(), 4.0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_energies_are_in_double_precision_with_exact_reference_energies(dtype):
    potential = made(dtype=dtype)
    assert potential.reference.dtype == torch.float64
    assert potential.reference.tolist() == [REFERENCE[z] for z in ORGANIC]
    assert predict(potential, graph()).energy.dtype == torch.float64
    assert potential.to(torch.float32).reference.tolist() == [REFERENCE[z] for z in ORGANIC]


def test_an_energy_is_its_reference_plus_the_scaled_share():
    potential, here = made(), graph()
    union = potential.relate(here.numbers, here.center, here.neighbor)
    inputs = (
        here.numbers,
        here.positions[here.neighbor] - here.positions[here.center],
        here.center,
        here.neighbor,
    )
    energies = potential(*inputs, union, here.n_atoms)
    share = potential.network(potential.element_index(here.numbers), inputs[1], union, here.n_atoms)
    expected = torch.tensor([REFERENCE[z] for z in here.numbers.tolist()], dtype=torch.float64) + 2.0 * share
    torch.testing.assert_close(energies, expected)


def test_forces_do_not_depend_on_reference_energies():
    with_reference, without = made(), made()
    without.reference.zero_()
    torch.testing.assert_close(predict(with_reference, graph()).forces, predict(without, graph()).forces)


def test_repulsion_is_added():
    close = structures.line((6, 8), (0.4,))
    here = predict(made(zbl=True), graph(close)).energy - predict(made(), graph(close)).energy
    assert float(here) > 50


def test_an_element_that_the_model_does_not_know_is_refused_by_name():
    with pytest.raises(UnknownElement, match=r"knows the elements O, H, C; the structure holds Fe, Au"):
        predict(made(), graph(structures.molecule((6, 79, 26))))


def test_elements_keep_the_order_they_were_given_in():
    assert made().elements == ORGANIC
    assert made().element_index(torch.tensor([1, 6, 8])).tolist() == [1, 2, 0]


def test_a_fresh_model_of_any_variant_is_the_homogeneous_one_in_every_relation():
    for variant in ("hvnet", "hpnet", "htnet"):
        layer = made(variant=variant).network.layers[0]
        for weight in layer.parameters():
            assert bool((weight == weight[:1]).all())


def test_the_kit_makes_potentials_in_which_nothing_is_tied():
    potential = Subject("painn", "htnet").make(ORGANIC)
    for name, weight in [*potential.network.layers.named_parameters(), ("scale", potential.network.scale)]:
        assert len(weight.unique()) == weight.numel(), name
    assert bool(potential.network.scale.std() > 0.01)
