"""A run that begins with a model file: what it keeps, what it may change, what it says of where it began."""

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hermtk.data.dataset import file_digest, write_structures
from hermtk.data.statistics import ReferenceEnergies
from hermtk.data.structure import Structure
from hermtk.errors import ConfigError, ModelFileError, RunError, UnknownElement
from hermtk.kernels.library import compiler_missing
from hermtk.models.build import build_model
from hermtk.models.config import ModelConfig
from hermtk.models.files import load_model
from hermtk.physics.derivatives import predict
from hermtk.training.config import RunConfig, make_config
from hermtk.training.data.batches import join, prepare
from hermtk.training.data.stored import prepare_store
from hermtk.training.run import Run, new_run, resume_run
from hermtk.training.tuning import start as starting
from hermtk.training.tuning.freeze import frozen_names, parameter_names
from hermtk.training.tuning.shift import shifted
from training_world import clusters, morse

TINY = {"variant": "hvnet", "channels": 8, "layers": 2, "n_basis": 4, "cutoff": 3.0}
SHIFT = {1: -3.0, 6: 11.0, 8: 40.0}


class Listening:
    """Remembers what is said; interrupts after a step if told to."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.notes: list[str] = []
        self.rows: list[dict[str, float]] = []
        self.stop_after = stop_after

    def stepped(self, progress: Any, total: int, loss: float) -> None:
        if progress.step == self.stop_after:
            raise KeyboardInterrupt

    def validated(self, row: dict[str, float]) -> None:
        self.rows.append(row)

    def note(self, text: str) -> None:
        self.notes.append(text)


def config(train: Path, steps: int = 12, **sections: dict[str, Any]) -> RunConfig:
    """A run of a few steps."""
    training = {"steps": steps, "batch_size": 4, "warmup_steps": 2, "compile": False}
    data = {"train": str(train), "n_train": 24, "n_validation": 8, "n_test": 4}
    return make_config(
        {
            "data": data | sections.get("data", {}),
            "model": sections.get("model", {}),
            "start": sections.get("start", {}),
            "training": training | sections.get("training", {}),
            "threads": 1,
        }
    )


def moved(structures: list[Structure], shift: dict[int, float]) -> list[Structure]:
    """The structures with another zero of energy for each element, as another code would have."""
    return [replace(s, energy=(s.energy or 0.0) + sum(shift[int(z)] for z in s.numbers)) for s in structures]


def varied(structures: list[Structure]) -> list[Structure]:
    """The structures with atoms left out in turn, so that their compositions differ."""
    return [only(s, np.arange(len(s)) != k % len(s)) for k, s in enumerate(structures)]


def only(structure: Structure, kept: np.ndarray) -> Structure:
    """Some atoms of a cluster, on the zero of energy of whole ones."""
    positions = structure.positions[kept]
    energy, forces = morse(positions)
    rest = -500.0 * len(positions) / len(structure)
    return replace(
        structure, numbers=structure.numbers[kept], positions=positions, energy=energy + rest, forces=forces
    )


@pytest.fixture(scope="module")
def model_file(cluster_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of a short run."""
    folder = tmp_path_factory.mktemp("first") / "run"
    run = new_run(config(cluster_file, steps=60, model=TINY), folder, Listening())
    run.train()
    return run.model_path


@pytest.fixture(scope="module")
def other_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """New clusters of varied compositions with another zero of energy."""
    path = tmp_path_factory.mktemp("data") / "other.xyz"
    write_structures(path, moved(varied(clusters(40, seed=5)), SHIFT))
    return path


Begin = Callable[..., Run]


@pytest.fixture
def begin(model_file: Path, tmp_path: Path) -> Begin:
    """A run that begins with the model file."""

    def begin(train: Path, *, listener: Listening | None = None, **sections: Any) -> Run:
        sections["start"] = {"model": str(model_file)} | sections.get("start", {})
        return new_run(config(train, **sections), tmp_path / "run", listener or Listening())

    return begin


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_first_check_holds_where_gradients_change_how_products_are_summed(tmp_path: Path) -> None:
    """Of molecules of nine atoms with weights per centre, in single precision, products with and without gradients differ."""
    data = {"n_train": 16, "n_validation": 4, "n_test": 4}
    first = config(Path("builtin"), steps=2, data=data, model=TINY | {"layers": 3, "cutoff": 5.0})
    file = new_run(first, tmp_path / "first", Listening())
    file.train()
    tuned = config(Path("builtin"), steps=2, data=data, start={"model": str(file.model_path)})
    run = new_run(tuned, tmp_path / "second", Listening())
    assert "to the last bit" in run.facts["start"]["verified"]


def test_the_run_begins_with_the_weights_of_the_file_and_says_so(begin, model_file, cluster_file):
    listener = Listening()
    run = begin(cluster_file, listener=listener)
    file = load_model(model_file)
    ours = dict(run.potential.state_dict())
    assert all(torch.equal(ours[name], value) for name, value in file.model.state_dict().items())
    assert len(listener.notes) == 1
    assert "of 8 structures are those of" in listener.notes[0]
    assert "to the last bit" in listener.notes[0]


def test_the_architecture_is_that_of_the_file(begin, model_file, cluster_file):
    run = begin(cluster_file)
    assert run.config.model == load_model(model_file).config
    assert run.config.model.channels == TINY["channels"]


def test_a_key_that_repeats_the_file_is_no_contradiction(begin, cluster_file):
    assert begin(cluster_file, model={"channels": 8, "subnet": "painn"}).config.model.layers == 2


@pytest.mark.parametrize(
    ("key", "value", "there"),
    [("channels", 16, "8"), ("variant", "htnet", "'hvnet'"), ("subnet_options", {"hidden": 5}, "hidden")],
)
def test_a_key_that_contradicts_the_file_is_refused_with_both_values(begin, cluster_file, key, value, there):
    with pytest.raises(ConfigError, match=rf"model\.{key} is .*{there}"):
        begin(cluster_file, model={key: value})


def test_another_target_than_the_files_is_refused(begin, cluster_file):
    with pytest.raises(ConfigError, match=r"data\.target is 'gap', but .* was trained on 'energy'"):
        begin(cluster_file, data={"target": "gap"})


def test_a_missing_model_file_is_said_before_data_are_read(tmp_path):
    values = config(tmp_path / "nothing.xyz", start={"model": str(tmp_path / "absent.pt")})
    with pytest.raises(ModelFileError, match=r"no model file .*absent\.pt"):
        new_run(values, tmp_path / "run", Listening())


def test_the_folder_of_a_run_stands_for_its_model(model_file, cluster_file, tmp_path):
    run = new_run(
        config(cluster_file, start={"model": str(model_file.parent)}), tmp_path / "run", Listening()
    )
    assert run.facts["start"]["model"] == str(model_file)


def test_the_starting_model_is_measured_before_the_first_step(begin, model_file, cluster_file):
    run = begin(cluster_file)
    run.train()
    first = rows_of(run.folder)[0]
    assert (first["epoch"], first["step"], first["train_loss"]) == ("0", "0", "")
    model, errors = load_model(model_file).potential, []
    for item in prepare(run.data.validation, model.cutoff):
        batch = join(model, [item])
        errors.append((predict(model, batch.graph).forces - batch.forces).abs())
    expected = float(torch.cat(errors).double().mean())
    assert float(first["validation_forces_mae"]) == pytest.approx(expected, rel=1e-6)


def test_the_best_model_may_be_the_one_it_began_with(begin, model_file, cluster_file, tmp_path):
    write_structures(tmp_path / "wrong.xyz", [replace(s, forces=-5 * s.forces) for s in clusters(40)])
    wrong, right = tmp_path / "wrong.xyz", {"validation": str(cluster_file)}
    run = begin(wrong, data=right, training={"learning_rate": 0.02, "warmup_steps": 0})
    progress = run.train()
    assert progress.best_step == 0
    kept, first = load_model(run.model_path).model, load_model(model_file).model
    assert all(torch.equal(a, b) for a, b in zip(kept.parameters(), first.parameters(), strict=True))


def test_training_goes_on_from_there(begin, cluster_file):
    run = begin(cluster_file, steps=60)
    progress = run.train()
    assert progress.best_step > 0
    assert progress.best < float(rows_of(run.folder)[0]["validation_loss"])


@pytest.mark.parametrize("patterns", [["embedding"], ["layers.0", "readout"], ["*.bias"]])
def test_what_is_frozen_does_not_move_whatever_pulls(begin, model_file, cluster_file, patterns):
    run = begin(
        cluster_file, start={"freeze": patterns}, training={"weight_decay": 0.5, "learning_rate": 0.01}
    )
    frozen = set(frozen_names(run.potential, patterns))
    first = {n.removeprefix("network."): p for n, p in load_model(model_file).model.named_parameters()}
    run.trainer.run()
    for place in (run.trainer.average.weights, list(run.potential.parameters())):
        for (name, before), after in zip(first.items(), place, strict=True):
            assert torch.equal(before, after.detach()) == (name in frozen), name
    assert 0 < len(frozen) < len(first)
    assert run.facts["start"]["frozen"] == [name for name in first if name in frozen]


NAMES = [
    "embedding.weight",
    "layers.0.mix.weight",
    "layers.0.mix.bias",
    "layers.10.mix.weight",
    "readout.weight",
]


class Named(torch.nn.Module):
    """A module with such names."""

    def __init__(self) -> None:
        super().__init__()
        self.network = torch.nn.Module()
        for name in NAMES:
            *path, last = name.split(".")
            place = self.network
            for part in path:
                if not hasattr(place, part):
                    place.add_module(part, torch.nn.Module())
                place = getattr(place, part)
            place.register_parameter(last, torch.nn.Parameter(torch.zeros(1)))


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["embedding"], NAMES[:1]),
        (["network.embedding"], NAMES[:1]),
        (["layers.0.*"], NAMES[1:3]),
        (["layers.1?"], []),
        (["layers.1*"], NAMES[3:4]),
        (["layers"], NAMES[1:4]),
        (["*.bias", "readout.weight"], [NAMES[2], NAMES[4]]),
        ([], []),
    ],
)
def test_patterns_name_parameters(patterns, expected):
    if not expected and patterns:
        with pytest.raises(ConfigError, match="no parameter is named"):
            frozen_names(Named(), patterns)
    else:
        assert frozen_names(Named(), patterns) == expected


def test_a_pattern_that_names_nothing_offers_the_nearest():
    with pytest.raises(
        ConfigError, match=r"'layer\.0'.* mean 'layers\.0'.*embedding, layers\.0, layers\.10, readout"
    ):
        frozen_names(Named(), ["layer.0"])


def test_freezing_everything_is_refused():
    with pytest.raises(ConfigError, match="nothing is left to train"):
        frozen_names(Named(), ["*"])


@given(st.sets(st.sampled_from(NAMES), max_size=len(NAMES) - 1))
def test_every_parameter_can_be_named_alone(chosen):
    assert set(frozen_names(Named(), sorted(chosen))) == chosen
    assert parameter_names(Named()) == NAMES


def test_freezing_needs_a_model_to_begin_with(cluster_file):
    with pytest.raises(ConfigError, match=r"freeze .*start\.model"):
        config(cluster_file, start={"freeze": ["embedding"]})


def test_kept_references_are_those_of_the_file(begin, model_file, other_file):
    listener = Listening()
    run = begin(other_file, listener=listener)
    assert torch.equal(run.potential.reference, load_model(model_file).model.reference)
    # SHIFT moves these structures by about 12 eV an atom
    assert "eV per atom from those of the model" in listener.notes[1]
    assert "--new-references" in listener.notes[1]


def test_new_references_take_off_what_each_element_differs_by(begin, model_file, other_file):
    listener = Listening()
    run = begin(other_file, listener=listener, start={"references": "new"})
    old = load_model(model_file).model
    found = (run.potential.reference - old.reference).tolist()
    assert found == pytest.approx([SHIFT[z] for z in old.elements], abs=3)
    assert len(listener.notes) == 1
    assert "but for the new references" in listener.notes[0]


def test_the_shift_of_references_is_found_exactly_where_labels_are_predictions_and_a_shift():
    torch.manual_seed(0)
    options = ModelConfig(channels=8, layers=1, n_basis=3, cutoff=3.0, dtype="float64")
    model = build_model(options, (1, 6, 8), reference={1: 0.5, 6: -2.0, 8: 7.0})
    structures = varied(clusters(12))
    items = prepare(structures, 3.0)
    batch = join(model, items)
    predicted = predict(model, batch.graph).energy.tolist()
    labelled = [replace(s, energy=e) for s, e in zip(structures, predicted, strict=True)]
    old = ReferenceEnergies({1: 0.5, 6: -2.0, 8: 7.0}, 3, "given")
    new = shifted(old, model, prepare(moved(labelled, SHIFT), 3.0))
    assert new.values == pytest.approx({z: e + SHIFT[z] for z, e in old.values.items()}, abs=1e-9)
    assert new.rank == 3


def test_an_element_that_the_new_data_lack_keeps_its_reference(begin, model_file, tmp_path):
    without = [only(s, s.numbers != 8) for s in clusters(40, seed=7)]
    write_structures(tmp_path / "CH.xyz", moved(without, SHIFT))
    run = begin(tmp_path / "CH.xyz", start={"references": "new"})
    old = load_model(model_file).model
    assert run.data.elements == old.elements
    assert float(run.potential.reference[2]) == float(old.reference[2])
    assert float(run.potential.reference[1]) != float(old.reference[1])


def test_references_can_be_a_table(begin, cluster_file):
    table = {"H": -1.0, "C": -2.0, "O": -3.0}
    run = begin(cluster_file, data={"references": table})
    assert run.potential.reference.tolist() == [-1.0, -2.0, -3.0]
    assert run.facts["start"]["references"] == "given"


def test_references_cannot_be_kept_and_given(begin, cluster_file):
    with pytest.raises(ConfigError, match=r"start\.references is keep, but data\.references"):
        begin(cluster_file, data={"references": {"H": 1.0, "C": 1.0, "O": 1.0}}, start={"references": "keep"})


def test_elements_that_the_model_does_not_know_are_refused(begin, tmp_path):
    strange = [replace(s, numbers=np.where(s.numbers == 8, 16, s.numbers)) for s in clusters(40)]
    write_structures(tmp_path / "sulfur.xyz", strange)
    with pytest.raises(UnknownElement, match=r"the data hold S; .*model\.pt knows H, C, O"):
        begin(tmp_path / "sulfur.xyz")


def test_a_model_that_predicts_something_else_is_not_trained(begin, cluster_file, monkeypatch, tmp_path):
    def spoiled(self, model):
        model.load_state_dict(self.file.model.state_dict())
        with torch.no_grad():
            model.network.embedding.weight[0, 0] += 1e-6

    monkeypatch.setattr(starting.Start, "put_into", spoiled)
    with pytest.raises(RunError, match=r"does not predict what .* Nothing was trained"):
        begin(cluster_file)


def test_run_and_model_say_where_they_began(begin, model_file, cluster_file, tmp_path):
    run = begin(cluster_file)
    run.train()
    began = json.loads((run.folder / "run.json").read_text())["start"]
    assert began["model"] == str(model_file)
    assert began["sha256"] == file_digest(model_file)
    assert began["facts"]["data"]["sha256"] == load_model(model_file).facts["data"]["sha256"]
    assert load_model(run.model_path).facts["start"] == began
    again = new_run(
        config(cluster_file, start={"model": str(run.model_path)}), tmp_path / "again", Listening()
    )
    assert again.facts["start"]["facts"]["start"]["sha256"] == began["sha256"]


def test_what_the_weights_have_seen_is_counted_on(begin, model_file, cluster_file):
    run = begin(cluster_file)
    before, after = load_model(model_file).facts, run.facts
    assert after["seen"]["structures"] == 2 * before["seen"]["structures"]
    assert after["coverage"] == {name: 2 * count for name, count in before["coverage"].items()}


def test_a_run_is_resumed_without_the_file_it_began_with(model_file, other_file, tmp_path):
    copied = tmp_path / "first.pt"
    shutil.copy(model_file, copied)
    values = config(
        other_file,
        steps=24,
        start={"model": str(copied), "references": "new", "freeze": ["embedding"]},
        training={"checkpoint_minutes": 0.0},
    )
    whole = new_run(values, tmp_path / "whole", Listening())
    whole.train()
    stopped = new_run(values, tmp_path / "stopped", Listening(stop_after=9))
    with pytest.raises(KeyboardInterrupt):
        stopped.train()
    copied.unlink()
    resumed = resume_run(tmp_path / "stopped", Listening())
    resumed.train()
    one, other = (load_model(run.model_path) for run in (whole, resumed))
    for name, value in one.model.state_dict().items():
        assert torch.equal(value, other.model.state_dict()[name]), name
    assert one.facts["start"] == other.facts["start"]
    assert [r["validation_loss"] for r in rows_of(whole.folder)] == [
        r["validation_loss"] for r in rows_of(resumed.folder)
    ]


def test_structures_of_a_store_are_tuned_on_alike(begin, model_file, other_file, tmp_path):
    from hermtk.data.dataset import read_structures
    from hermtk.data.store import Store

    write_structures(tmp_path / "other.store", read_structures(other_file))
    run = begin(tmp_path / "other.store", start={"references": "new"})
    model = load_model(model_file).potential
    known = {z: float(e) for z, e in zip(model.elements, model.reference, strict=True)}
    kept = ReferenceEnergies(known, len(known), "kept")
    store = Store(tmp_path / "other.store").pick(run.data.train.index)
    assert run.data.reference == shifted(kept, model, prepare_store(store, model.cutoff)).values


COMPILED = """
import sys
from pathlib import Path
import torch
from hermtk.models.files import load_model
from hermtk.training.run import new_run
from test_fine_tuning import Listening, config

start = {"model": sys.argv[2], "freeze": ["embedding", "layers.0"]}
listener = Listening()
run = new_run(config(Path(sys.argv[1]), 2, start=start, training={"compile": True}), Path("run"), listener)
run.trainer.run()
assert not [note for note in listener.notes if "without compiling" in note], listener.notes
first = load_model(sys.argv[2]).model
moved = [not torch.equal(a, b) for a, b in zip(first.parameters(), run.potential.parameters())]
frozen = [name.startswith(("network.embedding", "network.layers.0.")) for name, _ in first.named_parameters()]
assert moved == [not still for still in frozen], (moved, frozen)
"""


@pytest.mark.slow
@pytest.mark.skipif(bool(compiler_missing()), reason=compiler_missing())
def test_a_compiled_step_leaves_frozen_parameters_alone(model_file, cluster_file, tmp_path):
    # without the checks of types that tests put around functions, which cannot be compiled
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[1])])
    command = [sys.executable, "-c", COMPILED, str(cluster_file), str(model_file)]
    subprocess.run(command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}, check=True)
