"""Model files remember what they need, and loading one says what is missing."""

import pickle
from pathlib import Path

import pytest
import torch

from hermtk.errors import ModelFileError, PluginChanged
from hermtk.models.build import build_model
from hermtk.models.config import ModelConfig
from hermtk.models.files import load_model, model_needs, save_model
from plugin_world import SUBNET, World

CONFIG = ModelConfig(
    subnet="damped", variant="hpnet", readout="energy", channels=4, layers=1, n_basis=4, cutoff=3.0
)
POINTS = {"subnets": "damped = mine.module:Damped"}


@pytest.fixture
def path(world: World, tmp_path: Path) -> Path:
    """A model file made with mine 1.0."""
    world.install("mine", **POINTS)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        save_model(tmp_path / "model.pt", build_model(CONFIG, (1, 8)), CONFIG)
    return tmp_path / "model.pt"


def rewritten(path: Path, **changes: object) -> Path:
    """The file with some of its entries replaced."""
    torch.save({**torch.load(path, weights_only=True), **changes}, path)
    return path


def test_a_file_says_which_plugins_it_needs(path):
    needs = load_model(path).needs
    assert list(needs) == model_needs(CONFIG)
    assert [(n["kind"], n["name"], n["distribution"]) for n in needs] == [
        ("subnet", "damped", "mine"),
        ("relation", "pair", "hermtk"),
        ("readout", "energy", "hermtk"),
    ]
    assert ["sha256" in need for need in needs] == [True, False, False]


def test_without_the_plugin_loading_says_what_to_install(path, world):
    world.uninstall("mine")
    with pytest.raises(ModelFileError, match=r"the subnet 'damped' of mine 1\.0.*`pip install mine==1\.0`"):
        load_model(path)


def test_with_another_version_loading_warns_and_goes_on(path, world):
    world.install("mine", "1.1", **POINTS)
    with pytest.warns(PluginChanged, match=r"made with mine 1\.0, installed is mine 1\.1"):
        assert load_model(path).config == CONFIG


def test_with_other_sources_loading_warns_and_goes_on(path, world):
    world.install("mine", source=f"{SUBNET}\n", **POINTS)
    with pytest.warns(PluginChanged, match="has other source files"):
        assert load_model(path).config == CONFIG


def test_a_plugin_that_computes_something_else_is_refused_after_the_warning(path, world):
    world.install("mine", source=SUBNET.replace("sent, union.center", "2 * sent, union.center"), **POINTS)
    with (
        pytest.warns(PluginChanged, match="other source files"),
        pytest.raises(ModelFileError, match="no longer gives the energies stored in it"),
    ):
        load_model(path)


def test_a_plugin_that_lost_an_option_is_refused_after_the_warning(path, world):
    config = CONFIG.model_copy(update={"subnet_options": {"power": 2}}).model_dump(mode="json")
    world.install("mine", "2.0", SUBNET.replace("power: int", "strength: int"), **POINTS)
    with (
        pytest.warns(PluginChanged, match=r"installed is mine 2\.0"),
        pytest.raises(ModelFileError, match="cannot be rebuilt: no option of subnet 'damped' named 'power'"),
    ):
        load_model(rewritten(path, config=config))


def test_a_file_of_before_the_digests_still_loads(path):
    needs = torch.load(path, weights_only=True)["needs"]
    plain = [{name: need[name] for name in need if name != "sha256"} for need in needs]
    assert load_model(rewritten(path, needs=plain)).config == CONFIG


def test_a_file_that_would_run_code_is_refused_and_runs_none(tmp_path, monkeypatch):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    path = tmp_path / "model.pt"
    torch.save({"magic": "hermtk model", "needs": Trap()}, path)
    with pytest.raises(ModelFileError, match="could run code"):
        load_model(path)
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(ModelFileError):
        load_model(path)
    assert not (tmp_path / "sprung").exists()
