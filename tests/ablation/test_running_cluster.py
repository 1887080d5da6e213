"""Runs as jobs of a cluster: by submitit's local engine, and by commands that stand for SLURM's."""

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hermtk.ablation.jobs import RESULTS, Job
from hermtk.ablation.running.cluster import Cluster, Submitted
from hermtk.ablation.running.local import log_of
from hermtk.ablation.running.progress import progress_of
from hermtk.ablation.running.run import run_jobs
from hermtk.ablation.running.task import Task
from hermtk.errors import HermtkError, UnknownName
from running_world import Told, interrupt, job, lives, local, starts, until

submitit = pytest.importorskip("submitit")
linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def cluster(folder: Path, **options: object) -> Cluster:
    """Submitit's engine for this machine."""
    return Cluster(local(folder).command, folder / "cluster", options, "local")


def test_runs_are_handed_over_and_end_as_they_do_here(tmp_path: Path):
    jobs = [job(tmp_path, 0), job(tmp_path, 1, fail="error: the loss is no number"), job(tmp_path, 2)]
    run_jobs(jobs[:1], local(tmp_path), Told())
    told = Told()
    found = run_jobs(jobs, cluster(tmp_path), told)
    assert [found[one.name].state for one in jobs] == ["finished", "failed", "finished"]
    assert [found[one.name].reused for one in jobs] == [True, False, False]
    assert found[jobs[1].name].problem == "the loss is no number"
    assert found[jobs[2].name].cpu_seconds
    assert "done" in log_of(jobs[2]).read_text()
    assert told.events.count(("began", jobs[2].name)) == 1


def test_time_that_is_up_queues_a_run_again(tmp_path: Path):
    one = job(tmp_path, steps=160, pause=0.05)
    # eight seconds of work, asked to stop after six
    found = run_jobs([one], cluster(tmp_path, timeout_min=0.2, signal_delay_s=6), Told())
    assert found[one.name].state == "finished"
    assert len(starts(one)) > 1
    rows = (one.folder / "metrics.csv").read_text().splitlines()
    assert [int(row.split(",")[1]) for row in rows[1:]] == list(range(1, 161))
    assert "stopped" in log_of(one).read_text()


def test_an_interrupt_cancels_and_the_runs_save_themselves(tmp_path: Path):
    one = job(tmp_path, steps=10_000)

    def stop(kind: str, name: str) -> None:
        if kind == "progressed" and progress_of(one).step and not told.notes:
            interrupt()

    told = Told(stop)
    with pytest.raises(KeyboardInterrupt):
        run_jobs([one], cluster(tmp_path), told)
    assert told.outcomes[one.name].state == "stopped"
    until(lambda: not lives(starts(one)[0]), 20)
    assert 0 < int((one.folder / "checkpoint").read_text()) < 10_000


def test_a_run_that_is_handed_over_twice_runs_once(tmp_path: Path):
    one, executor = job(tmp_path, pause=0.2), cluster(tmp_path)
    both = [executor.start(one, ()), executor.start(one, ())]
    until(lambda: all(each.poll() for each in both))
    assert len(starts(one)) == 1


def parent(pid: int) -> int:
    """The process that started a run on a node."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@linux
def test_the_node_that_dies_takes_its_run_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(submitit.LocalJob, "_results_timeout_s", 0)
    one = job(tmp_path, steps=10_000)
    started = cluster(tmp_path).start(one, ())
    until(lambda: progress_of(one).step)
    run = starts(one)[0]
    os.kill(parent(run), signal.SIGKILL)
    until(lambda: not lives(run), 20)
    until(started.poll, 60)


def test_submitit_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(HermtkError, match=r"pip install 'hermtk\[cluster\]'"):
        Cluster(("hermtk",), tmp_path, {})


def test_unknown_engines_and_options_are_named(tmp_path: Path, slurm: Path):
    with pytest.raises(UnknownName, match="Did you mean 'slurm'"):
        Cluster(("hermtk",), tmp_path, {}, "slurmm")
    with pytest.raises(UnknownName, match="Did you mean 'partition'"):
        Cluster(("hermtk",), tmp_path, {"time": 5, "partion": "gpu"})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "time is missing"),
        ({"time": "04:00:00"}, "time is '04:00:00': the minutes"),
        ({"time": 5, "nodes": 2}, "every run of a study is one process"),
    ],
)
def test_options_that_cannot_be_are_refused(
    tmp_path: Path, slurm: Path, options: dict[str, object], words: str
):
    with pytest.raises(HermtkError, match=words):
        Cluster(("hermtk",), tmp_path, options)


def test_a_machine_without_slurm_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HermtkError, match="no jobs can be given to slurm"):
        Cluster(("hermtk",), tmp_path, {"time": 5})


# a queue of one machine: a job is a process group, its state a file
SBATCH = """#!/bin/bash
here=$(dirname "$0"); count=$(( $(cat $here/count 2>/dev/null || echo 0) + 1 )); echo $count > $here/count
cp "$1" $here/$count.sh; $here/begin $count > /dev/null 2>&1 &
until [[ -e $here/$count.pid ]]; do sleep 0.02; done; echo "Submitted batch job $count"
"""
BEGIN = """#!/bin/bash
here=$(dirname "$0"); echo RUNNING > $here/$1.state
SLURM_JOB_ID=$1 SLURM_PROCID=0 setsid bash $here/$1.sh & echo $! > $here/$1.pid; wait $!
if grep -q PENDING $here/$1.state; then exec "$0" $1; fi
if grep -q RUNNING $here/$1.state; then echo ${FAKE_END:-COMPLETED} > $here/$1.state; fi
"""
SCONTROL = """#!/bin/bash
echo PENDING > $(dirname "$0")/$2.state
"""
SRUN = """#!/bin/bash
while [[ $1 == --* ]]; do [[ $1 == --unbuffered ]] && shift || shift 2; done
exec "$@"
"""
SACCT = """#!/bin/bash
cd "$(dirname "$0")"; echo "JobID|State|NodeList"
for file in *.state; do echo "${file%.state}|$(cat $file)|here"; done
"""
SCANCEL = """#!/bin/bash
cd "$(dirname "$0")"; echo "CANCELLED by 0" > $1.state; kill -TERM -- -$(cat $1.pid)
"""


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of commands that stand for SLURM's."""
    folder = tmp_path / "slurm"
    folder.mkdir()
    texts = {
        "sbatch": SBATCH,
        "begin": BEGIN,
        "srun": SRUN,
        "sacct": SACCT,
        "scontrol": SCONTROL,
        "scancel": SCANCEL,
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    yield folder
    for path in folder.glob("*.pid"):
        subprocess.run(
            ["kill", "-KILL", "--", f"-{path.read_text().strip()}"], check=False, capture_output=True
        )


def on_slurm(folder: Path, **options: object) -> Cluster:
    return Cluster(local(folder).command, folder / "cluster", {"time": 60, **options})


def test_slurm_is_asked_for_what_the_options_say(tmp_path: Path, slurm: Path):
    one = job(tmp_path, config={"threads": 2})
    found = run_jobs([one], on_slurm(tmp_path, partition="long", mem="4GB"), Told())
    assert found[one.name].state == "finished"
    script = (slurm / "1.sh").read_text()
    for line in ("partition=long", "mem=4GB", "cpus-per-task=2", "time=60", "job-name=painn-hvnet-seed-0"):
        assert f"#SBATCH --{line}" in script
    assert "threads 2 2" in log_of(one).read_text()


def handed(executor: Cluster, one: Job) -> Submitted:
    """A run that goes on SLURM."""
    started = executor.start(one, ())
    until(lambda: progress_of(one).step)
    return started


def test_a_second_start_finds_the_jobs_of_the_first(tmp_path: Path, slurm: Path):
    one = job(tmp_path, steps=300, pause=0.02)
    handed(on_slurm(tmp_path), one)
    # as if the first had been killed: SLURM does not mind
    found = run_jobs([one], on_slurm(tmp_path), Told())
    assert found[one.name].state == "finished"
    assert (slurm / "count").read_text() == "1\n"
    assert len(starts(one)) == 1


def test_a_job_that_slurm_lost_is_handed_over_again(tmp_path: Path, slurm: Path):
    one = job(tmp_path)
    (one.folder.with_name(f"{one.folder.name}.job")).write_text("77")
    assert run_jobs([one], on_slurm(tmp_path), Told())[one.name].state == "finished"


def test_a_cancelled_run_saves_itself(tmp_path: Path, slurm: Path):
    one = job(tmp_path, steps=10_000)
    started = handed(on_slurm(tmp_path), one)
    started.stop()
    end = started.poll()
    assert end is not None
    assert end.status == -signal.SIGTERM
    until((one.folder / "checkpoint").is_file, 20)


@linux
def test_a_run_that_another_job_displaces_goes_on_in_its_next_turn(tmp_path: Path, slurm: Path):
    one = job(tmp_path, steps=200, pause=0.02)

    def displace(kind: str, name: str) -> None:
        if kind == "progressed" and progress_of(one).step and len(starts(one)) == 1:
            # as SLURM does it, in this order
            for number in (signal.SIGTERM, signal.SIGUSR2):
                os.kill(parent(starts(one)[0]), number)
            until(lambda: len(starts(one)) == 2)

    found = run_jobs([one], on_slurm(tmp_path), Told(displace))
    assert found[one.name].state == "finished"
    assert "stopped" in log_of(one).read_text()
    rows = (one.folder / "metrics.csv").read_text().splitlines()
    assert [int(row.split(",")[1]) for row in rows[1:]] == list(range(1, 201))


@pytest.mark.parametrize(
    ("state", "outcome", "words"),
    [
        ("OUT_OF_MEMORY", "failed", "out of memory"),
        ("NODE_FAIL", "failed", "job 1 ended as NODE_FAIL"),
        ("CANCELLED by 7", "stopped", "stopped before"),
    ],
)
def test_what_slurm_says_of_a_lost_job_is_told(
    tmp_path: Path, slurm: Path, monkeypatch: pytest.MonkeyPatch, state: str, outcome: str, words: str
):
    monkeypatch.setenv("FAKE_END", state)
    monkeypatch.setattr(submitit.SlurmJob, "_results_timeout_s", 0)
    one = job(tmp_path, steps=10_000)

    def lose(kind: str, name: str) -> None:
        if kind == "progressed" and progress_of(one).step and not (slurm / "lost").exists():
            (slurm / "lost").touch()
            os.kill(-int((slurm / "1.pid").read_text()), signal.SIGKILL)

    found = run_jobs([one], on_slurm(tmp_path), Told(lose))[one.name]
    assert found.state == outcome
    assert words in found.problem


def test_what_is_queued_again_forgets_its_process(tmp_path: Path):
    one = job(tmp_path, steps=2)
    work = Task(
        list(local(tmp_path).command) + one.arguments, one.folder / RESULTS, log_of(one), Path.cwd(), 1
    )
    assert work().status == 0
    assert pickle.loads(pickle.dumps(work.checkpoint())).function == Task(
        work.command, work.results, work.log, work.place, 1
    )
