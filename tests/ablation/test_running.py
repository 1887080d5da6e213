"""The runs of a study: what is done is kept, what fails is told, what is interrupted goes on."""

import json
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermtk.ablation.arms import Arm
from hermtk.ablation.jobs import Job
from hermtk.ablation.running import local as local_module
from hermtk.ablation.running import process
from hermtk.ablation.running.local import Local, log_of, visible_gpus, workers_for
from hermtk.ablation.running.outcome import last_words
from hermtk.ablation.running.process import Process
from hermtk.ablation.running.progress import Progress, progress_of
from hermtk.ablation.running.run import run_jobs
from hermtk.training.config import make_config
from hermtk.training.stopping import Stopped
from running_world import STEPS, Told, interrupt, job, lives, local, starts, until

GIB = 2**30


def test_all_runs_finish_as_many_at_once_as_asked(tmp_path: Path):
    jobs, told = [job(tmp_path, seed, pause=0.05) for seed in range(4)], Told()
    found = run_jobs(jobs, local(tmp_path, workers=2), told)
    assert [found[one.name].state for one in jobs] == ["finished"] * 4
    assert all(one.finished for one in jobs)
    assert all(outcome.cpu_seconds is not None and outcome.seconds for outcome in found.values())
    assert found == told.outcomes
    going, most = 0, 0
    for kind, _ in told.events:
        going += {"began": 1, "ended": -1}.get(kind, 0)
        most = max(most, going)
    assert most == 2


def test_what_is_finished_is_not_run_again(tmp_path: Path):
    jobs = [job(tmp_path, seed) for seed in range(2)]
    run_jobs(jobs[:1], local(tmp_path), Told())
    found = run_jobs(jobs, local(tmp_path), Told())
    assert [found[one.name].reused for one in jobs] == [True, False]
    again = run_jobs(jobs, local(tmp_path), Told())
    assert all(outcome.reused for outcome in again.values())
    assert [len(starts(one)) for one in jobs] == [1, 1]


def test_a_run_that_fails_does_not_stop_the_others(tmp_path: Path):
    bad = job(tmp_path, 0, fail="note: something\nerror: the loss is no number at step 3\n")
    good = job(tmp_path, 1)
    found = run_jobs([bad, good], local(tmp_path, workers=1), Told())
    assert found[bad.name].state == "failed"
    assert found[bad.name].problem == "the loss is no number at step 3"
    assert found[good.name].state == "finished"


def test_a_failed_run_is_tried_again_by_the_next_start(tmp_path: Path):
    bad = job(tmp_path, 0, fail="error: no")
    run_jobs([bad], local(tmp_path), Told())
    assert run_jobs([job(tmp_path, 0)], local(tmp_path), Told())[bad.name].state == "finished"


class Short(Local):
    """A machine whose memory runs out as soon as a run is started."""

    def start(self, job: Job, locks: Sequence[int]) -> Process:
        started = super().start(job, locks)
        process._KILLS[0].write_text("oom_kill 4\n")
        return started


def test_a_run_that_the_system_kills_for_memory_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    counts = tmp_path / "vmstat"
    counts.write_text("pgfault 12\noom_kill 3\n")
    monkeypatch.setattr(process, "_KILLS", (counts, tmp_path / "missing"))
    one = job(tmp_path, 0, signal=int(signal.SIGKILL))
    found = run_jobs([one], Short(local(tmp_path).command, 1, 1), Told())[one.name]
    assert found.state == "failed"
    assert found.problem.startswith("out of memory")


@pytest.mark.parametrize(
    ("number", "words"),
    [(signal.SIGKILL, "killed by signal 9 (SIGKILL), as"), (signal.SIGSEGV, "killed by signal 11")],
)
def test_a_killed_run_names_the_signal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, words: str
):
    monkeypatch.setattr(process, "_KILLS", ())
    one = job(tmp_path, 0, signal=int(number))
    found = run_jobs([one], local(tmp_path), Told())[one.name]
    assert found.state == "failed"
    assert found.problem.startswith(words)


def test_a_command_that_is_missing_is_named(tmp_path: Path):
    one = job(tmp_path)
    found = run_jobs([one], Local((str(tmp_path / "missing"),), 1, 1), Told())[one.name]
    assert (found.state, found.problem) == (
        "failed",
        f"{tmp_path / 'missing'} cannot be started: No such file or directory",
    )


def test_a_finished_run_whose_command_fails_is_finished_and_says_why(tmp_path: Path):
    one = job(tmp_path, status="error: no report")
    found = run_jobs([one], local(tmp_path), Told())[one.name]
    assert (found.state, found.problem) == ("finished", "no report")


def test_interrupted_runs_save_themselves_and_go_on_later(tmp_path: Path):
    jobs = [job(tmp_path, seed, steps=100, pause=0.05) for seed in range(3)]

    def stop(kind: str, name: str) -> None:
        if (kind, name) == ("progressed", jobs[0].name) and all(progress_of(one).step for one in jobs[:2]):
            interrupt()

    told = Told(stop)
    with pytest.raises(KeyboardInterrupt):
        run_jobs(jobs, local(tmp_path, workers=2), told)
    assert {name: one.state for name, one in told.outcomes.items()} == {one.name: "stopped" for one in jobs}
    assert told.outcomes[jobs[2].name].problem == "not begun"
    assert not any(lives(starts(one)[0]) for one in jobs[:2])
    done = [int((one.folder / "checkpoint").read_text()) for one in jobs[:2]]
    assert all(0 < step < 100 for step in done)
    later = [job(tmp_path, seed, steps=101) for seed in range(3)]
    found = run_jobs(later, local(tmp_path), Told())
    assert [outcome.state for outcome in found.values()] == ["finished"] * 3
    assert [len(starts(one)) for one in jobs] == [2, 2, 1]
    rows = (jobs[0].folder / "metrics.csv").read_text().splitlines()
    assert [int(row.split(",")[1]) for row in rows[1:]] == list(range(1, 102))


def test_a_second_interrupt_kills(tmp_path: Path):
    one = job(tmp_path, steps=10_000, pause=0.05, deaf=True)

    def stop(kind: str, name: str) -> None:
        if kind == "note" or progress_of(one).step:
            interrupt()

    told = Told(stop)
    with pytest.raises(KeyboardInterrupt):
        run_jobs([one], local(tmp_path), told)
    assert "interrupt again" in told.notes[0]
    assert not lives(starts(one)[0])


def test_other_signals_stop_without_an_interrupt(tmp_path: Path):
    one = job(tmp_path, steps=10_000)
    told = Told(lambda kind, name: interrupt(signal.SIGTERM) if kind == "progressed" else None)
    with pytest.raises(Stopped, match="SIGTERM"):
        run_jobs([one], local(tmp_path), told)
    assert told.outcomes[one.name].state == "stopped"


def test_a_run_that_is_stopped_from_outside_does_not_stop_the_study(tmp_path: Path):
    jobs = [job(tmp_path, 0, steps=10_000), job(tmp_path, 1)]

    def stop(kind: str, name: str) -> None:
        if (kind, name) == ("progressed", jobs[0].name):
            until(lambda: progress_of(jobs[0]).step)
            os.kill(starts(jobs[0])[0], signal.SIGTERM)

    found = run_jobs(jobs, local(tmp_path), Told(stop))
    assert [found[one.name].state for one in jobs] == ["stopped", "finished"]


def test_an_interrupt_from_the_terminal_is_for_the_study_alone(tmp_path: Path):
    one = job(tmp_path)
    run_jobs([one], local(tmp_path), Told())
    pid, session = (one.folder / "starts").read_text().split()
    assert pid == session


def test_the_log_holds_every_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RANK", "3")
    run_jobs([job(tmp_path, fail="error: no")], local(tmp_path), Told())
    one = job(tmp_path)
    run_jobs([one], local(tmp_path, workers=2, cores=9), Told())
    lines = log_of(one).read_text().splitlines()
    assert [line[:4] for line in lines] == ["--- ", "thre", "erro", "--- ", "thre", "done"]
    assert lines[3].endswith(" ".join(one.arguments))
    # not of a larger job that this study may be part of
    assert lines[4] == "threads 4 4 None"
    assert log_of(one).parent == one.folder.parent


def test_the_configuration_decides_the_threads(tmp_path: Path):
    one = job(tmp_path, config={"threads": 3, "training": {"steps": STEPS}})
    run_jobs([one], local(tmp_path, workers=1, cores=8), Told())
    assert "threads 3 3" in log_of(one).read_text()


def test_progress_is_the_last_validation(tmp_path: Path):
    one = job(tmp_path)
    assert progress_of(one) == Progress(0, STEPS)
    run_jobs([one], local(tmp_path), Told())
    row = {"epoch": 5.0, "step": 5.0, "validation_forces_mae": 0.2}
    assert progress_of(one) == Progress(5, STEPS, row)
    with (one.folder / "metrics.csv").open("a") as file:
        file.write("6,6,0.1")
    assert progress_of(one).step == 5


def test_progress_of_epochs_knows_the_total_from_the_first_validation_on(tmp_path: Path):
    one = job(tmp_path, config={"training": {"epochs": 10}})
    assert progress_of(one).total is None
    one.folder.mkdir()
    (one.folder / "metrics.csv").write_text("epoch,step,validation_loss\n1,40,\n2,80,0.5\n")
    assert progress_of(one) == Progress(80, 400, {"epoch": 2.0, "step": 80.0, "validation_loss": 0.5})


def test_progress_reads_the_end_of_a_long_record(tmp_path: Path):
    one = job(tmp_path)
    one.folder.mkdir()
    rows = [f"{k},{k},{1 / k}" for k in range(1, 5000)]
    (one.folder / "metrics.csv").write_text("\n".join(["epoch,step,validation_loss", *rows, ""]))
    assert progress_of(one).step == 4999


def test_the_listener_is_told_the_progress_of_what_goes(tmp_path: Path):
    one, told = job(tmp_path, steps=40, pause=0.04), Told()
    run_jobs([one], local(tmp_path), told)
    steps = [progress.step for progress in told.progress[one.name]]
    assert steps == sorted(steps)
    assert steps[-1] > 0


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("", ""),
        ("one\ntwo\n", "two"),
        (
            "error: first\nnext\nerror: that is it\n  go on with:\n  this\nmore\n",
            "that is it go on with: this",
        ),
        ("Traceback (most recent call last):\n  File\nValueError: no\n", "ValueError: no"),
    ],
)
def test_the_last_error_is_what_matters(said: str, words: str):
    assert last_words(said) == words


def arms(*needs: tuple[int | None, int | None], device: str = "cpu") -> list[Job]:
    """Runs by threads and peak."""
    found = []
    for threads, peak in needs:
        config = make_config({"threads": threads, "device": device})
        found.append(Job(Arm("painn", "hvnet", None, config, 1, peak=peak), 0, config, Path("x"), Path("y")))
    return found


@pytest.mark.parametrize(
    ("needs", "cores", "memory", "workers"),
    [
        ([(None, None)] * 9, 4, None, 4),
        ([(2, None)] * 9, 5, None, 2),
        ([(1, None)] * 3, 8, None, 3),
        ([(8, None)] * 3, 4, None, 1),
        ([(1, GIB)] * 9, 8, 3 * GIB, 2),
        ([(1, GIB), (1, 2 * GIB), (1, None)], 8, 5 * GIB, 2),
        ([(1, 9 * GIB)] * 2, 8, GIB, 1),
        ([], 8, GIB, 1),
    ],
)
def test_workers_are_limited_by_cores_and_memory(
    needs: list[tuple[int | None, int | None]], cores: int, memory: int | None, workers: int
):
    assert workers_for(arms(*needs), cores, memory) == workers


def test_a_device_holds_one_run():
    assert workers_for(arms((1, None), (1, None), device="cuda"), 8, None) == 1


def test_every_gpu_holds_one_run():
    several = arms(*[(1, None)] * 5, device="cuda")
    assert workers_for(several, 8, None, gpus=3) == 3
    # one that is named is one
    assert workers_for(arms((1, None), (1, None), device="cuda:1"), 8, None, gpus=3) == 1


def test_gpus_are_those_that_the_environment_shows(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(local_module.torch.cuda, "device_count", lambda: 2)
    assert visible_gpus({}) == ["0", "1"]
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": "3, GPU-8f"}) == ["3", "GPU-8f"]
    # what follows one that does not exist is not seen
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": "3,5,9"}) == ["3", "5"]
    monkeypatch.setattr(local_module.torch.cuda, "device_count", lambda: 0)
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": ""}) == []


def test_runs_go_to_the_gpu_with_the_fewest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    script = "import os, time; print('sees', os.environ.get('CUDA_VISIBLE_DEVICES')); time.sleep({})"
    made = [job(tmp_path, seed, config={"device": "cuda"}) for seed in range(4)]

    def begun(one: Job, seconds: float, executor: Local) -> Process:
        command = [sys.executable, "-c", script.format(seconds)]
        return replace(executor, command=command).start(one, ())

    executor = Local((), 2, 2, ["4", "7"])
    first, second = begun(made[0], 60, executor), begun(made[1], 0, executor)
    second.wait()
    third = begun(made[2], 60, executor)
    fourth = begun(replace(made[3], config=make_config({})), 0, executor)
    said = []
    for one, run in zip(made, (first, second, third, fourth), strict=True):
        until(lambda one=one: "sees " in log_of(one).read_text())
        said.append(log_of(one).read_text().split("sees ")[-1].split()[0])
        run.kill()
    assert said == ["4", "7", "7", "None"]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=8), st.integers(1, 40))
def test_any_runs_at_once_fit_into_the_memory(peaks: list[int], free: int):
    workers = workers_for(arms(*[(1, GIB * peak) for peak in peaks]), 99, GIB * free)
    worst = sum(sorted(peaks, reverse=True)[:workers])
    assert workers == 1 or worst <= local_module._SHARE * free


def test_real_runs_are_run_and_their_failure_is_told(tmp_path: Path):
    values = {
        "data": {"n_train": 8, "n_validation": 4, "n_test": 4},
        "model": {"subnet": "painn", "variant": "hvnet", "channels": 4, "layers": 1},
        "training": {"steps": 3, "batch_size": 4, "validate_every": 1, "compile": False},
    }
    jobs = [job(tmp_path, seed, config={**values, "seed": seed}) for seed in range(2)]
    for one in jobs:
        one.given.write_text(json.dumps(one.config.model_dump(mode="json")))
    bad = replace(jobs[1], seed=2, folder=jobs[1].folder.with_name("run-2"), given=tmp_path / "bad.yaml")
    bad.given.write_text("model: {subnet: pain}\n")
    told = Told()
    found = run_jobs([*jobs, bad], Local((sys.executable, "-m", "hermtk_cli.main"), 2, 2), told)
    assert [found[one.name].state for one in [*jobs, bad]] == ["finished", "finished", "failed"]
    assert "Did you mean 'painn'?" in found[bad.name].problem
    assert all(one.results["steps"] == 3 for one in jobs)
    assert progress_of(jobs[0]).step == 3
    assert progress_of(jobs[0]).errors["validation_forces_mae"] > 0
    assert found[jobs[0].name].cpu_seconds
    assert jobs[0].results["errors"] != jobs[1].results["errors"]
