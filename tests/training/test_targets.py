"""Learning a target that is no energy: references, scales, losses, and whole runs."""

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from hermtk.data.dataset import write_structures
from hermtk.data.elements import number_of
from hermtk.data.statistics import ReferenceEnergies
from hermtk.data.structure import Structure
from hermtk.data.targets import TARGETS, Target, targeted, with_target
from hermtk.errors import ConfigError, DataError, HermtkError, UnknownName
from hermtk.evaluation.properties import evaluate_property
from hermtk.models.config import ModelConfig
from hermtk.models.files import load_model
from hermtk.models.property import Property
from hermtk.physics.derivatives import Prediction
from hermtk.training.config import LossConfig, make_config
from hermtk.training.data.batches import join, prepare
from hermtk.training.data.targets import fit_target
from hermtk.training.loss import Loss
from hermtk.training.run import Run, new_run, resume_run
from property_world import made

TINY = {"channels": 8, "layers": 1, "n_basis": 4, "cutoff": 3.0, "variant": "homogeneous"}


class Silent:
    notes: list[str]

    def __init__(self) -> None:
        self.notes = []

    def stepped(self, progress: Any, total: int, loss: float) -> None: ...

    def validated(self, row: dict[str, float]) -> None: ...

    def note(self, text: str) -> None:
        self.notes.append(text)


def molecules(n: int, seed: int = 0, elements: tuple[int, ...] = (1, 6, 8)) -> list[Structure]:
    """Chains of 3 to 7 atoms of random elements."""
    rng = np.random.default_rng(seed)
    found = []
    for k in range(n):
        atoms = int(rng.integers(3, 8))
        numbers = rng.choice(elements, size=atoms)
        steps = rng.normal(loc=[1.2, 0, 0], scale=0.2, size=(atoms, 3))
        found.append(Structure(numbers, np.cumsum(steps, axis=0), source=f"chain:{k}"))
    return found


def having(structures: list[Structure], name: str, values: Any) -> list[Structure]:
    """The structures with a target in ``info``, and where training looks for it."""
    target = TARGETS[name]
    return [
        with_target(replace(s, info={name: float(v)}), target)
        for s, v in zip(structures, values, strict=True)
    ]


def count(structures: list[Structure], per_atom: dict[int, float]) -> np.ndarray:
    return np.array([sum(per_atom[int(z)] for z in s.numbers) for s in structures])


def test_references_of_an_extensive_target_are_found_and_taken_off():
    planted = {1: 1.2, 6: 8.0, 8: 4.5}
    train = molecules(40)
    fitted = fit_target(
        ModelConfig(), TARGETS["alpha"], having(train, "alpha", count(train, planted)), (1, 6, 8)
    )
    assert fitted.references.values == pytest.approx(planted, rel=1e-9)
    assert fitted.references.rank == 3
    # nothing is left: the scale is not zero
    assert (fitted.scale, fitted.spread) == (1.0, 1.0)


def test_scale_and_spread_of_an_extensive_target_are_per_atom():
    train = molecules(200)
    noise = np.random.default_rng(1).normal(size=200) * [len(s) for s in train]
    values = count(train, {1: 1.2, 6: 8.0, 8: 4.5}) + noise
    fitted = fit_target(ModelConfig(), TARGETS["alpha"], having(train, "alpha", values), (1, 6, 8))
    assert fitted.scale == fitted.spread == pytest.approx(1.0, rel=0.15)


def test_an_element_that_the_set_lacks_has_its_free_atom_as_reference():
    train, target = molecules(40), TARGETS["U0"]
    values = count(train, dict(target.atoms)) - 4.0 * np.array([len(s) for s in train])
    fitted = fit_target(ModelConfig(), target, having(train, "U0", values), (1, 6, 8, 9))
    # it is bound as the others are
    assert fitted.references.values[9] == pytest.approx(target.atoms[9] - 4.0, rel=1e-9)
    assert "free atoms" in fitted.references.how


def test_free_atoms_are_those_of_the_publication():
    hartree = 27.211386245988
    assert TARGETS["U0"].atoms[6] == pytest.approx(-37.846772 * hartree, rel=1e-9)
    assert TARGETS["G"].atoms[9] == pytest.approx(-99.733544 * hartree, rel=1e-9)
    assert TARGETS["cv"].atoms[number_of("N")] == 2.981
    assert all(set(TARGETS[name].atoms) == {1, 6, 7, 8, 9} for name in ("U0", "U", "H", "G", "cv"))
    # an element that has none: all are left to the fit
    train = molecules(40, elements=(1, 6, 14))
    found = fit_target(
        ModelConfig(), TARGETS["U0"], having(train, "U0", count(train, {1: 1, 6: 2, 14: 3})), (1, 6, 14)
    )
    assert found.references.values == pytest.approx({1: 1, 6: 2, 14: 3}, rel=1e-9)


def test_references_of_an_intensive_target_are_a_mean_over_atoms():
    train = molecules(40)
    values = count(train, {1: -5.0, 6: -7.0, 8: -9.0}) / [len(s) for s in train]
    fitted = fit_target(ModelConfig(), TARGETS["homo"], having(train, "homo", values), (1, 6, 8))
    assert fitted.references.values == pytest.approx({1: -5.0, 6: -7.0, 8: -9.0}, rel=1e-9)
    same = fit_target(ModelConfig(), TARGETS["homo"], having(train, "homo", [-6.5] * 40), (1, 6, 8, 9))
    assert same.references.values == pytest.approx(dict.fromkeys((1, 6, 8, 9), -6.5))


def test_references_of_an_extent_are_charges_and_a_dipole_has_none():
    train = molecules(40)
    model = made("r2", channels=4)
    with torch.no_grad():
        for weight in model.network.readout.parameters():
            weight.zero_()
    unlabelled = [replace(s, energy=0.0) for s in train]
    values = evaluate_property(model, unlabelled).values.predicted
    fitted = fit_target(ModelConfig(), TARGETS["r2"], having(train, "r2", values), model.elements)
    assert list(fitted.references.values.values()) == pytest.approx(model.reference.tolist(), rel=1e-9)
    values = np.random.default_rng(0).uniform(0, 4, size=40)
    fitted = fit_target(ModelConfig(), TARGETS["mu"], having(train, "mu", values), (1, 6, 8))
    assert set(fitted.references.values.values()) == {0.0}
    assert fitted.scale == fitted.spread == pytest.approx(values.std())


def test_given_references_are_used_as_they_are():
    train = molecules(20)
    given = ReferenceEnergies({1: 1.0, 6: 2.0, 8: 3.0}, 3, "given")
    values = count(train, given.values) + 0.5 * np.array([len(s) for s in train]) * np.tile([1, -1], 10)
    fitted = fit_target(ModelConfig(), TARGETS["zpve"], having(train, "zpve", values), (1, 6, 8), given)
    assert fitted.references is given
    assert fitted.scale == pytest.approx(0.5)


@pytest.mark.parametrize(("name", "times"), [("alpha", 1 / 6), ("gap", 1.0), ("mu", 1.0), ("r2", 1.0)])
def test_the_loss_is_in_units_of_the_spread_and_per_atom_only_for_what_grows(name: str, times: float):
    model = made(name)
    structures = [s for s in molecules(30) if len(s) == 6]
    batch = join(model, prepare(having(structures, name, [1.0] * len(structures)), 4.0))
    off = Prediction(batch.energy + 0.3, None)
    loss = Loss(LossConfig(kind="mae", forces=5.0), 2.0, TARGETS[name], spread=0.1)
    assert loss(off, batch).item() == pytest.approx(3.0 * times)


def run_of(
    tmp_path: Path, structures: list[Structure], target: str, listener: Any = None, **more: Any
) -> Run:
    file = tmp_path / "data.xyz"
    write_structures(file, structures)
    model = {**TINY, **more.pop("model", {})}
    config = {
        "data": {
            "train": str(file),
            "target": target,
            "n_train": 30,
            "n_validation": 8,
            "n_test": 8,
            **more.pop("data", {}),
        },
        "model": model,
        "training": {
            "steps": 40,
            "warmup_steps": 2,
            "learning_rate": 0.01,
            "checkpoint_minutes": 0.0,
            **more,
        },
        "threads": 1,
    }
    return new_run(make_config(config), tmp_path / "run", listener or Silent())


def gaps(n: int = 46) -> list[Structure]:
    """A made-up gap that a mean over atoms can give: it follows the elements."""
    structures = molecules(n)
    values = [5.0 - 2.0 * (s.numbers == 8).mean() ** 2 for s in structures]
    return having(structures, "gap", values)


def test_a_run_learns_its_target_and_says_what_it_is(tmp_path: Path):
    listener = Silent()
    run = run_of(tmp_path, gaps(), "gap", listener, compile=True)
    assert isinstance(run.potential, Property)
    run.train()
    config = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert config["model"]["readout"] == "intensive"
    assert config["training"]["loss"]["forces"] == config["training"]["loss"]["stress"] == 0.0
    assert config["training"]["compile"] is False
    assert listener.notes == ["models of gap are not compiled; it goes on without"]
    with (tmp_path / "run" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        "epoch", "step", "seconds", "learning_rate", "train_loss", "validation_loss",
        "train_gap_mae", "validation_gap_mae", "validation_gap_rmse",
    ]  # fmt: skip
    found = evaluate_property(run.potential, run.data.test).summary()["target"]
    assert found["mae"] < 0.5 * found["mad"]
    assert float(rows[-1]["train_gap_mae"]) < float(rows[0]["train_gap_mae"])
    run.keep(run.trainer.progress)
    loaded = load_model(tmp_path / "run" / "model.pt")
    assert isinstance(loaded.model, Property)
    assert loaded.target == TARGETS["gap"]
    assert loaded.facts["target"]["unit"] == "eV"
    again = evaluate_property(loaded.model, run.data.test).values.predicted
    assert np.allclose(again, evaluate_property(run.potential, run.data.test).values.predicted, rtol=1e-6)


def test_a_run_that_stopped_goes_on_to_the_same_weights(tmp_path: Path):
    class Stops(Silent):
        def stepped(self, progress: Any, total: int, loss: float) -> None:
            if progress.step == 21:
                raise KeyboardInterrupt

    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole = run_of(tmp_path / "a", gaps(), "gap")
    whole.train()
    broken = run_of(tmp_path / "b", gaps(), "gap", Stops())
    with pytest.raises(KeyboardInterrupt):
        broken.train()
    resumed = resume_run(tmp_path / "b" / "run", Silent())
    resumed.train()
    for one, other in zip(whole.potential.parameters(), resumed.potential.parameters(), strict=True):
        assert torch.equal(one, other)


def test_structures_without_the_target_are_left_out_only_if_that_is_allowed(tmp_path: Path):
    structures = [*gaps(44), *(replace(s, energy=None, info={}) for s in molecules(2))]
    missing = {"n_train": 38, "n_test": 0}
    (tmp_path / "a").mkdir()
    with pytest.raises(DataError, match=r"have no gap, which is trained on.*allow-missing"):
        run_of(tmp_path / "a", structures, "gap", data=missing)
    run = run_of(tmp_path, structures, "gap", data={**missing, "allow_missing": True}, steps=3)
    assert run.data.missing == {"gap": 2}
    run.train()
    assert np.isfinite(run.trainer.progress.best)


def test_a_number_of_one_s_own_needs_a_readout_and_then_is_learned(tmp_path: Path):
    structures = [replace(s, info={"colour": s.info["gap"]}) for s in gaps()]
    (tmp_path / "a").mkdir()
    with pytest.raises(ConfigError, match="does not know whether colour grows with the structure"):
        run_of(tmp_path / "a", structures, "colour")
    run = run_of(tmp_path, structures, "colour", model={"readout": "intensive"}, steps=2)
    assert run.data.target == Target("colour", names=("colour",))


@pytest.mark.parametrize(
    ("target", "error", "message"),
    [
        ("gapp", UnknownName, r"no target named 'gapp'\. Did you mean 'gap'"),
        ("homo", DataError, r"have no homo, which is trained on.* They have gap"),
        ("energy", DataError, "they have gap: choose one with --target"),
    ],
)
def test_a_target_that_the_data_do_not_have_is_refused_with_those_they_have(
    tmp_path: Path, target: str, error: type[HermtkError], message: str
):
    with pytest.raises(error, match=message):
        run_of(tmp_path, [replace(s, energy=None) for s in gaps()], target)


def test_a_declared_unit_counts_for_names_without_one(tmp_path: Path):
    run = run_of(tmp_path, gaps(), "gap", data={"energy_unit": "Ha"}, steps=1)
    assert min(s.energy for s in run.data.train if s.energy) > 2.9 * 27.2


def test_qm9_is_a_target_s_data_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from hermtk.data import sources

    write_structures(tmp_path / "small.xyz", gaps())
    monkeypatch.setitem(sources.NAMED, "qm9", lambda: tmp_path / "small.xyz")
    monkeypatch.chdir(tmp_path)
    values = {"data": {"train": "qm9", "target": "gap", "n_test": 3}, "model": TINY, "training": {"steps": 1}}
    run = new_run(make_config(values), tmp_path / "run", Silent())
    assert list(run.data.digests) == ["qm9"]
    assert len(run.data.test) == 3
    assert targeted(run.data.test, TARGETS["gap"])[0].energy == run.data.test[0].energy
