"""The formula, how it fades, and the way from its name to a model file."""

import math

import pytest
import torch

from hermtk import registry
from hermtk.data.dataset import write_structures
from hermtk.graph.graph import edge_vectors
from hermtk.models.build import build_model
from hermtk.models.config import ModelConfig
from hermtk.models.files import load_model, save_model
from hermtk.models.variants import VARIANTS
from hermtk.physics.derivatives import predict
from hermtk.subnets.base import Edges
from hermtk.testing import Subject, structures
from hermtk.testing.structures import ORGANIC
from hermtk.training.config import make_config
from hermtk.training.run import new_run
from hermtk_schnet.subnet import SchNet, ShiftedSoftplus

INSTALLED = "schnet" in registry.entries("subnet")
needs_install = pytest.mark.skipif(
    not INSTALLED, reason="needs an installation: pip install -e plugins/hermtk-schnet"
)
SMALL = {"subnet": "schnet", "channels": 8, "layers": 2, "n_basis": 5, "cutoff": 4.0, "dtype": "float64"}


@pytest.fixture
def edges() -> Edges:
    """A molecule's edges, homogeneous."""
    subject = Subject(SchNet)
    potential = subject.make(ORGANIC)
    graph = subject.graph(structures.molecule())
    union = potential.relate(graph.numbers, graph.center, graph.neighbor)
    return potential.network.edges(edge_vectors(graph), union)


def test_each_atom_receives_what_the_formula_says(edges: Edges):
    layer = SchNet(4, edges.radial.shape[1]).double()
    for weight in layer.parameters():
        torch.nn.init.normal_(weight, std=0.5)
    x = torch.randn(len(edges.union.center_atom), 1, 4, dtype=torch.float64)
    (change,) = layer((x,), (x,), edges)
    expected = torch.zeros(len(x), 4, dtype=torch.float64)
    first, second = layer.filter[0], layer.filter[2]
    for k in range(len(edges.center)):
        hidden = torch.log(0.5 * torch.exp(first.weight @ edges.radial[k] + first.bias) + 0.5)
        faded = edges.weight[k] * (second.weight @ hidden + second.bias)
        expected[edges.center[k]] += faded * (layer.inward.weight @ x[edges.neighbor[k], 0])
    expected = edges.presence[:, None] * layer.outward(expected)
    torch.testing.assert_close(change.squeeze(1), expected)


def test_the_activation_is_zero_at_zero_and_grows_like_its_argument():
    values = ShiftedSoftplus()(torch.tensor([0.0, 50.0, -50.0], dtype=torch.float64))
    torch.testing.assert_close(values, torch.tensor([0, 50 - math.log(2), -math.log(2)], dtype=torch.float64))


def test_a_filter_is_as_wide_as_it_is_told():
    assert SchNet(8, 6, filters=3).filter[2].weight.shape == (3, 3)
    assert SchNet(8, 6).filter[2].weight.shape == (8, 8)


@needs_install
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_model_by_its_name_is_saved_and_loaded(tmp_path, variant: str):
    config = ModelConfig(**SMALL, variant=variant)
    potential = build_model(config, ORGANIC)
    assert len(potential.network.layers[0].subnets) == len(potential.table)
    save_model(tmp_path / "model.pt", potential, config)
    found = load_model(tmp_path / "model.pt")
    assert {need["distribution"] for need in found.needs if need["kind"] == "subnet"} == {"hermtk-schnet"}
    graph = Subject(SchNet).graph(structures.molecule())
    assert torch.equal(predict(found.potential, graph).energy, predict(potential, graph).energy)


class Quiet:
    """A listener that keeps the notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def stepped(self, *_) -> None:
        """Nothing to show."""

    def validated(self, *_) -> None:
        """Nothing to show."""

    def note(self, text: str) -> None:
        self.notes.append(text)


@needs_install
@pytest.mark.parametrize(
    ("overrides", "subnet"), [({}, "schnet"), ({"H": "schnet"}, "painn")], ids=["alone", "beside painn"]
)
def test_it_trains_alone_and_beside_painn(tmp_path, world, overrides, subnet):
    write_structures(tmp_path / "some.xyz", world)
    values = {
        "data": {"train": str(tmp_path / "some.xyz")},
        "model": {**SMALL, "subnet": subnet, "dtype": "float32", "subnet_overrides": overrides},
        "training": {"steps": 30, "warmup_steps": 5, "learning_rate": 0.01},
    }
    listener = Quiet()
    run = new_run(make_config(values), tmp_path / "run", listener)
    assert run.config.training.compile is False
    before = predict(run.potential, run.data.items[0].graph).energy
    run.train()
    assert run.model_path.is_file()
    assert not torch.equal(predict(run.potential, run.data.items[0].graph).energy, before)
    assert listener.notes == []


@needs_install
def test_where_it_is_asked_for_compiling_is_declined_in_a_line(tmp_path, world):
    write_structures(tmp_path / "some.xyz", world)
    values = {
        "data": {"train": str(tmp_path / "some.xyz")},
        "model": {**SMALL, "dtype": "float32"},
        "training": {"steps": 1, "compile": True},
    }
    listener = Quiet()
    new_run(make_config(values), tmp_path / "run", listener).train()
    (note,) = listener.notes
    assert "knows nothing of relations" in note
