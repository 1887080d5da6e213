"""Peak memory of a case, measured in a process of its own.

A helper process loads torch once and forks for every case. The fork builds the model, runs the case once, drops the gradients,
returns freed memory to the system, and runs it again: the peak is the most resident memory during the second run
(``VmHWM``, reset before it) less what was resident when it began. Code, weights, data and the optimiser's averages are
therefore not in it; activations, derivatives and gradients are. The C library is told to take every array of 64 KiB or more
from the system and to return it at once, so that the figure is of memory in use, not of memory kept for later. It is good to
about 1 MiB. On CUDA it is the peak that torch's allocator reports. Where there is neither (no Linux, no CUDA) nothing is
measured.
"""

import ctypes
import gc
import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

import torch

from hermtk.benchmark.cases import Case, Settings, Workload, workload
from hermtk.benchmark.measure import threads
from hermtk.benchmark.systems import System
from hermtk.errors import HermtkError

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_RESET_PEAK = "5"
_ENVIRONMENT = {
    "MALLOC_MMAP_THRESHOLD_": str(2**16),
    "MALLOC_TRIM_THRESHOLD_": str(2**16),
    # a compiler without a pool of processes, which would outlive the fork
    "TORCHINDUCTOR_COMPILE_THREADS": "1",
}


class MemoryMeter:
    """The helper process, from the first case until the end of the block."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._helper: subprocess.Popen[str] | None = None

    def __enter__(self) -> "MemoryMeter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._helper is None:
            return
        # the fork too, which may be in the middle of a step
        with suppress(ProcessLookupError):
            os.killpg(self._helper.pid, signal.SIGKILL)
        # a question that the helper did not live to read
        with suppress(BrokenPipeError), self._helper:
            pass

    def peak(self, case: Case) -> int | None:
        """Bytes; None where this machine cannot tell.

        Raises:
            HermtkError: the case cannot be run, or was killed for its memory.
        """
        if not can_measure(self.settings.device):
            return None
        answer = self._ask({"case": asdict(case), "settings": asdict(self.settings)})
        if "problem" in answer:
            raise HermtkError(answer["problem"])
        return answer["bytes"]

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        if self._helper is None:
            self._helper = _start()
        assert self._helper.stdin is not None
        assert self._helper.stdout is not None
        try:
            self._helper.stdin.write(json.dumps(question) + "\n")
            self._helper.stdin.flush()
        except BrokenPipeError:
            pass
        else:
            if answer := self._helper.stdout.readline():
                return json.loads(answer)
        return {"problem": "the process that measures memory has ended"}


def can_measure(device: str) -> bool:
    """Whether peak memory is known on this machine and device."""
    kind = torch.device(device).type
    return kind == "cuda" or (kind == "cpu" and os.access(_RESET, os.W_OK))


def peak_of(work: Workload) -> int:
    """Bytes that one call needs at its peak beyond what is there before it; for a process that does nothing else."""
    work.call()
    work.potential.zero_grad()
    gc.collect()
    if work.potential.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(work.potential.device)
        before = torch.cuda.memory_allocated(work.potential.device)
        work.call()
        return torch.cuda.max_memory_allocated(work.potential.device) - before
    _return_freed_memory()
    _RESET.write_text(_RESET_PEAK)
    before = _resident("VmRSS")
    work.call()
    return max(_resident("VmHWM") - before, 0)


def _resident(name: str) -> int:
    for line in _STATUS.read_text().splitlines():
        if line.startswith(f"{name}:"):
            return 1024 * int(line.split()[1])
    raise HermtkError(f"{_STATUS} has no {name}")


def _return_freed_memory() -> None:
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _start() -> subprocess.Popen[str]:
    # a session of its own: Ctrl-C is for the process that measures time, which then ends this one
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "hermtk.benchmark.memory"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, **_ENVIRONMENT},
        start_new_session=True,
    )


def _serve() -> None:
    """Answer one case per line until there are no more."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for line in sys.stdin:
        answers.write(json.dumps(_in_a_fork(json.loads(line))) + "\n")
        answers.flush()


def _in_a_fork(question: dict[str, Any]) -> dict[str, Any]:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        answer = _answer(question)
        os.write(writer, json.dumps(answer).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        text = pipe.read()
    _, status = os.waitpid(child, 0)
    if text:
        return json.loads(text)
    code = os.waitstatus_to_exitcode(status)
    return {
        "problem": f"it was killed by signal {-code}, as for too much memory"
        if code < 0
        else f"it ended with status {code}"
    }


def _answer(question: dict[str, Any]) -> dict[str, Any]:
    settings = Settings(**question["settings"])
    given = question["case"]
    case = Case(**{**given, "system": System(**given["system"])})
    try:
        with threads(settings.threads):
            return {"bytes": peak_of(workload(case, settings))}
    # whatever it is, the parent says it; a fork must not go on to the next case
    except Exception as problem:
        return {"problem": f"{type(problem).__name__}: {problem}"[:500]}


if __name__ == "__main__":
    _serve()
