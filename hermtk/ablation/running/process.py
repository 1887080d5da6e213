"""The process of a run: it writes a log, ends when we end, and is asked before it is killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

# where the system counts what it has ended for want of memory: all of it, and this container
_KILLS = (Path("/proc/vmstat"), Path("/sys/fs/cgroup/memory.events"))
_GUARD = Path(__file__).with_name("guard.py")
# a run of a study is one process, whatever started us; and nobody watches it
_NOT_OURS = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "SLURM_STEP_NUM_TASKS", "FORCE_COLOR")
_TAIL = 8192


@dataclass(frozen=True)
class End:
    """How the process of a run ended.

    Attributes:
        status: it exited with; less than 0: the signal that ended it.
        said: the end of what it wrote.
        seconds, cpu_seconds: it took, with what it started itself.
        memory: the system killed something for want of memory meanwhile.
    """

    status: int
    said: str = ""
    seconds: float | None = None
    cpu_seconds: float | None = None
    memory: bool = False


class Process:
    """A command in a session of its own: Ctrl-C of the terminal is for us, who then ask it to stop.

    On Linux it gets SIGTERM when the thread that started it ends, be it by SIGKILL.
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        threads: int,
        locks: Sequence[int] = (),
        own: Mapping[str, str] | None = None,
    ) -> None:
        """Start it.

        Args:
            command: what to run.
            log: what it writes is added here.
            threads: of its arithmetic, where it has no number of its own.
            locks: file descriptors that it keeps open as long as it lives.
            own: more variables of its environment.

        Raises:
            OSError: it cannot be started, or the log not be written.
        """
        self._log, self._kills, self._began = log, _memory_kills(), time.monotonic()
        self._end: End | None = None
        guard = (sys.executable, "-I", "-S", str(_GUARD), str(os.getpid()))
        with log.open("ab") as file:
            file.write(f"--- {datetime.now():%Y-%m-%d %H:%M:%S} {' '.join(command)}\n".encode())
            file.flush()
            self._said_from = file.tell()
            self._popen = subprocess.Popen(
                [*guard, *command],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=_environment(os.environ, threads) | dict(own or {}),
                start_new_session=True,
                pass_fds=locks,
            )

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.poll() is None

    def poll(self) -> End | None:
        """How it ended; None while it has not."""
        if self._end is None:
            # as Popen.poll, which does not tell the time it used
            number, status, usage = os.wait4(self._popen.pid, os.WNOHANG)
            if number:
                self._popen.returncode = os.waitstatus_to_exitcode(status)
                self._end = End(
                    self._popen.returncode,
                    self._said(),
                    time.monotonic() - self._began,
                    usage.ru_utime + usage.ru_stime,
                    _memory_kills() > self._kills,
                )
        return self._end

    def stop(self) -> None:
        """Ask it to save itself and end."""
        # not its group: what it has started itself it ends itself
        if self.running:
            self._popen.terminate()

    def kill(self) -> None:
        """End it at once, with all that it has started."""
        if self.running:
            with suppress(ProcessLookupError):
                os.killpg(self._popen.pid, signal.SIGKILL)
            self.wait()

    def wait(self) -> End:
        """Until it has ended."""
        while (end := self.poll()) is None:
            time.sleep(0.05)
        return end

    def _said(self) -> str:
        """The end of what it wrote."""
        with suppress(OSError), self._log.open("rb") as file:
            file.seek(max(self._said_from, file.seek(0, os.SEEK_END) - _TAIL))
            return file.read().decode(errors="replace")
        return ""


def _environment(ours: Mapping[str, str], threads: int) -> dict[str, str]:
    kept = {name: value for name, value in ours.items() if name not in _NOT_OURS}
    return {**kept, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}


def _memory_kills() -> int:
    """Processes that this system, or this container, has ended for want of memory; 0 where it does not say."""
    found = 0
    for path in _KILLS:
        with suppress(OSError):
            words = (line.split() for line in path.read_text(encoding="utf-8").splitlines())
            found += sum(int(count) for name, count in words if name == "oom_kill")
    return found
