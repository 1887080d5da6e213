"""TensorBoard and W&B are told what metrics.csv is told, also by a run that was interrupted and resumed."""

import csv
import json
import struct
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from hermtk.errors import ConfigError, RunError
from hermtk.training import loggers
from hermtk.training.config import make_config
from hermtk.training.run import Run, new_run, resume_run

EVERY, STEPS = 3, 20
TINY = {"variant": "homogeneous", "channels": 4, "layers": 1, "n_basis": 3, "cutoff": 3.0}

tensorboard = pytest.mark.skipif(
    find_spec("tensorboard") is None, reason="tensorboard is not installed: pip install 'hermtk[tensorboard]'"
)
wandb = pytest.mark.skipif(
    find_spec("wandb") is None, reason="wandb is not installed: pip install 'hermtk[wandb]'"
)


class Watching:
    """Remembers the losses; interrupts after a step if told to."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.losses: dict[int, float] = {}
        self.stop_after = stop_after

    def stepped(self, progress: Any, total: int, loss: float) -> None:
        self.losses[progress.step] = loss
        if progress.step == self.stop_after:
            raise KeyboardInterrupt

    def validated(self, row: dict[str, float]) -> None: ...

    def note(self, text: str) -> None: ...


def begun(data: Path, folder: Path, names: list[str], **training: Any) -> Run:
    """A run of twenty steps, six of them an epoch."""
    values = {
        "data": {"train": str(data), "n_train": 24, "n_validation": 4, "n_test": 0},
        "model": TINY,
        "training": {"steps": STEPS, "batch_size": 4, "compile": False, "loggers": names, "log_every": EVERY}
        | training,
        "threads": 1,
    }
    return new_run(make_config(values), folder, Watching())


def metrics(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def interrupted_and_resumed(data: Path, folder: Path, names: list[str]) -> dict[int, float]:
    """Train until step 15, lose what came after step 9, and go on; the losses of the steps."""
    run = begun(data, folder, names)
    save = run.trainer._save

    def until_nine(*args: Any, **kwargs: Any) -> None:
        if run.trainer.progress.step <= 9:
            save(force=True)

    run.trainer._save = until_nine  # type: ignore[method-assign]
    first = Watching(stop_after=15)
    run.trainer.listener = first
    with pytest.raises(KeyboardInterrupt):
        run.train()
    # W&B calls a session by the second in which it began
    time.sleep(1.1)
    second = Watching()
    resumed = resume_run(folder, second)
    assert resumed.trainer.progress.step == 9
    resumed.train()
    assert all(first.losses[step] == second.losses[step] for step in range(10, 16))
    return first.losses | second.losses


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard shows of a run, by tag: steps and values."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder), purge_orphaned_data=True)
    found.Reload()
    return {tag: [(e.step, e.value) for e in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


def check_tensorboard(folder: Path, losses: dict[int, float]) -> None:
    training = scalars(folder / "tensorboard" / "training")
    steps = list(range(EVERY, STEPS + 1, EVERY))
    assert [step for step, _ in training["loss"]] == steps
    assert [value for _, value in training["loss"]] == pytest.approx([losses[k] for k in steps], rel=1e-6)
    assert [step for step, _ in training["learning_rate"]] == steps
    validation, rows = scalars(folder / "tensorboard" / "validation"), metrics(folder)
    for tag, column in (("loss", "validation_loss"), ("forces_mae", "validation_forces_mae")):
        assert [step for step, _ in validation[tag]] == [int(row["step"]) for row in rows]
        assert [v for _, v in validation[tag]] == pytest.approx(
            [float(row[column]) for row in rows], rel=1e-6
        )


@tensorboard
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_shows_losses_rates_and_validations(cluster_file, tmp_path):
    run = begun(cluster_file, tmp_path / "run", ["tensorboard"])
    watching = run.trainer.listener
    run.train()
    assert run.trainer.listener is watching
    check_tensorboard(run.folder, watching.losses)


@tensorboard
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_resumed_run_goes_on_in_the_same_tensorboard_without_doubles(cluster_file, tmp_path):
    losses = interrupted_and_resumed(cluster_file, tmp_path / "run", ["tensorboard"])
    check_tensorboard(tmp_path / "run", losses)


def records(path: Path) -> Iterator[Any]:
    """The records of a file of W&B: protocol buffers in the log format of LevelDB."""
    from wandb.proto import wandb_internal_pb2 as proto

    content, place, whole = path.read_bytes(), 7, b""
    while place + 7 <= len(content):
        if 32768 - place % 32768 < 7:
            place += 32768 - place % 32768
            continue
        _, length, kind = struct.unpack("<IHB", content[place : place + 7])
        whole += content[place + 7 : place + 7 + length]
        place += 7 + length
        # 1 whole, 2 first, 3 middle, 4 last
        if kind in (1, 4):
            record = proto.Record()
            record.ParseFromString(whole)
            yield record
            whole = b""


def whole(path: Path) -> list[Any]:
    """The records of a session that has ended: another process writes them, some of them after ``finish``."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        found = list(records(path))
        if found and found[-1].WhichOneof("record_type") == "exit":
            return found
        time.sleep(0.1)
    raise AssertionError(f"{path} has no end")


def history(folder: Path) -> list[dict[str, Any]]:
    """Every row that was logged, of all sessions in order."""
    rows = []
    for path in sorted(folder.glob("wandb/offline-run-*/*.wandb")):
        for record in whole(path):
            if record.WhichOneof("record_type") == "history":
                items = {
                    ".".join(item.nested_key) or item.key: item.value_json for item in record.history.item
                }
                rows.append({name: json.loads(value) for name, value in items.items()})
    return rows


def check_wandb(folder: Path, losses: dict[int, float]) -> None:
    rows = history(folder)
    steps = list(range(EVERY, STEPS + 1, EVERY))
    training = [row for row in rows if "training/loss" in row]
    assert [row["step"] for row in training] == steps
    assert [row["training/loss"] for row in training] == pytest.approx([losses[k] for k in steps])
    validation, told = [row for row in rows if "validation/loss" in row], metrics(folder)
    assert [row["step"] for row in validation] == [int(row["step"]) for row in told]
    for name in ("loss", "forces_mae"):
        found = [row[f"validation/{name}"] for row in validation]
        assert found == pytest.approx([float(row[f"validation_{name}"]) for row in told])
    assert [row["_step"] for row in rows] == list(range(len(rows)))


@wandb
@pytest.mark.filterwarnings("ignore")
def test_a_resumed_run_goes_on_as_the_same_run_of_wandb_without_doubles(cluster_file, tmp_path, monkeypatch):
    monkeypatch.delenv("WANDB_MODE", raising=False)
    losses = interrupted_and_resumed(cluster_file, tmp_path / "run", ["wandb"])
    check_wandb(tmp_path / "run", losses)
    sessions = list((tmp_path / "run").glob("wandb/offline-run-*"))
    name = json.loads((tmp_path / "run" / "wandb" / "run.json").read_text())["id"]
    assert len(sessions) == 2
    assert all(session.name.endswith(f"-{name}") for session in sessions)


@pytest.mark.parametrize("name", ["tensorboard", "wandb"])
def test_a_missing_library_is_said_before_data_are_read(name, tmp_path, monkeypatch):
    monkeypatch.setattr(loggers, "find_spec", lambda module: None)
    with pytest.raises(RunError, match=rf"asks for {name}, .*pip install 'hermtk\[{name}\]'"):
        begun(tmp_path / "nothing.xyz", tmp_path / "run", [name])


def test_the_errors_of_several_sets_have_tags_of_their_own():
    names = ["validation_loss", "train_loss", "validation_forces_mae", "validation_forces_mae (old set)"]
    assert [loggers._tag(name) for name in names] == [
        "loss",
        "train_loss",
        "forces_mae",
        "forces_mae/old set",
    ]


def test_a_logger_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"training\.loggers\.0.*'tensorboard' or 'wandb'"):
        begun(tmp_path / "nothing.xyz", tmp_path / "run", ["mlflow"])


def test_without_loggers_their_libraries_are_not_imported(cluster_file, tmp_path, monkeypatch):
    for name in ("tensorboard", "wandb", "torch.utils.tensorboard"):
        monkeypatch.setitem(sys.modules, name, None)
    run = begun(cluster_file, tmp_path / "run", [])
    run.train()
    assert len(metrics(run.folder)) == 4
    assert not list(run.folder.glob("tensorboard"))
