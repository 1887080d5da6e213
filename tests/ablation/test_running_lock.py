"""One study works in a folder, and no run goes on unseen when it is killed."""

import errno
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hermtk.ablation.jobs import Job
from hermtk.ablation.running import lock
from hermtk.ablation.running.lock import NAME, holding, waiting_for
from hermtk.ablation.running.progress import progress_of
from hermtk.ablation.running.run import run_jobs
from hermtk.errors import RunError
from process_world import CONTEXT
from running_world import Told, job, lives, local, starts, until


def endless(folder: Path, deaf: bool) -> None:
    """A study of one run."""
    run_jobs([job(folder, steps=10_000, pause=0.02, deaf=deaf)], local(folder), Told())


class Study:
    """``endless`` in a process of its own."""

    def __init__(self, folder: Path, deaf: bool) -> None:
        self.job: Job = job(folder)
        self.process = CONTEXT.Process(target=endless, args=(folder, deaf))
        self.process.start()
        until(lambda: progress_of(self.job).step)

    @property
    def run(self) -> int:
        """The process of its run."""
        return starts(self.job)[0]

    def kill(self) -> None:
        """With SIGKILL, which nothing can answer."""
        self.process.kill()
        self.process.join()


@pytest.fixture
def study(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Study]:
    found = Study(tmp_path, deaf=hasattr(request, "param"))
    yield found
    found.kill()
    if lives(found.run):
        os.kill(found.run, signal.SIGKILL)


linux = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux tells a process that its parent has ended"
)


@linux
def test_a_killed_study_leaves_no_run_and_no_lock(study: Study, tmp_path: Path):
    assert lives(study.run)
    study.kill()
    until(lambda: not lives(study.run), 10)
    with holding(study.job.folder.parent, pytest.fail):
        pass
    # it was asked, not killed
    done = int((study.job.folder / "checkpoint").read_text())
    assert 0 < done < 10_000
    found = run_jobs([job(tmp_path, steps=done + 1)], local(tmp_path), Told())
    assert found[study.job.name].state == "finished"
    assert len(starts(study.job)) == 2


def test_a_second_study_is_refused_and_names_the_first(study: Study, tmp_path: Path):
    with pytest.raises(
        RunError, match=rf"process {study.process.pid} on {socket.gethostname()} works on the study"
    ):
        run_jobs([job(tmp_path, 0), job(tmp_path, 1)], local(tmp_path), Told())
    assert lives(study.run)
    assert len(starts(study.job)) == 1


@linux
@pytest.mark.parametrize("study", ["deaf"], indirect=True)
def test_runs_that_outlive_a_killed_study_keep_the_next_one_waiting(study: Study, tmp_path: Path):
    study.kill()
    assert lives(study.run)
    waited = []

    def end(kind: str, text: str) -> None:
        if kind == "note":
            waited.append(lives(study.run))
            os.kill(study.run, signal.SIGKILL)

    told = Told(end)
    run_jobs([job(tmp_path, steps=1)], local(tmp_path), told)
    assert waited == [True]
    assert "was killed; waiting for its runs" in told.notes[0]
    assert len(starts(study.job)) == 2


@linux
@pytest.mark.parametrize("study", ["deaf"], indirect=True)
def test_runs_that_do_not_end_are_told(study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    study.kill()
    monkeypatch.setattr(lock, "_PATIENCE", 0.2)
    with pytest.raises(RunError, match=r"`fuser -v .*running\.lock` names them"):
        run_jobs([job(tmp_path, steps=1)], local(tmp_path), Told())


def test_a_study_of_another_machine_is_not_thought_dead(tmp_path: Path):
    with holding(tmp_path, pytest.fail):
        owner = {"pid": 2**22 + 1, "host": "elsewhere", "since": "yesterday"}
        (tmp_path / NAME).write_text(json.dumps(owner))
        with pytest.raises(RunError, match="on elsewhere"), holding(tmp_path, pytest.fail):
            pass


def test_a_study_that_has_ended_makes_room(tmp_path: Path):
    for _ in range(2):
        with holding(tmp_path / "runs", pytest.fail) as handles:
            assert len(handles) == 1
    with pytest.raises(KeyError), holding(tmp_path, pytest.fail):
        raise KeyError
    with holding(tmp_path, pytest.fail):
        pass


def test_a_finished_study_can_be_read_where_nothing_can_be_written(tmp_path: Path):
    one = job(tmp_path)
    run_jobs([one], local(tmp_path), Told())
    with holding(one.folder.parent, pytest.fail):
        assert run_jobs([one], local(tmp_path), Told())[one.name].reused


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="could not be written"), holding(tmp_path / "file", pytest.fail):
        pass


def test_a_file_system_without_locks_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(handle: int, how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    notes: list[str] = []
    with holding(tmp_path, notes.append) as handles:
        assert handles == ()
    assert "do not start this study twice" in notes[0]


def test_two_jobs_of_an_engine_follow_each_other(tmp_path: Path):
    path = tmp_path / "run.lock"
    code = (
        "import sys, time; from pathlib import Path; from hermtk.ablation.running.lock import waiting_for\n"
        "with waiting_for(Path(sys.argv[1])): print('in', flush=True); time.sleep(0.5); Path(sys.argv[1] + '.out').touch()"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"in\n"
        began = time.monotonic()
        with waiting_for(path):
            assert Path(f"{path}.out").exists()
        assert time.monotonic() - began < 30
