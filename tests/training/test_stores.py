"""Training from a store is training from the same structures in memory."""

import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hermtk.data import statistics
from hermtk.data.statistics import elements_of, energy_sd_per_atom, force_rms, reference_energies
from hermtk.data.store import Store
from hermtk.data.storing import write_store
from hermtk.errors import ConfigError, DataError, RunError, UnknownElement
from hermtk.training.config import make_config
from hermtk.training.data.prepare import prepare_run
from hermtk.training.run import Run, new_run, resume_run
from training_world import clusters


class Silent:
    """Nobody watches; may be interrupted."""

    def __init__(self, stop: int | None = None):
        self.stop = stop

    def stepped(self, progress, total, loss):
        if progress.step == self.stop:
            signal.raise_signal(signal.SIGINT)

    def validated(self, row): ...

    def note(self, text): ...


def shuffled(n: int, seed: int = 0) -> list:
    """Clusters with some of their atoms taken away, so that compositions differ."""
    rng = np.random.default_rng(seed)
    found = []
    for s in clusters(n, seed):
        kept = np.sort(rng.permutation(6)[: rng.integers(3, 7)])
        forces = None if s.forces is None else s.forces[kept]
        found.append(replace(s, numbers=s.numbers[kept], positions=s.positions[kept], forces=forces))
    return found


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same forty structures as a store and as a file that is read into memory."""
    from hermtk.data.dataset import write_structures

    folder = tmp_path_factory.mktemp("stores")
    write_store(folder / "a.store", shuffled(40))
    write_structures(folder / "a.npz", shuffled(40))
    return {"store": folder / "a.store", "memory": folder / "a.npz"}


def config(path: Path, data: dict[str, Any] | None = None, **training: Any):
    return make_config(
        {
            "data": {"train": str(path), "n_train": 24, "n_validation": 8, "n_test": 4, **(data or {})},
            "model": {"variant": "hpnet", "channels": 4, "layers": 1, "n_basis": 3, "cutoff": 3.0},
            "training": {"steps": 8, "batch_size": 4, "compile": False, "warmup_steps": 2, **training},
            "threads": 1,
        }
    )


def weights(run: Run) -> list[torch.Tensor]:
    return [p.detach().clone() for p in run.potential.parameters()]


def trained(folder: Path, configuration: Any) -> Run:
    run = new_run(configuration, folder, Silent())
    run.train()
    return run


def test_what_is_measured_is_the_same(files):
    stored, held = (prepare_run(config(files[kind])) for kind in ("store", "memory"))
    for name in ("elements", "references", "scale", "mean_neighbors", "stress"):
        assert getattr(stored, name) == getattr(held, name), name
    assert isinstance(stored.train, Store)
    for part in ("train", "validation", "test"):
        places = [int(s.source.rsplit(":", 1)[1]) for s in getattr(held, part)]
        assert getattr(stored, part).index.tolist() == places


def test_a_run_from_a_store_ends_bit_for_bit_like_one_from_memory(files, tmp_path):
    stored, held = (trained(tmp_path / kind, config(files[kind])) for kind in ("store", "memory"))
    for left, right in zip(weights(stored), weights(held), strict=True):
        assert torch.equal(left, right)
    rows = [(tmp_path / kind / "metrics.csv").read_text().splitlines() for kind in ("store", "memory")]
    assert len(rows[0]) > 1
    for left, right in zip(*rows, strict=True):
        # the third column is the time
        assert left.split(",")[:2] + left.split(",")[3:] == right.split(",")[:2] + right.split(",")[3:]


def test_workers_change_nothing(files, tmp_path):
    budget = {"batch_size": None, "batch_atoms": 20}
    alone = trained(tmp_path / "0", config(files["store"], **budget))
    helped = trained(tmp_path / "2", config(files["store"], workers=2, **budget))
    for left, right in zip(weights(alone), weights(helped), strict=True):
        assert torch.equal(left, right)


def test_a_run_interrupted_within_an_epoch_goes_on_exactly(files, tmp_path):
    configuration = config(files["store"], batch_size=None, batch_edges=60)
    whole = trained(tmp_path / "whole", configuration)
    with pytest.raises(KeyboardInterrupt):
        new_run(configuration, tmp_path / "cut", Silent(stop=3)).train()
    rest = resume_run(tmp_path / "cut", Silent())
    assert rest.trainer.progress.batch == 3
    rest.train()
    for left, right in zip(weights(whole), weights(rest), strict=True):
        assert torch.equal(left, right)


def test_a_run_does_not_go_on_with_another_store(files, tmp_path):
    path = tmp_path / "a.store"
    write_store(path, shuffled(40))
    trained(tmp_path / "run", config(path))
    path.rename(tmp_path / "old.store")
    write_store(path, shuffled(40, seed=1))
    with pytest.raises(RunError, match="has changed since the run began"):
        resume_run(tmp_path / "run", Silent())


def test_epochs_of_a_budget_are_whole(files, tmp_path):
    configuration = config(files["store"], batch_size=None, batch_atoms=20, steps=None, epochs=3)
    run = trained(tmp_path / "run", configuration)
    assert run.trainer.progress.epoch == 3
    assert run.trainer.progress.batch == 0
    assert run.trainer.progress.step == run.trainer.total
    assert run.config.training.batch_size is None


def test_without_a_word_a_batch_has_eight_structures(files, tmp_path):
    run = new_run(config(files["store"], batch_size=None), tmp_path / "run", Silent())
    assert run.config.training.batch_size == 8
    assert next(run.trainer.train.epoch(0)).graph.n_structures == 8


def test_a_damaged_store_is_not_trained_on(tmp_path):
    write_store(tmp_path / "a.store", shuffled(40))
    path = tmp_path / "a.store" / "forces.npy"
    content = bytearray(path.read_bytes())
    content[-3] ^= 4
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"damaged: forces\.npy"):
        prepare_run(config(tmp_path / "a.store"))


def test_missing_labels_are_refused_as_for_a_list(tmp_path):
    structures = shuffled(40)
    structures[5] = replace(structures[5], forces=None)
    write_store(tmp_path / "a.store", structures)
    whole = {"n_train": 39, "n_validation": 1, "n_test": 0}
    with pytest.raises(DataError, match=r"1 of 39 structures have no forces.*a\.store:5"):
        prepare_run(config(tmp_path / "a.store", whole))


def test_another_target_is_read_from_a_store(tmp_path):
    structures = [replace(s, info={"gap": float(k)}) for k, s in enumerate(shuffled(40))]
    write_store(tmp_path / "a.store", structures)
    found = prepare_run(config(tmp_path / "a.store", {"target": "gap"}))
    assert isinstance(found.train, Store)
    assert found.train.values("energy").tolist() == found.train.index.tolist()
    assert [s.forces for s in found.train] == [None] * 24


def test_a_batch_smaller_than_a_structure_is_refused_before_training(files):
    with pytest.raises(ConfigError, match=r"training\.batch_atoms is 5"):
        prepare_run(config(files["store"], batch_size=None, batch_atoms=5))


def test_workers_without_a_store_are_refused(files):
    with pytest.raises(ConfigError, match="hermtk convert"):
        prepare_run(config(files["memory"], workers=1))


@pytest.mark.parametrize("atoms", [7, 50, 2**20])
def test_statistics_of_a_store_in_pieces_are_those_of_a_list(tmp_path, monkeypatch, atoms):
    structures = shuffled(60)
    structures[3] = replace(structures[3], energy=None)
    structures[4] = replace(structures[4], forces=None)
    expected = _statistics(structures)
    write_store(tmp_path / "a.store", structures)
    monkeypatch.setattr(statistics, "_ATOMS", atoms)
    store = Store(tmp_path / "a.store")
    assert _statistics(store) == _statistics(structures)
    found = _statistics(store)
    assert found[0] == expected[0]
    assert found[1:] == pytest.approx(expected[1:], rel=1e-10, abs=1e-12)
    if atoms > 1000:
        assert found == expected


def _statistics(structures) -> list[Any]:
    elements = elements_of(structures)
    references = reference_energies(structures, elements)
    values = list(references.values.values())
    return [
        (elements, references.rank, references.how),
        force_rms(structures),
        energy_sd_per_atom(structures, references),
        *values,
    ]


def test_compositions_that_leave_references_open_are_seen_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(statistics, "_ATOMS", 12)
    found = reference_energies(clusters(30), (1, 6, 8))
    assert found.rank == 1
    assert len(set(np.round(list(found.values.values()), 9))) == 1


def test_an_element_outside_the_list_is_named_with_its_place(files):
    with pytest.raises(UnknownElement, match=r"a\.store:\d+ holds O; the elements are H, C"):
        reference_energies(Store(files["store"]), (1, 6))
