"""Reading weights: strictly, from a file that cannot run anything, and with a clear word about what does not fit."""

import numpy as np
import pytest
import torch

from hermtk.errors import ConfigError, ModelFileError
from hermtk_rmconv.evaluate import evaluate
from hermtk_rmconv.weights import layout, network_of, read_weights
from small import ELEMENTS, FORMALDEHYDE, KINDS, apart, network

every_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture
def weights():
    return dict(network().state_dict())


@every_kind
@pytest.mark.parametrize("elements", [ELEMENTS, ("O", "N", "C", "H"), ("Cu",)])
def test_names_and_shapes_say_what_the_network_is(kind, elements):
    model = network(kind, elements, features=8, n_basis=5, layers=3)
    found = layout(model.state_dict())
    assert (found.kind, found.features, found.n_basis, found.layers) == (kind, 8, 5, 3)
    assert found.elements == elements if kind == "HTNet" else sorted(found.elements) == sorted(elements)


@every_kind
@pytest.mark.parametrize("form", ["w.pt", "w.npz", "prefixed.npz"])
def test_a_file_gives_the_network_back(kind, form, tmp_path):
    model = network(kind, ("O", "H", "C"), intensive=True, cutoff=4.0)
    path = tmp_path / form
    if path.suffix == ".pt":
        torch.save(model.state_dict(), path)
    else:
        before = "sd/" if "prefixed" in form else ""
        np.savez(path, **{before + name: value.numpy() for name, value in model.state_dict().items()})
    again = network_of(read_weights(path), cutoff=4.0, intensive=True)
    assert not again.training
    numbers, positions = FORMALDEHYDE
    here, there = evaluate(model, positions, numbers), evaluate(again, positions, numbers)
    assert apart(here.energies, there.energies) < 1e-13
    assert apart(here.forces, there.forces) < 1e-10


def test_precision_is_kept(weights):
    assert network_of(weights).embed.weight.dtype == torch.float64
    single = network_of({name: value.float() for name, value in weights.items()})
    assert single.embed.weight.dtype == torch.float32
    numbers, positions = FORMALDEHYDE
    assert (
        apart(evaluate(single, positions, numbers).forces, evaluate(network(), positions, numbers).forces)
        < 1e-3
    )


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("fc.0.bias", "fc.0.bias is missing"),
        ("embed.weight", "embed.weight is missing"),
        ("hermconv2.mods.C.ms1.bias", "hermconv2.mods.C.ms1.bias"),
        ("hermconv1.mods.C.mv.weight", "hermconv1.mods.C.mv.weight"),
    ],
)
def test_a_missing_weight_is_named(weights, name, said):
    del weights[name]
    with pytest.raises(ModelFileError, match=said):
        network_of(weights)


@pytest.mark.parametrize("name", ["hermconv1.mods.C.extra.weight", "module.embed.weight", "fc.1.weight"])
def test_a_weight_too_many_is_named(weights, name):
    with pytest.raises(ModelFileError, match=f"{name} is unknown"):
        network_of({**weights, name: torch.zeros(1)})


@pytest.mark.parametrize(
    ("name", "shape", "said"),
    [
        ("fc.0.weight", (3, 3), r"fc\.0\.weight has the shape \(3, 3\), wanted is \(16, 16\)"),
        ("embed.weight", (118, 16), r"embed\.weight has the shape \(118, 16\), wanted is \(119, 16\)"),
        ("hermconv2.mods.O.mv.weight", (48, 11), r"hermconv2\.mods\.O\.mv\.weight has the shape \(48, 11\)"),
        ("embed.weight", (119,), r"embed\.weight is not there as a matrix"),
        ("embed.weight", (119, 0), r"embed\.weight is not there as a matrix"),
    ],
)
def test_a_weight_of_another_shape_is_named(weights, name, shape, said):
    with pytest.raises(ModelFileError, match=said):
        network_of({**weights, name: torch.zeros(shape).double()})


@pytest.mark.parametrize(
    ("kind", "start", "said"),
    [
        ("HVNet", "hermconv1.", r"hermconv1\.mods\.H is missing"),
        (
            "HTNet",
            "hermconv2.mods.H-C-O.",
            r"hermconv2\.mods\.H-C-O is missing; HTNet of C, H, O has 18 relations",
        ),
    ],
)
def test_a_layer_or_relation_that_is_missing_is_named(kind, start, said):
    weights = {k: v for k, v in network(kind).state_dict().items() if not k.startswith(start)}
    with pytest.raises(ModelFileError, match=said):
        network_of(weights)


def test_names_that_would_be_a_huge_network_are_refused_at_once(weights):
    far = {name.replace("hermconv2.", "hermconv9999."): value for name, value in weights.items()}
    with pytest.raises(ModelFileError, match=r"hermconv2\.mods\.H is missing"):
        network_of(far)
    with pytest.raises(ModelFileError, match="is unknown"):
        network_of(
            {name.replace("hermconv2.", f"hermconv{10**12}."): value for name, value in weights.items()}
        )


def test_the_network_has_weights_of_its_own(weights):
    before = weights["fc.0.bias"].clone()
    made = network_of(weights)
    with torch.no_grad():
        made.get_parameter("fc.0.bias").add_(1.0)
    assert torch.equal(weights["fc.0.bias"], before)
    assert all(weight.requires_grad for weight in made.parameters())


@pytest.mark.parametrize("cutoff", [0.0, -1.0, float("nan"), float("inf")])
def test_a_cutoff_is_a_length(weights, cutoff):
    with pytest.raises(ConfigError, match="cutoff = "):
        network_of(weights, cutoff=cutoff)


def test_a_relation_of_no_element_is_refused(weights):
    strange = {name.replace(".C.", ".Xx."): value for name, value in weights.items()}
    with pytest.raises(ModelFileError, match="'Xx', which is no element"):
        network_of(strange)


class Stranger:
    """Something that only unpickling could bring back."""


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"embed.weight": Stranger()}, "was refused"),
        ({"model": {"embed.weight": torch.zeros(2, 2)}}, "'model' that is no tensor"),
        ([torch.zeros(2)], "holds list"),
        ({}, "holds dict"),
        ({"embed.weight": torch.full((119, 4), torch.nan)}, "not finite"),
        ({"embed.weight": torch.zeros(119, 4, dtype=torch.long)}, "no tensor of numbers"),
        ({"embed.weight": torch.zeros(119, 4).to_sparse()}, "no tensor of numbers"),
        ({1: torch.zeros(119, 4)}, "holds 'names'"),
    ],
)
def test_what_is_no_state_dict_is_refused(content, said, tmp_path):
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(ModelFileError, match=said):
        read_weights(tmp_path / "w.pt")


@pytest.mark.parametrize("name", ["w.pt", "w.npz"])
def test_a_missing_or_damaged_file_is_refused(name, tmp_path):
    path = tmp_path / name
    with pytest.raises(ModelFileError, match="no file of weights"):
        read_weights(path)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(ModelFileError, match=r"w\.(pt|npz)"):
        read_weights(path)


def test_an_npz_with_objects_in_it_is_refused(tmp_path):
    np.savez(tmp_path / "w.npz", weights=np.array([Stranger()], dtype=object))
    with pytest.raises(ModelFileError, match="no npz of plain arrays"):
        read_weights(tmp_path / "w.npz")


def test_an_array_in_place_of_an_npz_is_refused(tmp_path):
    with (tmp_path / "w.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(ModelFileError, match="no npz of plain arrays"):
        read_weights(tmp_path / "w.npz")


def test_numbers_of_another_byte_order_are_the_same_numbers(weights, tmp_path):
    np.savez(tmp_path / "w.npz", **{name: value.numpy().astype(">f8") for name, value in weights.items()})
    again = read_weights(tmp_path / "w.npz")
    assert all(torch.equal(again[name], value) for name, value in weights.items())
