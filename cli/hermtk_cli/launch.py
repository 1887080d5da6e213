"""Several processes of one command on this machine."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from types import FrameType

_COMMAND = (sys.executable, "-m", "hermtk_cli.main")
# from the failure of one process to the end of all, seconds
_GRACE = 30.0
_PASSED_ON = ("SIGINT", "SIGTERM", "SIGUSR1", "SIGHUP")


def start(count: int, arguments: Sequence[str]) -> int:
    """Run ``hermtk arguments`` in several processes, which find their places as torchrun would tell them.

    Signals are passed on to all. When one fails the others have half a minute to end by themselves.

    Returns:
        The exit status: 0, or that of a process that failed, 128 and the signal where a signal ended it.
    """
    shared = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": _free_port()}
    command = [*_COMMAND, *arguments]
    running: list[subprocess.Popen[bytes]] = []

    def pass_on(number: int, frame: FrameType | None) -> None:
        for process in running:
            process.send_signal(number)

    found = [getattr(signal, name) for name in _PASSED_ON if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in found}
    try:
        for number, handler in before.items():
            # what is ignored, as under nohup, the processes ignore too
            if handler is not signal.SIG_IGN:
                signal.signal(number, pass_on)
        for rank in range(count):
            own = {**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)}
            # a group of its own: an interrupt from the terminal comes once, from here
            running.append(subprocess.Popen(command, env=own, process_group=0))
        return _wait(running)
    finally:
        for process in running:
            process.kill()
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait(running: Sequence[subprocess.Popen[bytes]]) -> int:
    """Until all have ended; those that a failure leaves behind are ended."""
    failed, since = 0, 0.0
    while None in [process.poll() for process in running]:
        if not failed and (failed := _failed(running)):
            since = time.monotonic()
        if failed and time.monotonic() - since > _GRACE:
            for process in running:
                process.kill()
        time.sleep(0.1)
    return failed or _failed(running)


def _failed(running: Sequence[subprocess.Popen[bytes]]) -> int:
    """The exit status of a process that has failed; 0 where none has."""
    statuses = [process.returncode or 0 for process in running]
    return next((128 - status if status < 0 else status for status in statuses if status), 0)


def _free_port() -> str:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return str(found.getsockname()[1])
