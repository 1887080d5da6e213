"""Every component and code block of the page on extending runs, and is found where the page says."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from blind import Blind
from classes import Classes
from faded import Faded
from invariants import Invariants
from jsonl import JsonLines
from test_faded import test_faded_keeps_the_law  # noqa: F401

from docs_pages import EXAMPLES, Block, blocks
from hermtk import registry
from hermtk.data.dataset import read_structures, write_structures
from hermtk.errors import ConfigError, DataError, UnknownName
from hermtk.graph.build import build_graph
from hermtk.models.build import build_model
from hermtk.models.files import load_model, save_model
from hermtk.models.variants import VARIANTS, Variant
from hermtk.physics.derivatives import predict
from hermtk.relations.base import RelationTable
from hermtk.testing import Law, Subject, laws
from hermtk.testing.parametrize import parametrize_laws
from hermtk.testing.structures import molecule
from hermtk.training.config import make_config
from hermtk.units import Units
from training_world import clusters

PAGE = "extending.md"
CHOSEN = {"follows rotations and mirrors", "forces are the slope of the energy", "a neighbor leaves smoothly"}
ALLOY = Classes(classes=[["Fe", "Co", "Ni"], ["C", "O"]])


@pytest.mark.parametrize("block", blocks(PAGE, "python"), ids=str)
def test_a_script_of_the_page_runs(block: Block):
    exec(compile(block.text, str(block), "exec"), {})


@pytest.mark.parametrize("block", blocks(PAGE, "yaml"), ids=str)
def test_a_config_of_the_page_is_understood(added, block: Block):
    model = make_config(yaml.safe_load(block.text)).model
    assert build_model(model, (1, 6, 8)).network.readout.network[0].out_features == 16


def test_every_example_file_is_shown_on_the_page():
    shown = {
        block.language.split()[-1] for block in blocks(PAGE) if block.language.startswith("{literalinclude}")
    }
    assert shown == {f"examples/extending/{path.name}" for path in EXAMPLES.glob("*.py")}


def test_no_block_of_the_page_is_left_untried():
    kinds = {block.language.split()[0] for block in blocks(PAGE)}
    assert kinds <= {"python", "pycon", "yaml", "console", "text", "{literalinclude}"}


@pytest.mark.parametrize(
    ("kind", "name", "contract"),
    [
        ("subnet", "faded", "Subnet"),
        ("relation", "classes", "Relation"),
        ("readout", "invariants", "Readout"),
        ("format", "jsonl", "Format"),
    ],
)
class TestWhereComponentsAreFound:
    def test_a_file_in_the_open_folder_is_all_it_takes(self, added, kind: str, name: str, contract: str):
        assert registry.entries(kind)[name].distribution == "hermtk"
        assert contract in {base.__name__ for base in registry.find(kind, name).__mro__}

    def test_an_entry_point_is_all_it_takes(self, installed, kind: str, name: str, contract: str):
        entry = registry.entries(kind)[name]
        assert (entry.distribution, entry.version) == ("hermtk-mine", "0.1.0")
        assert contract in {base.__name__ for base in registry.find(kind, name).__mro__}

    def test_without_either_it_is_unknown(self, kind: str, name: str, contract: str):
        with pytest.raises(UnknownName):
            registry.find(kind, name)


@parametrize_laws(
    [Subject("painn", "classes", relation=ALLOY), Subject("painn", "htnet", readout=Invariants)],
    [law for law in laws() if law.name in CHOSEN],
)
def test_scheme_and_readout_keep_the_laws(law: Law, subject: Subject):
    law(subject)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_model_of_a_plugin_is_built_saved_and_loaded(installed, tmp_path: Path, variant: str):
    config = make_config(
        {"model": {"subnet": "faded", "readout": "invariants", "variant": variant, "channels": 8}}
    ).model
    potential = build_model(config, (1, 6, 8))
    save_model(tmp_path / "model.pt", potential, config)
    needs = torch.load(tmp_path / "model.pt", weights_only=True)["needs"]
    assert {n["distribution"] for n in needs if n["kind"] != "relation"} == {"hermtk-mine"}
    graph = build_graph(molecule(), potential.cutoff, torch.float32)
    loaded = load_model(tmp_path / "model.pt").potential
    assert torch.equal(predict(loaded, graph).energy, predict(potential, graph).energy)


@parametrize_laws(
    [Subject(Blind, variant) for variant in VARIANTS], [law for law in laws(slow=False) if law.name in CHOSEN]
)
def test_a_subnet_without_typed_layers_keeps_the_laws(law: Law, subject: Subject):
    law(subject)


def test_a_subnet_without_typed_layers_is_named_like_any_other(added):
    values = {"subnet": "blind", "variant": "hpnet", "channels": 8, "subnet_options": {"hidden": 4}}
    potential = build_model(make_config({"model": values}).model, (1, 6, 8))
    assert len(potential.network.layers[0].subnets) == 9
    values = {"subnet": "faded", "channels": 8, "subnet_overrides": {"H": "blind"}}
    potential = build_model(make_config({"model": values}).model, (1, 6, 8))
    assert potential.network.groups == ((1, 2), (0,))


def test_a_line_among_the_variants_gives_a_scheme_its_name(added, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(VARIANTS, "by_class", Variant("classes", "weights by classes of elements"))
    options = {"classes": [["C", "O"]]}
    config = make_config({"model": {"variant": "by_class", "relation_options": options, "channels": 8}}).model
    assert build_model(config, (1, 6, 8)).table.labels == ["H-H", "H-C+O", "C+O-H", "C+O-C+O"]


def test_one_class_of_everything_is_one_relation():
    table = RelationTable(Classes(classes=[["H", "C", "O"]]), (1, 6, 8))
    assert table.labels == ["H+C+O-H+C+O"]
    assert len(RelationTable(Classes(classes=[]), (1, 6, 8))) == 9


@pytest.mark.parametrize(
    ("classes", "error", "words"),
    [
        ([["Fe", "Co"], ["Co"]], ConfigError, "Co: an element can stand in one class only"),
        ([["Fe", "Fe"]], ConfigError, "Fe: an element"),
        ([["fe"]], UnknownName, "Did you mean 'Fe'"),
    ],
)
def test_classes_that_cannot_be_are_refused(classes: list[list[str]], error: type[Exception], words: str):
    with pytest.raises(error, match=words):
        Classes(classes=classes)


def test_what_a_format_writes_it_reads(added, tmp_path: Path):
    written = clusters(3)
    write_structures(tmp_path / "some.jsonl", written)
    for before, after in zip(written, read_structures(tmp_path / "some.jsonl"), strict=True):
        assert before.forces is not None
        assert after.forces is not None
        assert after.energy == before.energy
        np.testing.assert_array_equal(after.numbers, before.numbers)
        np.testing.assert_array_equal(after.positions, before.positions)
        np.testing.assert_array_equal(after.forces, before.forces)


def test_a_format_converts_declared_units(tmp_path: Path):
    path = tmp_path / "some.jsonl"
    path.write_text(json.dumps({"symbols": ["H"], "positions": [[0, 0, 1]], "energy": 1}), encoding="utf-8")
    (structure,) = JsonLines().read(path, Units(energy="Ha", length="Bohr"))
    assert structure.energy == pytest.approx(27.211386, rel=1e-7)
    assert structure.positions[0, 2] == pytest.approx(0.52917721, rel=1e-7)


@pytest.mark.parametrize(
    "line", ["{", "[]", '{"symbols": ["H"]}', '{"symbols": ["H"], "positions": [[0, 0]]}']
)
def test_a_damaged_line_is_refused_with_its_frame(tmp_path: Path, line: str):
    path = tmp_path / "some.jsonl"
    path.write_text('{"symbols": ["H"], "positions": [[0, 0, 0]]}\n' + line, encoding="utf-8")
    with pytest.raises(DataError, match=r"some\.jsonl:1"):
        list(JsonLines().read(path))


def test_faded_has_no_directions():
    assert Faded(8, 3, 8).l_max == 0
