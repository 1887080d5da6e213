"""Whatever happens to a run, nothing is lost, and what happened is said."""

import json
import math
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hermtk.data.dataset import read_structures, write_structures
from hermtk.errors import RunError
from hermtk.memory import out_of_memory
from hermtk.models.build import build_model
from hermtk.models.config import ModelConfig
from hermtk.physics.derivatives import predict
from hermtk.training.auto import begin_or_resume
from hermtk.training.checkpoint import Progress
from hermtk.training.config import RunConfig, dump_config, make_config
from hermtk.training.data.batches import Batch, join, prepare
from hermtk.training.faults import FAR, PATIENCE, WINDOW, Watch
from hermtk.training.pieces import in_pieces, pieces, sizes
from hermtk.training.run import Run, new_run, resume_run
from hermtk.training.stopping import Stopped, listening
from training_world import clusters

NO_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    MemoryError(),
    RuntimeError("[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: not enough memory"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
]


class Watching:
    """Keeps what it is told, and does something after a step."""

    def __init__(self, then: Callable[[int], None] = lambda step: None) -> None:
        self.then, self.notes = then, []

    def stepped(self, progress: Progress, total: int, loss: float) -> None:
        self.then(progress.step)

    def validated(self, row: dict[str, float]) -> None: ...

    def note(self, text: str) -> None:
        self.notes.append(text)


def config(data: Path, **training: Any) -> RunConfig:
    return make_config(
        {
            "data": {"train": str(data), "n_train": 24, "n_validation": 8, "n_test": 4},
            "model": {
                "variant": "hvnet",
                "channels": 4,
                "layers": 1,
                "n_basis": 5,
                "cutoff": 3.0,
                "dtype": "float64",
            },
            "training": {
                "steps": 24,
                "batch_size": 4,
                "checkpoint_minutes": 0.0,
                "warmup_steps": 5,
                "compile": False,
                **training,
            },
            "threads": 1,
        }
    )


def trained(run: Run) -> dict[str, torch.Tensor]:
    run.train()
    return states(run.folder)


def states(folder: Path, name: str = "checkpoint.pt") -> dict[str, torch.Tensor]:
    """Weights, their average and the best ones."""
    content = torch.load(folder / name, weights_only=True)
    best = content["progress"]["weights"] or []
    return {
        **content["parts"]["model"],
        **{f"average {k}": w for k, w in enumerate(content["parts"]["average"]["weights"])},
        **{f"best {k}": w for k, w in enumerate(best)},
    }


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor], **tolerance: float) -> bool:
    assert set(one) == set(other)
    if tolerance:
        return all(torch.allclose(one[name], other[name], **tolerance) for name in one)
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, cluster_file: Path) -> dict[str, torch.Tensor]:
    """What a run that nothing happens to ends with."""
    return trained(new_run(config(cluster_file), tmp_path_factory.mktemp("whole") / "run", Watching()))


# --- signals


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1", "SIGINT"])
def test_a_signal_is_answered_after_the_step_and_going_on_changes_nothing(
    tmp_path: Path, cluster_file: Path, whole: dict[str, torch.Tensor], name: str
) -> None:
    number = getattr(signal, name)
    before = signal.getsignal(number)
    watching = Watching(lambda step: os.kill(os.getpid(), number) if step == 7 else None)
    run = new_run(config(cluster_file, checkpoint_minutes=10.0), tmp_path / "run", watching)
    with pytest.raises(KeyboardInterrupt if name == "SIGINT" else Stopped) as stop:
        run.train()
    assert signal.getsignal(number) is before
    assert name == "SIGINT" or str(stop.value) == f"stopped by {name} after step 7"
    again = resume_run(tmp_path / "run", Watching())
    assert again.trainer.progress.step == 7
    assert same(trained(again), whole)


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_a_second_signal_while_saving_changes_nothing(
    tmp_path: Path,
    cluster_file: Path,
    whole: dict[str, torch.Tensor],
    monkeypatch: pytest.MonkeyPatch,
    second: signal.Signals,
) -> None:
    real, sent = os.fsync, []

    def sync(handle: int) -> None:
        if not sent:
            sent.append(os.kill(os.getpid(), second))
        real(handle)

    def then(step: int) -> None:
        if step == 7:
            os.kill(os.getpid(), signal.SIGTERM)
            monkeypatch.setattr(os, "fsync", sync)

    run = new_run(config(cluster_file, checkpoint_minutes=10.0), tmp_path / "run", Watching(then))
    with pytest.raises(Stopped):
        run.train()
    monkeypatch.setattr(os, "fsync", real)
    assert len(sent) == 1
    again = resume_run(tmp_path / "run", Watching())
    assert again.trainer.progress.step == 7
    assert same(trained(again), whole)


def test_a_second_interrupt_while_saving_leaves_the_checkpoint_before(
    tmp_path: Path,
    cluster_file: Path,
    whole: dict[str, torch.Tensor],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = os.fsync

    def then(step: int) -> None:
        if step == 7:
            os.kill(os.getpid(), signal.SIGINT)
            monkeypatch.setattr(os, "fsync", lambda handle: os.kill(os.getpid(), signal.SIGINT))

    run = new_run(config(cluster_file), tmp_path / "run", Watching(then))
    with pytest.raises(KeyboardInterrupt):
        run.train()
    monkeypatch.setattr(os, "fsync", real)
    assert not [path.name for path in (tmp_path / "run").iterdir() if path.name.startswith(".")]
    again = resume_run(tmp_path / "run", Watching())
    assert again.trainer.progress.step == 6
    assert same(trained(again), whole)


def test_a_signal_to_all_processes_of_a_job_is_answered_too(tmp_path: Path, cluster_file: Path) -> None:
    write_structures(tmp_path / "all.store", read_structures(cluster_file))
    wanted = config(tmp_path / "all.store", workers=1)
    expected = trained(new_run(wanted, tmp_path / "whole", Watching()))

    def then(step: int) -> None:
        if step == 7:
            for child in multiprocessing.active_children():
                os.kill(child.pid or 0, signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGTERM)

    run = new_run(wanted, tmp_path / "run", Watching(then))
    with pytest.raises(Stopped):
        run.train()
    assert same(trained(resume_run(tmp_path / "run", Watching())), expected)


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    try:
        with listening() as asked:
            os.kill(os.getpid(), signal.SIGUSR1)
        assert asked.by == ""
    finally:
        signal.signal(signal.SIGUSR1, before)


def _once(step: int, number: int) -> Watching:
    return Watching(lambda now: os.kill(os.getpid(), number) if now == step else None)


# --- going on by itself


def test_auto_begins_goes_on_and_says_that_it_is_finished(
    tmp_path: Path, cluster_file: Path, whole: dict[str, torch.Tensor]
) -> None:
    folder, wanted = tmp_path / "run", config(cluster_file)
    folder.mkdir()
    (folder / "slurm-17.out").write_text("queued")
    steps = []
    for _ in range(3):
        run = begin_or_resume(wanted, folder, _once(10 if not steps else 19, signal.SIGTERM))
        steps.append(run.trainer.progress.step)
        if len(steps) < 3:
            with pytest.raises(Stopped):
                run.train()
        else:
            run.train()
    assert steps == [0, 10, 19]
    assert same(states(folder), whole)
    done = begin_or_resume(wanted, folder, Watching())
    assert done.trainer.progress.finished == "all steps were done"


def test_auto_follows_data_that_have_moved(
    tmp_path: Path, cluster_file: Path, whole: dict[str, torch.Tensor]
) -> None:
    folder, watching = tmp_path / "run", Watching()
    with pytest.raises(Stopped):
        begin_or_resume(config(cluster_file), folder, _once(10, signal.SIGTERM)).train()
    moved = tmp_path / "elsewhere" / cluster_file.name
    moved.parent.mkdir()
    moved.write_bytes(cluster_file.read_bytes() * 2)
    with pytest.raises(RunError, match=r"data\.train is .* there and .*elsewhere"):
        begin_or_resume(config(moved), folder, Watching())
    moved.write_bytes(cluster_file.read_bytes())
    old = (folder / "config.yaml").read_text()
    begin_or_resume(config(moved), folder, Watching())
    # as if killed between the two files
    (folder / "config.yaml").write_text(old)
    run = begin_or_resume(config(moved), folder, watching)
    assert "have moved" in watching.notes[0]
    run.train()
    assert same(states(folder), whole)
    # the folder is brought up to date: once is enough
    again = Watching()
    begin_or_resume(config(moved), folder, again)
    assert not any("moved" in note for note in again.notes)


def test_auto_begins_again_what_was_stopped_before_its_first_checkpoint(
    tmp_path: Path, cluster_file: Path, whole: dict[str, torch.Tensor]
) -> None:
    wanted, folder, watching = config(cluster_file), tmp_path / "run", Watching()
    new_run(wanted, folder, Watching())
    (folder / ".tmp12345.pt").write_bytes(b"half")
    again = begin_or_resume(wanted, folder, watching)
    assert "before its first checkpoint" in watching.notes[0]
    assert same(trained(again), whole)
    assert not (folder / ".tmp12345.pt").exists()


@pytest.mark.parametrize("checkpoint", [True, False])
def test_auto_refuses_another_configuration_and_names_the_keys(
    tmp_path: Path, cluster_file: Path, checkpoint: bool
) -> None:
    run = new_run(config(cluster_file, steps=2), tmp_path / "run", Watching())
    if checkpoint:
        run.train()
    with pytest.raises(
        RunError, match=r"training\.steps is 2 there and 3 here; training\.clip is 10\.0 .* 1\.0"
    ):
        begin_or_resume(config(cluster_file, steps=3, clip=1.0), tmp_path / "run", Watching())


def test_auto_leaves_to_the_run_what_is_left_to_the_machine(tmp_path: Path, cluster_file: Path) -> None:
    wanted = config(cluster_file, steps=2, compile=None, epochs=None)
    open_ = wanted.model_copy(update={"threads": None})
    new_run(open_, tmp_path / "run", Watching()).train()
    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    try:
        assert begin_or_resume(open_, tmp_path / "run", Watching()).config.threads == before
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("name", ["model.pt", "notes.txt"])
def test_auto_does_not_begin_where_something_else_is(tmp_path: Path, cluster_file: Path, name: str) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / name).write_text("mine")
    with pytest.raises(RunError, match="not empty"):
        begin_or_resume(config(cluster_file), tmp_path / "run", Watching())
    assert [path.name for path in (tmp_path / "run").iterdir()] == [name]


def hermtk(*words: object, cwd: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "hermtk_cli.main", *map(str, words)],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "COLUMNS": "200", "OMP_NUM_THREADS": "1"},
    )


def test_a_job_that_is_queued_again_and_again_needs_one_command(tmp_path: Path, cluster_file: Path) -> None:
    wanted = config(cluster_file, steps=150)
    (tmp_path / "run.yaml").write_text(dump_config(wanted))
    job = ["train", "run.yaml", "--out", "run", "--resume", "auto"]
    first = hermtk(*job, cwd=tmp_path)
    while first.poll() is None and not (tmp_path / "run" / "checkpoint.pt").is_file():
        time.sleep(0.05)
    first.send_signal(signal.SIGTERM)
    said, _ = first.communicate(timeout=200)
    assert (first.returncode, "Traceback" in said) == (0, False), said
    assert "stopped by SIGTERM after step" in said
    assert "hermtk train --resume run" in said
    for expected in ("going on after step", "the run in run is finished: all steps were done"):
        again = hermtk(*job, cwd=tmp_path)
        said, _ = again.communicate(timeout=300)
        assert again.returncode == 0, said
        assert expected in said


def test_auto_without_a_folder_is_refused(tmp_path: Path) -> None:
    refused = hermtk("train", "--resume", "auto", cwd=tmp_path)
    said, _ = refused.communicate(timeout=200)
    assert refused.returncode == 1
    assert "--resume auto needs --out" in said


# --- checkpoints


def test_a_damaged_checkpoint_is_replaced_by_the_one_before(
    tmp_path: Path, cluster_file: Path, whole: dict[str, torch.Tensor]
) -> None:
    run = new_run(config(cluster_file), tmp_path / "run", _once(9, signal.SIGTERM))
    with pytest.raises(Stopped):
        run.train()
    path = tmp_path / "run" / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:-500])
    watching = Watching()
    again = resume_run(tmp_path / "run", watching)
    assert watching.notes == [
        "checkpoint.pt is damaged; going on from checkpoint.previous.pt, the checkpoint before it"
    ]
    assert again.trainer.progress.step == 9  # written for the step, then for the signal
    assert same(trained(again), whole)


def test_a_single_wrong_bit_is_noticed(tmp_path: Path, cluster_file: Path) -> None:
    new_run(config(cluster_file, steps=2), tmp_path / "run", Watching()).train()
    path = tmp_path / "run" / "checkpoint.pt"
    weight = next(iter(states(tmp_path / "run").values())).numpy().tobytes()
    content = bytearray(path.read_bytes())
    content[content.index(weight[:32]) + 5] ^= 1
    path.unlink()  # the one before is another name of the same file if nothing was written since
    path.write_bytes(content)
    (tmp_path / "run" / "checkpoint.previous.pt").unlink()
    with pytest.raises(
        RunError, match=r"checkpoint\.pt cannot be resumed from: the checksum .* is wrong.*begin again"
    ):
        resume_run(tmp_path / "run", Watching())


# --- memory


def world() -> tuple[Any, Batch]:
    torch.manual_seed(0)
    potential = build_model(ModelConfig(channels=4, layers=1, cutoff=3.0, dtype="float64"), (1, 6, 8))
    some = clusters(7)
    return potential, join(potential, prepare(some, 3.0))


@settings(max_examples=30, deadline=None)
@given(limit=st.integers(0, 400))
def test_pieces_hold_every_structure_once_in_order_and_within_the_limit(limit: int) -> None:
    potential, batch = world()
    parts = list(pieces(potential, batch, limit))
    assert torch.equal(torch.cat([part.energy for part in parts]), batch.energy)
    assert torch.equal(torch.cat([part.forces for part in parts]), batch.forces)
    assert torch.equal(torch.cat([part.graph.cell for part in parts]), batch.graph.cell)
    assert all(part.graph.n_structures == 1 or sizes(part).sum() <= limit for part in parts)
    found = [predict(potential, part.graph, part.union) for part in parts]
    expected = predict(potential, batch.graph, batch.union)
    torch.testing.assert_close(torch.cat([p.energy for p in found]), expected.energy)
    torch.testing.assert_close(torch.cat([p.forces for p in found if p.forces is not None]), expected.forces)


@pytest.mark.parametrize("problem", NO_MEMORY, ids=lambda problem: type(problem).__name__)
def test_errors_of_all_allocators_are_known(problem: Exception) -> None:
    assert out_of_memory(problem)


def test_another_error_is_none_of_memory() -> None:
    potential, batch = world()

    def fails(part: Batch) -> None:
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        in_pieces(potential, batch, None, lambda: None, fails)


def short_of_memory(run: Run, most: int, problem: Exception, since: int = 0) -> Run:
    """Let steps with more than ``most`` structures fail when their forward pass is done, half of their gradients there."""
    real = run.trainer.loss

    class Loss(type(real)):
        def __call__(self, prediction: Any, batch: Batch, known: Any = None) -> torch.Tensor:
            loss = super().__call__(prediction, batch, known)
            if batch.graph.n_structures > most and run.trainer.progress.step >= since:
                loss.backward(retain_graph=True)
                raise problem
            return loss

    run.trainer.loss = Loss(**vars(real))
    return run


@pytest.mark.parametrize(("most", "problem"), [(2, NO_MEMORY[0]), (1, NO_MEMORY[1]), (3, NO_MEMORY[2])])
def test_a_batch_that_does_not_fit_is_done_in_pieces_with_the_same_result(
    tmp_path: Path, cluster_file: Path, whole: dict[str, torch.Tensor], most: int, problem: Exception
) -> None:
    watching = Watching()
    run = new_run(config(cluster_file), tmp_path / "run", watching)
    found = trained(short_of_memory(run, most, problem, since=5))
    assert not same(found, whole)
    assert same(found, whole, rtol=1e-7, atol=1e-9)
    assert len(watching.notes) == 1
    assert "memory ran out" in watching.notes[0]
    events = json.loads((tmp_path / "run" / "run.json").read_text())["events"]
    assert events == [{"step": 5, "text": watching.notes[0]}]


def test_a_run_short_of_memory_is_resumed_exactly(tmp_path: Path, cluster_file: Path) -> None:
    short = short_of_memory(
        new_run(config(cluster_file), tmp_path / "one", Watching()), 2, MemoryError(), since=5
    )
    expected = trained(short)
    stopped = new_run(config(cluster_file), tmp_path / "two", _once(11, signal.SIGTERM))
    with pytest.raises(Stopped):
        short_of_memory(stopped, 2, MemoryError(), since=5).train()
    # with memory enough, it goes on in the same pieces
    watching = Watching()
    again = resume_run(tmp_path / "two", watching)
    assert again.trainer.progress.limit == short.trainer.progress.limit
    assert same(trained(again), expected)
    assert watching.notes == []


SHORT = """
import resource, sys
from pathlib import Path
from hermtk.training.config import make_config, read_config
from hermtk.training.run import new_run

class Told:
    def stepped(self, progress, total, loss): print(loss)
    def validated(self, row): ...
    def note(self, text): print(text)

run = new_run(make_config(read_config(Path(sys.argv[1]))), Path(sys.argv[2]), Told())
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + int(sys.argv[3]) * 2**20,) * 2)
run.train()
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory can be limited on Linux")
def test_a_process_without_memory_goes_on_in_pieces(tmp_path: Path) -> None:
    write_structures(tmp_path / "clusters.npz", clusters(516))
    wide = {"model": {"channels": 64, "layers": 3, "cutoff": 3.0}}
    data = {"train": str(tmp_path / "clusters.npz"), "n_train": 512, "n_validation": 4, "n_test": 0}
    wanted = make_config(
        {
            **wide,
            "data": data,
            "training": {"steps": 2, "batch_size": 512, "compile": False},
            "threads": 1,
        }
    )
    (tmp_path / "run.yaml").write_text(dump_config(wanted))
    losses = []
    for name, spare in (("enough", 10_000), ("short", 150)):
        words = [sys.executable, "-c", SHORT, str(tmp_path / "run.yaml"), str(tmp_path / name), str(spare)]
        done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=200)
        notes = [line for line in done.stdout.splitlines() if "memory ran out" in line]
        assert len(notes) == (name == "short"), done.stdout
        losses.append([float(line) for line in done.stdout.splitlines() if line not in notes])
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)


def test_a_structure_that_does_not_fit_alone_is_said(tmp_path: Path, cluster_file: Path) -> None:
    run = new_run(config(cluster_file), tmp_path / "run", Watching())
    with pytest.raises(RunError, match=r"a single structure of 6 atoms .*model\.channels"):
        short_of_memory(run, 0, MemoryError()).train()


# --- losses


@settings(max_examples=50, deadline=None)
@given(
    losses=st.lists(st.floats(0.2, 19.0), min_size=WINDOW, max_size=3 * WINDOW),
    jumps=st.sets(st.integers(0, 3 * WINDOW), max_size=20),
)
def test_a_loss_that_jumps_now_and_then_is_no_alarm(losses: list[float], jumps: set[int]) -> None:
    watch = Watch()
    for step, loss in enumerate(losses):
        decayed = loss * math.exp(-0.02 * step)
        jumped = 1e9 if step in jumps and step - 1 not in jumps else decayed
        assert watch.sees(jumped) <= 1


@given(losses=st.lists(st.floats(0.0, 1e30), max_size=WINDOW))
def test_nothing_is_far_from_usual_at_the_start(losses: list[float]) -> None:
    watch = Watch()
    assert not any(watch.sees(loss) for loss in losses)


def test_a_loss_that_stays_far_up_is_an_alarm_however_it_is_cut_by_checkpoints() -> None:
    watch = Watch()
    seen = []
    for loss in [1.0] * WINDOW + [FAR * 1.01] * PATIENCE:
        seen.append(watch.sees(loss))
        watch = Watch(**json.loads(json.dumps(vars(watch))))
    assert seen == [0] * WINDOW + list(range(1, PATIENCE + 1))


def test_an_infinite_loss_leaves_its_batch_and_the_weights_before(tmp_path: Path, cluster_file: Path) -> None:
    squares = {"loss": {"kind": "mse"}, "checkpoint_minutes": 10.0}
    run = new_run(config(cluster_file, **squares), tmp_path / "run", Watching())
    run.data.items[3].forces[2] = 1e200
    with pytest.raises(
        RunError, match=r"the loss is inf\..*bad_batch\.extxyz holds the 4 .*xyz:\d+ \(forces 1e\+200"
    ) as said:
        run.train()
    step = run.trainer.progress.step
    assert f"step {step + 1}:" in str(said.value)
    worst, *others = read_structures(tmp_path / "run" / "bad_batch.extxyz")
    assert (worst.info["step"], len(others)) == (step + 1, 3)
    assert worst.info["source"] == run.data.train[3].source
    assert worst.info["forces_error"] > 1e199 > others[0].info["forces_error"]
    held = states(tmp_path / "run")
    assert all(torch.equal(held[name], value) for name, value in run.potential.state_dict().items())
    assert torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["progress"]["step"] == step


def test_a_prediction_that_is_no_number_is_an_infinite_error(tmp_path: Path, cluster_file: Path) -> None:
    def then(step: int) -> None:
        if step == 3:
            with torch.no_grad():
                next(run.potential.parameters()).fill_(math.nan)

    run = new_run(config(cluster_file), tmp_path / "run", Watching(then))
    with pytest.raises(RunError, match=r"step 4: the loss is nan.*forces inf, energy inf"):
        run.train()
    assert len(read_structures(tmp_path / "run" / "bad_batch.extxyz")) == 4


def test_a_gradient_that_is_no_number_never_reaches_the_weights(tmp_path: Path, cluster_file: Path) -> None:
    def then(step: int) -> None:
        if step == 3:
            next(run.potential.parameters()).register_hook(lambda gradient: gradient * math.inf)

    run = new_run(config(cluster_file, clip=None), tmp_path / "run", Watching(then))
    with pytest.raises(RunError, match=r"step 4: the gradient of the loss is (nan|inf)"):
        run.train()
    assert all(bool(p.isfinite().all()) for p in run.potential.parameters())


def test_an_exploded_loss_is_stopped_with_the_checkpoint_from_before(
    tmp_path: Path, cluster_file: Path
) -> None:
    def then(step: int) -> None:
        if step == WINDOW + 10:
            with torch.no_grad():
                for parameter in run.potential.parameters():
                    parameter.mul_(1e3)

    values = config(cluster_file, steps=200, checkpoint_minutes=0.0)
    run = new_run(values, tmp_path / "run", Watching(then))
    with pytest.raises(RunError, match=rf"exploded at step {WINDOW + 11}: for {PATIENCE} steps .*bad_batch"):
        run.train()
    kept = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["progress"]
    assert (kept["step"], kept["watch"]["far"]) == (WINDOW + 10, 0)
    assert read_structures(tmp_path / "run" / "bad_batch.extxyz")[0].info["step"] == WINDOW + 11
