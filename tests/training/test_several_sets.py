"""Several data sets trained on together: divided each for itself, weighted, measured apart."""

import csv
import json
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
from hermtk.data.structure import Structure
from hermtk.errors import ConfigError, DataError
from hermtk.models.build import build_model
from hermtk.models.config import ModelConfig
from hermtk.physics.derivatives import Prediction, predict
from hermtk.training.config import LossConfig, make_config
from hermtk.training.data.batches import join, prepare, together
from hermtk.training.data.prepare import prepare_run
from hermtk.training.data.sets import Several, SeveralItems
from hermtk.training.errors import ErrorSums
from hermtk.training.loss import Loss
from hermtk.training.run import Run, new_run, resume_run
from training_world import clusters

TINY = {"variant": "hvnet", "channels": 8, "layers": 1, "n_basis": 4, "cutoff": 3.0}


class Silent:
    def stepped(self, progress: Any, total: int, loss: float) -> None: ...

    def validated(self, row: dict[str, float]) -> None: ...

    def note(self, text: str) -> None: ...


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Three sets: in a file, in another, in a store."""
    folder = tmp_path_factory.mktemp("sets")
    found = {"old": folder / "old.xyz", "new": folder / "new.xyz", "stored": folder / "stored.store"}
    for seed, path in enumerate(found.values()):
        write_structures(path, clusters(20 + 10 * seed, seed=seed))
    return found


def config(train: Any, **data: Any) -> Any:
    return make_config(
        {
            "data": {"train": train, **data},
            "model": TINY,
            "training": {"steps": 14, "batch_size": 4, "compile": False, "checkpoint_minutes": 0.0},
            "threads": 1,
        }
    )


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., Run]:
    def start(train: Any, name: str = "run", **data: Any) -> Run:
        return new_run(config(train, **data), tmp_path / name, Silent())

    return start


def places(structures: Any) -> list[str]:
    return [s.source for s in structures]


def test_each_set_is_divided_as_it_would_be_alone(files):
    both = prepare_run(config([str(files["old"]), {"file": str(files["stored"]), "n_train": 12}]))
    one = prepare_run(config(str(files["old"])))
    other = prepare_run(config(str(files["stored"]), n_train=12))
    for part in ("train", "validation", "test"):
        assert places(getattr(both, part)) == places(getattr(one, part)) + places(getattr(other, part))
    assert len(both.items) == len(one.items) + 12
    assert {*both.digests} == {str(files["old"]), str(files["stored"])}
    assert both.digests[str(files["old"])] == file_digest(files["old"])


def test_what_a_set_does_not_say_is_as_in_data(files):
    found = prepare_run(
        config([str(files["old"]), {"file": str(files["new"]), "n_train": 9}], n_train=5, n_test=2)
    )
    assert [len(part) for part in found.train.parts] == [5, 9]
    assert [len(part) for part in found.test.parts] == [2, 2]


def test_units_are_those_of_each_set(files, tmp_path):
    hartree = 27.211386245988
    inside = [replace(s, energy=s.energy / hartree, forces=s.forces / hartree) for s in clusters(30, seed=1)]
    write_structures(tmp_path / "hartree.xyz", inside)
    plain = prepare_run(config([str(files["old"]), str(files["new"])]))
    converted = prepare_run(
        config([str(files["old"]), {"file": str(tmp_path / "hartree.xyz"), "energy_unit": "Ha"}])
    )
    for a, b in zip(plain.train, converted.train, strict=True):
        assert b.energy == pytest.approx(a.energy, rel=1e-9)


def test_a_validation_file_serves_for_all_sets(files):
    found = prepare_run(config([str(files["old"]), str(files["new"])], validation=str(files["stored"])))
    assert len(found.validation) == 40
    assert len(found.train) == 18 + 27


@pytest.mark.parametrize("second", ["same", "copy"])
def test_a_set_given_twice_is_refused(files, tmp_path, second):
    other = files["old"]
    if second == "copy":
        other = tmp_path / "copy.xyz"
        other.write_bytes(files["old"].read_bytes())
    with pytest.raises(DataError, match=r"(is given twice|holds the same as).*give it a weight"):
        prepare_run(config([str(files["old"]), str(other)]))


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ([], "a list of sets needs one"),
        ([{"file": "a.xyz", "weigth": 2}], "'weigth'. Did you mean 'weight'"),
        ([{"file": "a.xyz", "weight": 0}], r"data\.train\.0\.weight: .*greater than 0"),
        ([{"weight": 2}], r"data\.train\.0\.file: Field required"),
        ([3], r"data\.train\.0: "),
        (5, r"data\.train: .*string"),
    ],
)
def test_wrong_lists_are_refused_in_one_line(train, message):
    with pytest.raises(ConfigError, match=message) as found:
        config(train)
    assert "list[" not in str(found.value)


def test_workers_need_every_set_in_a_store(files):
    values = config([str(files["stored"]), str(files["old"])])
    training = values.training.model_copy(update={"workers": 1})
    with pytest.raises(ConfigError, match=r"training\.workers is 1"):
        prepare_run(values.model_copy(update={"training": training}))


def test_items_end_to_end_are_those_of_the_sets_and_know_which():
    parts = [prepare(clusters(n, seed=n), 3.0) for n in (2, 3)]
    items = SeveralItems(parts)
    plain = [*parts[0], *parts[1]]
    chosen = np.array([4, 0, 2, 1])
    joined, expected = items.together(chosen), together(plain, chosen)
    assert joined.group is not None
    assert joined.group.tolist() == [1, 0, 1, 0]
    for name in ("energy", "forces", "stress"):
        torch.testing.assert_close(
            getattr(joined, name), getattr(expected, name), rtol=0, atol=0, equal_nan=True
        )
    assert torch.equal(joined.graph.positions, expected.graph.positions)
    assert items.atoms.tolist() == [6] * 5
    assert items.edges.tolist() == [item.graph.n_edges for item in plain]


@given(st.lists(st.integers(0, 4), min_size=1, max_size=4).filter(any), st.data())
def test_structures_end_to_end_have_every_place(sizes, data):
    parts = [
        [Structure(np.array([1]), np.zeros((1, 3)), source=f"{k}:{i}") for i in range(n)]
        for k, n in enumerate(sizes)
    ]
    several, plain = Several(parts), [s for part in parts for s in part]
    assert places(several) == places(plain)
    assert len(several) == len(plain)
    place = data.draw(st.integers(-len(plain), len(plain) - 1))
    assert several[place].source == plain[place].source
    first, last = data.draw(st.integers(0, 9)), data.draw(st.integers(0, 9))
    assert places(several[first:last]) == places(plain[first:last])
    with pytest.raises(IndexError):
        several[len(plain)]


@pytest.fixture
def predicted() -> tuple[Any, Prediction]:
    """Three and two clusters, of which one has no energy, with what a fresh model says of them."""
    torch.manual_seed(0)
    model = build_model(ModelConfig(**TINY, dtype="float64"), (1, 6, 8))
    first = clusters(3)
    first[1] = replace(first[1], energy=None)
    items = SeveralItems([prepare(first, 3.0), prepare(clusters(2, seed=9), 3.0)])
    batch = join(model, items)
    return batch, predict(model, batch.graph)


@pytest.mark.parametrize("kind", ["mse", "mae", "huber"])
def test_a_weight_multiplies_the_losses_of_its_structures(predicted, kind):
    batch, prediction = predicted
    plain = LossConfig(kind=kind)
    found = Loss(plain, 0.0, weights=(1.0, 3.0))(prediction, batch)

    def f(error: torch.Tensor) -> torch.Tensor:
        if kind == "mse":
            return error**2
        if kind == "mae":
            return error.abs()
        d = plain.delta
        return torch.where(error.abs() < d, error**2 / 2, d * (error.abs() - d / 2)) / d

    weight = torch.tensor([1.0, 1.0, 1.0, 3.0, 3.0], dtype=torch.float64)
    energies = weight * f((prediction.energy - batch.energy) / 6)
    assert prediction.forces is not None
    forces = weight.repeat_interleave(6)[:, None] * f(prediction.forces - batch.forces)
    # the mean is over labels, whatever their weights
    expected = energies.nansum() / 4 + forces.sum() / forces.numel()
    torch.testing.assert_close(found, expected)


def test_weights_of_one_are_no_weights(predicted):
    batch, prediction = predicted
    weighted = Loss(LossConfig(), 0.0, weights=(1.0, 1.0))(prediction, batch)
    torch.testing.assert_close(weighted, Loss(LossConfig(), 0.0)(prediction, batch))


def test_errors_are_counted_for_each_set(predicted):
    batch, prediction = predicted
    errors = ErrorSums(sets=2)
    errors.add(prediction, batch)
    assert prediction.forces is not None
    off = (prediction.forces - batch.forces).abs()
    assert errors.mae("forces@0") == pytest.approx(float(off[:18].mean()))
    assert errors.mae("forces@1") == pytest.approx(float(off[18:].mean()))
    assert errors.mae("energy@0") == pytest.approx(
        float((prediction.energy - batch.energy)[[0, 2]].abs().mean())
    )
    again = ErrorSums(sets=2)
    again.add_numbers(errors.numbers())
    assert again.numbers() == errors.numbers()


def test_a_run_says_what_its_sets_are_and_how_far_each_has_come(start, files):
    run = start([str(files["old"]), {"file": str(files["new"]), "weight": 2.5}])
    run.train()
    with (run.folder / "metrics.csv").open(newline="") as file:
        last = list(csv.DictReader(file))[-1]
    n = [len(part) for part in run.data.validation.parts]
    each = [float(last[f"validation_forces_mae ({name})"]) for name in ("old", "new")]
    assert np.average(each, weights=n) == pytest.approx(float(last["validation_forces_mae"]))
    data = json.loads((run.folder / "run.json").read_text())["data"]
    assert data["sets"]["new"] == {"file": str(files["new"]), "weight": 2.5}
    assert set(data["sha256"]) == {str(files["old"]), str(files["new"])}


def test_a_weight_changes_what_is_learned(start, files):
    weights = {}
    for weight in (1.0, 5.0):
        run = start([str(files["old"]), {"file": str(files["new"]), "weight": weight}], f"run{weight}")
        run.trainer.run()
        weights[weight] = run.potential.network.embedding.weight.detach().clone()
    assert not torch.equal(weights[1.0], weights[5.0])


def test_one_set_in_a_list_is_trained_on_as_it_is_alone(start, files):
    runs = [start(str(files["old"]), "alone"), start([str(files["old"])], "listed")]
    for run in runs:
        run.trainer.run()
    one, other = (list(run.potential.parameters()) for run in runs)
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def test_sets_in_files_and_stores_are_resumed_exactly(start, files, tmp_path):
    train = [{"file": str(files["old"]), "weight": 2.0}, str(files["stored"])]
    whole, stopped = start(train, "whole"), start(train, "stopped")
    whole.train()

    class Stopping(Silent):
        def stepped(self, progress: Any, total: int, loss: float) -> None:
            if progress.step == 9:
                raise KeyboardInterrupt

    stopped.trainer.listener = Stopping()
    with pytest.raises(KeyboardInterrupt):
        stopped.train()
    resumed = resume_run(tmp_path / "stopped", Silent())
    resumed.train()
    for a, b in zip(whole.potential.parameters(), resumed.potential.parameters(), strict=True):
        assert torch.equal(a, b)
    one, other = ((tmp_path / name / "metrics.csv").read_text().splitlines() for name in ("whole", "stopped"))
    assert len(one) == len(other)


def test_sets_of_one_name_are_told_apart_by_their_paths(files, tmp_path):
    write_structures(tmp_path / "old.xyz", clusters(20, seed=8))
    found = prepare_run(config([str(files["old"]), str(tmp_path / "old.xyz"), str(files["new"])]))
    assert [one.name for one in found.sets] == [str(files["old"]), str(tmp_path / "old.xyz"), "new"]
