"""Trials in a process of their own.

The process reads the data of a run once and forks for every model that learns from them, so that none finds what another left
behind. Where it cannot be forked, every trial has a new process.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

import torch

from hermtk.errors import HermtkError
from hermtk.kernels.library import library
from hermtk.memory import Before, available, bound, is_shortage, of_process
from hermtk.planning.trial import Trial, trial
from hermtk.training.config import RunConfig
from hermtk.training.data.prepare import Prepared, prepare_run

SERVER = (sys.executable, "-W", "ignore", "-m", "hermtk.planning.trials")
_FORKS = sys.platform == "linux"
_TOO_LARGE = (
    "there is not enough memory: a smaller model, training.batch_edges or, for data that do not fit, a store "
    "(`hermtk convert DATA NAME.store`) needs less"
)


class Trials:
    """The process that is asked, from the first trial until the end of the block."""

    def __init__(self, server: Sequence[str] = SERVER) -> None:
        """``server``: the command that runs ``serve``, for whoever sets up processes in a way of their own."""
        self._command = server
        self._server: subprocess.Popen[str] | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="hermtk-trials-")
        self._count = 0

    def __enter__(self) -> "Trials":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()
        self._folder.cleanup()

    def ask(self, config: RunConfig, compiled: bool = False) -> Trial:
        """The trial of a run.

        Args:
            config: as it would be given to a run.
            compiled: measure the compiled model, if the run would compile it: one to three minutes.

        Raises:
            HermtkError: the run cannot be begun, or needs more memory than there is.
        """
        # built here if they must be, where it is said
        library()
        self._count += 1
        folder = str(Path(self._folder.name) / str(self._count))
        # what is left out is for the model to say that fine-tuning begins with
        given = config.model_dump(mode="json", exclude_unset=True)
        question = {"config": given, "compiled": compiled, "folder": folder}
        answer = self._answer(json.dumps(question))
        if not _FORKS:
            self._end()
        if "problem" in answer:
            raise HermtkError(answer["problem"])
        pairs = {name: [tuple(pair) for pair in answer[name]] for name in ("samples", "growth")}
        return Trial(**{**answer, **pairs})

    def _answer(self, question: str) -> dict[str, Any]:
        said = Path(self._folder.name) / "stderr"
        if self._server is None:
            with said.open("w") as file:
                # a session of its own: Ctrl-C is for the process that asks, which then ends this one
                self._server = subprocess.Popen(
                    self._command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=file,
                    text=True,
                    start_new_session=True,
                )
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        with suppress(BrokenPipeError):
            self._server.stdin.write(question + "\n")
            self._server.stdin.flush()
            if answer := self._server.stdout.readline():
                return json.loads(answer)
        killed = self._server.wait() < 0
        self._end()
        last = " ".join(said.read_text(encoding="utf-8", errors="replace").splitlines()[-1:])
        return {"problem": _TOO_LARGE if killed else f"the process that measures has ended: {last}"}

    def _end(self) -> None:
        if self._server is None:
            return
        # the fork too, which may be in the middle of a step
        with suppress(ProcessLookupError):
            os.killpg(self._server.pid, signal.SIGKILL)
        # a question that the server did not live to read
        with suppress(BrokenPipeError), self._server:
            pass
        self._server = None


class _Server:
    """The process that is asked: holds the data of the last question."""

    def __init__(self) -> None:
        self.threads = torch.get_num_threads()
        self.data: Prepared | None = None
        # of these data: what of the config decides them, seconds and resident bytes that reading took
        self.key, self.seconds, self.taken = "", 0.0, 0

    def answer(self, question: dict[str, Any]) -> dict[str, Any]:
        """A ``Trial`` as plain values, or the ``problem``."""

        def begin() -> dict[str, Any]:
            config = RunConfig.model_validate(question["config"])
            # fine-tuning reads its data by the model that it begins with
            data = self._prepared(config) if config.start.model is None else None
            seconds, taken = (self.seconds, self.taken) if data else (0.0, 0)
            now, free = of_process("VmRSS"), available()
            before = Before(of_process("RssFile"), taken or None, free + now if free and now else None)

            def work() -> dict[str, Any]:
                torch.set_num_threads(self.threads)
                found = trial(config, data, question["compiled"], Path(question["folder"]), before)
                return {**asdict(found), "preparation": found.preparation + seconds}

            return _in_a_fork(work) if _FORKS else work()

        return _guarded(begin)

    def _prepared(self, config: RunConfig) -> Prepared:
        """The data of a run, read again only where something is new that is not the model."""
        model = config.model
        # what of the model data depend on
        shared = [model.cutoff, model.readout, model.readout_options]
        key = json.dumps([config.model_dump(mode="json", exclude={"model"}), shared])
        if self.data is None or key != self.key:
            self.data = None
            self._make_room(config)
            resident, began = of_process("VmRSS"), time.perf_counter()
            # threads that wait for work would not survive a fork
            torch.set_num_threads(1)
            self.data, self.key = prepare_run(config), key
            self.seconds, self.taken = time.perf_counter() - began, of_process("VmRSS") - resident
        return self.data

    @staticmethod
    def _make_room(config: RunConfig) -> None:
        """Bound memory where it is only this machine's: a device's driver reserves far more than it uses."""
        if config.device == "cpu" and (free := available()) and of_process("VmData"):
            bound(free)


def _guarded(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What ``work`` gives, or its problem in words: whoever asked says it."""
    try:
        return work()
    except HermtkError as problem:
        return {"problem": str(problem)}
    # whatever it is, the one who asked says it; the next question may do better
    except Exception as problem:
        if is_shortage(problem):
            return {"problem": _TOO_LARGE}
        return {"problem": f"{type(problem).__name__}: {problem}"[:500]}


def _in_a_fork(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            with os.fdopen(writer, "w", encoding="utf-8") as pipe:
                pipe.write(json.dumps(_guarded(work)))
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as pipe:
        text = pipe.read()
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if text and not code:
        return json.loads(text)
    return {"problem": _TOO_LARGE if code < 0 else f"the process that measures ended with status {code}"}


def serve() -> None:
    """Answer one question per line until there are no more."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    server = _Server()
    for line in sys.stdin:
        answers.write(json.dumps(server.answer(json.loads(line))) + "\n")
        answers.flush()


if __name__ == "__main__":
    serve()
