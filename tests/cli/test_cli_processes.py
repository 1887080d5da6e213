"""`hermtk train` in several processes: one speaks, all end."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import yaml

from hermtk_cli import launch
from hermtk_cli.main import run

CONFIG = {
    "data": {"n_train": 12, "n_validation": 4, "n_test": 2},
    "model": {"variant": "htnet", "channels": 8, "layers": 1, "n_basis": 5, "cutoff": 3.0},
    "training": {"steps": 6, "batch_size": 4, "compile": False, "warmup_steps": 2},
}
TRAIN = (sys.executable, "-m", "hermtk_cli.main", "train")


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}


def hermtk(
    folder: Path, *arguments: str, launcher: tuple[str, ...] = TRAIN
) -> subprocess.CompletedProcess[str]:
    command = [*launcher, *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, check=False, timeout=200
    )


def config_in(folder: Path, **training: object) -> str:
    values = {**CONFIG, "training": {**CONFIG["training"], **training}}
    (folder / "run.yaml").write_text(yaml.safe_dump(values))
    return "run.yaml"


def test_two_processes_make_one_run_and_one_says_so(tmp_path: Path) -> None:
    done = hermtk(tmp_path, config_in(tmp_path), "--processes", "2", "--json")
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    (folder,) = (tmp_path / "runs").iterdir()
    assert results["steps"] == 6
    assert json.loads((folder / "run.json").read_text())["processes"] == 2
    assert done.stderr.count("in each of 2 processes") == 1
    assert done.stderr.count("all steps were done") == 1


def test_an_error_of_the_user_is_said_once_and_ends_all(tmp_path: Path) -> None:
    (tmp_path / "broken.xyz").write_text("2\nno structure\nH 0 0\n")
    done = hermtk(tmp_path, config_in(tmp_path), "--data", "broken.xyz", "--processes", "2")
    assert done.returncode == 1
    assert done.stderr.count("error") == 1, done.stderr
    assert "broken.xyz" in done.stderr
    assert not list((tmp_path / "runs").iterdir()) if (tmp_path / "runs").exists() else True


def fake(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Processes that run this instead of hermtk."""
    head = "import os, signal, sys, time; rank = int(os.environ['RANK']); count = int(os.environ['WORLD_SIZE'])\n"
    monkeypatch.setattr(launch, "_COMMAND", (sys.executable, "-S", "-c", head + code))
    monkeypatch.setattr(launch, "_GRACE", 0.5)


def test_the_status_is_that_of_the_process_that_failed_and_the_others_are_ended(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake(
        monkeypatch,
        "open(f'{sys.argv[1]}/{rank}', 'w').write(str(os.getpid()))\nif rank: sys.exit(3)\ntime.sleep(600)",
    )
    began = time.monotonic()
    assert launch.start(3, [str(tmp_path)]) == 3
    assert time.monotonic() - began < 60
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "0").read_text()), 0)


def test_a_process_that_was_killed_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    fake(monkeypatch, "if rank: os.kill(os.getpid(), signal.SIGKILL)")
    assert launch.start(2, []) == 128 + signal.SIGKILL


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_are_passed_on_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: signal.Signals
) -> None:
    fake(
        monkeypatch,
        f"got = []\nsignal.signal({int(number)}, lambda *_: got.append(1))\n"
        "open(f'{sys.argv[1]}/{rank}', 'w')\nwhile not got: time.sleep(0.01)\ntime.sleep(0.3); sys.exit(len(got) - 1)",
    )

    def ask() -> None:
        while len(list(tmp_path.iterdir())) < 2:
            time.sleep(0.01)
        os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    asking = threading.Thread(target=ask)
    asking.start()
    assert launch.start(2, [str(tmp_path)]) == 0
    asking.join()
    assert signal.getsignal(number) is before


def test_another_number_than_torchrun_s_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place = {"RANK": "0", "WORLD_SIZE": "4", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}
    for name, value in place.items():
        monkeypatch.setenv(name, value)
    assert run(["train", "--processes", "2"]) == 1
    assert "has started 4" in capsys.readouterr().err


@pytest.mark.slow
def test_torchrun_starts_them_too(tmp_path: Path) -> None:
    launcher = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    done = hermtk(
        tmp_path, "-m", "hermtk_cli.main", "train", config_in(tmp_path), "--out", "run", launcher=launcher
    )
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "run" / "run.json").read_text())["processes"] == 2
    assert (done.stdout + done.stderr).count("all steps were done") == 1


@pytest.mark.slow
def test_slurm_s_variables_are_enough(tmp_path: Path) -> None:
    with launch.socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = str(found.getsockname()[1])
    config_in(tmp_path)
    step = {"SLURM_STEP_NUM_TASKS": "2", "SLURM_STEP_NODELIST": "127.0.0.1", "MASTER_PORT": port}
    running = [
        subprocess.Popen(
            [*TRAIN, "run.yaml", "--out", "run"],
            cwd=tmp_path,
            env={**environment(), **step, "SLURM_PROCID": str(k)},
        )
        for k in range(2)
    ]
    assert [process.wait(200) for process in running] == [0, 0]
    assert json.loads((tmp_path / "run" / "run.json").read_text())["processes"] == 2


@pytest.mark.slow
def test_a_request_to_stop_saves_once_and_goes_on(tmp_path: Path) -> None:
    name = config_in(tmp_path, steps=100_000, checkpoint_minutes=100.0)
    command = [*TRAIN, name, "--processes", "2", "--out", "run"]
    going = subprocess.Popen(command, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, text=True)
    end = time.monotonic() + 120
    metrics = tmp_path / "run" / "metrics.csv"
    while not (metrics.is_file() and len(metrics.read_text().splitlines()) > 2):
        assert time.monotonic() < end
        assert going.poll() is None
        time.sleep(0.1)
    going.send_signal(signal.SIGTERM)
    said, _ = going.communicate(timeout=100)
    assert going.returncode == 0
    assert said.count("hermtk train --resume run") == 1
    assert (tmp_path / "run" / "checkpoint.pt").is_file()
