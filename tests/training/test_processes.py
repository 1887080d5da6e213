"""Several processes learn what one would have learned, and none waits for a dead one."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from hermtk.data.dataset import write_structures
from hermtk.data.structure import Structure
from hermtk.errors import ConfigError, DataError, RunError, UnknownName
from hermtk.training.config import make_config
from hermtk.training.data.order import Budget, Order
from hermtk.training.place import first_host, place_in
from hermtk.training.processes import ALONE, Processes, processes
from hermtk.training.run import new_run, resume_run
from process_world import Told, ended, kill_at, outcome, place, started, train, weights
from training_world import clusters

TORCHRUN = {"RANK": "3", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "MASTER_ADDR": "here", "MASTER_PORT": "29500"}
SLURM = {
    "SLURM_JOB_ID": "17",
    "SLURM_STEP_ID": "0",
    "SLURM_STEP_NUM_TASKS": "8",
    "SLURM_PROCID": "5",
    "SLURM_LOCALID": "1",
    "SLURM_STEP_NODELIST": "gpu[03-04],fat1",
}


def test_torchrun_and_slurm_say_where_a_process_stands() -> None:
    found = place_in(TORCHRUN)
    assert found is not None
    assert (found.rank, found.count, found.local, found.meeting) == (3, 8, 1, "env://")
    found = place_in(SLURM)
    assert found is not None
    assert (found.rank, found.count, found.local, found.meeting) == (5, 8, 1, "tcp://gpu03:20017")
    # torchrun started by srun: torchrun knows better
    found = place_in({**SLURM, **TORCHRUN})
    assert found is not None
    assert found.rank == 3


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"RANK": "0", "WORLD_SIZE": "1"},
        # a batch script is one process, whatever its job may start
        {"SLURM_JOB_ID": "17", "SLURM_NTASKS": "8", "SLURM_PROCID": "0"},
        {**SLURM, "SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"},
    ],
)
def test_a_process_may_be_alone(environment: dict[str, str]) -> None:
    assert place_in(environment) is None
    with processes(environment) as us:
        assert us is ALONE


@pytest.mark.parametrize(
    ("change", "said"),
    [({"RANK": "8"}, "number 8 of 8"), ({"RANK": "first"}, "first"), ({"MASTER_PORT": None}, "MASTER_PORT")],
)
def test_what_makes_no_sense_is_refused(change: dict[str, str | None], said: str) -> None:
    environment = {name: value for name, value in {**TORCHRUN, **change}.items() if value is not None}
    with pytest.raises(RunError, match=said):
        place_in(environment)


@pytest.mark.parametrize(
    ("nodes", "host"),
    [
        ("gpu03", "gpu03"),
        ("gpu[03-05,9]", "gpu03"),
        ("gpu[7,9],fat", "gpu7"),
        ("a1,b2", "a1"),
        ("r1n[2-3]s", "r1n2s"),
    ],
)
def test_the_first_of_slurm_s_nodes(nodes: str, host: str) -> None:
    assert first_host(nodes) == host


@given(st.lists(st.integers(1, 500), max_size=40), st.integers(1, 6))
def test_the_shares_of_a_batch_are_the_batch_and_are_even(edges: list[int], count: int) -> None:
    sizes = np.array(edges, np.int64)
    order = Order(np.ones_like(sizes), sizes, Budget(structures=8), 0)
    for places in order.epoch(0):
        shares = [order.share(places, rank, count) for rank in range(count)]
        assert sorted(np.concatenate(shares)) == sorted(places)
        assert all(list(share) == [place for place in places if place in share] for share in shares)
        work = [int((sizes[share] + 1).sum()) for share in shares]
        assert max(work) - min(work) <= (sizes[places] + 1).max()


@pytest.mark.parametrize("name", ["mps", "cuda:99"])
def test_a_device_that_cannot_be_used_is_refused_with_the_reason(name: str) -> None:
    with pytest.raises(RunError, match=f"{name}.*cannot be used"):
        ALONE.device(name)


def test_an_unknown_device_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="cpu, cuda"):
        ALONE.device("gpu")


def mixed_clusters(n: int) -> list[Structure]:
    """Clusters of which few have all elements, so that most triads are missing in a small batch."""
    rng, found = np.random.default_rng(4), []
    kinds = ([1, 1, 1, 1, 1, 1], [6, 1, 1, 1, 1, 1], [8, 1, 8, 1], [6, 6, 1, 1, 8], [8, 8, 8])
    for cluster in clusters(n):
        numbers = np.array(kinds[rng.integers(len(kinds))])
        k = len(numbers)
        positions = cluster.positions[:k]
        bond = positions[None] - positions[:, None]
        # any smooth energy will do: harmonic springs between all pairs
        found.append(
            Structure(
                numbers,
                positions,
                energy=0.05 * float((bond**2).sum()) - 10.0 * k,
                forces=0.2 * bond.sum(1),
                source=cluster.source,
            )
        )
    return found


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "mixed.xyz"
    write_structures(path, mixed_clusters(36))
    return path


def config(data: Path, steps: int, **model: Any) -> dict[str, Any]:
    return {
        # batches of 5, the last of a single structure: fewer than processes
        "data": {"train": str(data), "n_train": 26, "n_validation": 7, "n_test": 3},
        "model": {"variant": "htnet", "channels": 8, "layers": 1, "n_basis": 5, "cutoff": 3.0, **model},
        "training": {
            "steps": steps,
            "batch_size": 5,
            "checkpoint_minutes": 0.0,
            "warmup_steps": 5,
            # at twice this rate single precision drifts apart by 3e-5 in 200 steps
            "learning_rate": 5e-4,
            "compile": False,
        },
        "threads": 1,
    }


def one_process(values: dict[str, Any], folder: Path) -> tuple[Told, Any]:
    told = Told()
    run = new_run(make_config(values), folder, told)
    run.train()
    return told, run


def table(folder: Path) -> np.ndarray:
    """The numbers of metrics.csv that do not depend on the clock."""
    with (folder / "metrics.csv").open(newline="") as file:
        rows = [{k: float(v) for k, v in row.items() if v and k != "seconds"} for row in csv.DictReader(file)]
    return np.array([list(row.values()) for row in rows])


@pytest.mark.parametrize(
    ("dtype", "steps", "tolerance"),
    [
        ("float32", 200, 1e-5),
        ("float64", 30, 1e-12),
        pytest.param("float64", 200, 1e-12, marks=pytest.mark.slow),
    ],
)
def test_two_processes_have_the_loss_curve_of_one(
    tmp_path: Path, data: Path, dtype: str, steps: int, tolerance: float
) -> None:
    values = config(data, steps, dtype=dtype)
    values["training"] |= {"checkpoint_minutes": 5.0, "validate_every": 5}
    running = started(2, train, tmp_path / "two", values)
    alone, _ = one_process(values, tmp_path / "one")
    assert ended(running, 120) == [0, 0]
    losses = [outcome(tmp_path / "two", rank)["losses"] for rank in range(2)]
    assert len(alone.losses) == steps
    assert losses[0] == losses[1]
    np.testing.assert_allclose(losses[0], alone.losses, rtol=tolerance)
    np.testing.assert_allclose(
        table(tmp_path / "two"), table(tmp_path / "one"), rtol=10 * tolerance, atol=tolerance
    )
    first, second = (weights(tmp_path / "two", rank) for rank in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_subnet_that_only_one_process_uses_learns_too(tmp_path: Path, data: Path) -> None:
    # relations with a subnet of their own: no gradient at all where they are absent
    values = config(
        data, 30, variant="hpnet", dtype="float64", subnet_overrides={"O-O": "painn", "C-C": "painn"}
    )
    running = started(3, train, tmp_path / "three", values)
    alone, _ = one_process(values, tmp_path / "one")
    assert ended(running, 120) == [0, 0, 0]
    np.testing.assert_allclose(outcome(tmp_path / "three", 0)["losses"], alone.losses, rtol=1e-12)


@pytest.mark.parametrize("killed", [0, 1])
def test_when_one_process_is_killed_all_end_and_the_run_goes_on_exactly(
    tmp_path: Path, data: Path, killed: int
) -> None:
    values = config(data, 40)
    whole = started(2, train, tmp_path / "whole", values)
    folder = tmp_path / "killed"
    running = started(2, train, folder, values)
    kill_at(running[killed], folder, killed, 12)
    statuses = ended(running, 60)
    assert statuses[1 - killed] == 1
    assert "another process of the run has ended" in outcome(folder, 1 - killed)["said"]
    assert ended(started(2, train, folder, values), 120) == [0, 0]
    assert ended(whole, 120) == [0, 0]
    undisturbed, resumed = (weights(name, 0) for name in (tmp_path / "whole", folder))
    assert all(torch.equal(undisturbed[name], resumed[name]) for name in undisturbed)
    assert np.array_equal(table(folder), table(tmp_path / "whole"))
    assert not outcome(folder, 0)["notes"]


def test_another_number_of_processes_goes_on_to_rounding_and_says_so(tmp_path: Path, data: Path) -> None:
    values = config(data, 40, dtype="float64")
    folder = tmp_path / "run"
    running = started(2, train, folder, values)
    kill_at(running[1], folder, 1, 15)
    ended(running, 60)
    told = Told()
    run = resume_run(folder, told)
    begun = run.trainer.progress.step
    run.train()
    alone, _ = one_process(values, tmp_path / "one")
    assert 0 < begun < 40
    np.testing.assert_allclose(told.losses, alone.losses[begun:], rtol=1e-12)
    assert any("1 process goes on where there were 2" in note for note in told.notes)
    assert json.loads((folder / "run.json").read_text())["processes"] == 1


def collective(rank: int, count: int, port: int, folder: Path) -> None:
    """What travels between processes, told in a file."""
    place(rank, count, port)
    found: dict[str, Any] = {}
    with processes() as us:
        found["sum"] = us.sum(torch.tensor([1.0 + rank, 0.1], dtype=torch.float64)).tolist()
        found["any"] = [us.any(rank == 1), us.any(False)]
        found["first"] = us.from_first({"folder": f"of {rank}"})
        shared, own, unused, frozen = (nn.Parameter(torch.ones(2)) for _ in range(4))
        frozen.requires_grad_(False)
        ((rank + 1) * shared + (own if rank else 0.0)).sum().backward()
        found["numbers"] = us.sum_gradients([shared, own, unused, frozen], torch.ones(1)).tolist()
        found["gradients"] = [
            None if p.grad is None else p.grad.tolist() for p in (shared, own, unused, frozen)
        ]
        for case, failing in {"both": (0, 1), "second": (1,)}.items():
            try:
                with us.together():
                    if rank in failing:
                        raise DataError(f"{rank} cannot read it")
            except RunError as problem:
                found[case] = f"{type(problem).__name__}: {problem}"
            except DataError as problem:
                found[case] = f"DataError: {problem}"
        try:
            us.start_alike({"set.xyz": f"digest {rank}"}, nn.Linear(1, 1), [])
        except RunError as problem:
            found["data"] = f"{type(problem).__name__}: {problem}"
    (folder / f"{rank}.json").write_text(json.dumps(found))


def test_what_travels_between_processes(tmp_path: Path) -> None:
    assert ended(started(2, collective, tmp_path), 60) == [0, 0]
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2))
    for found in (first, second):
        assert found["sum"] == [3.0, 0.2]
        assert found["any"] == [True, False]
        assert found["first"] == {"folder": "of 0"}
        # what no process used has no gradient, what one used has the same on both
        assert found["gradients"] == [[3.0, 3.0], [1.0, 1.0], None, None]
        assert found["numbers"] == [2.0]
    # said once, by the first it happened to
    assert first["both"] == "DataError: 0 cannot read it"
    assert second["both"].startswith("SaidElsewhere")
    assert first["second"].startswith("SaidElsewhere")
    assert second["second"] == "RunError: process 2 of 2: 1 cannot read it"
    assert first["data"] == "RunError: process 2 of 2 reads other data than process 1"
    assert second["data"].startswith("SaidElsewhere")


def test_alone_nothing_changes() -> None:
    numbers = torch.tensor([1.0])
    assert ALONE.sum(numbers) is numbers
    assert (ALONE.any(True), ALONE.any(False), ALONE.from_first("x")) == (True, False, "x")
    with pytest.raises(ConfigError, match="as it is"), ALONE.together():
        raise ConfigError("as it is")
    assert Processes(0, 2).first
    assert not Processes(1, 2).first
