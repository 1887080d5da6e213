"""Signals that ask a run to stop: noted, and answered when the step is done and saved."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from hermtk.errors import HermtkError

# SLURM sends SIGTERM before it kills, and whatever --signal names before that; Windows has no SIGUSR1
_NAMES = ("SIGINT", "SIGTERM", "SIGUSR1")


class Stopped(HermtkError):
    """A run was asked to stop by a signal, and did, after it had saved itself."""


class Asked:
    """The first signal that came; empty while none has."""

    def __init__(self) -> None:
        self.by, self.interrupts = "", 0

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Note a signal. Whoever interrupts twice does not want to wait."""
        name = signal.Signals(number).name
        self.by = self.by or name
        self.interrupts += name == "SIGINT"
        if self.interrupts > 1:
            raise KeyboardInterrupt


@contextmanager
def listening() -> Iterator[Asked]:
    """Signals that would end the process are noted inside the block, where Python can: in the main thread.

    A signal that is ignored already, as in the background of a shell or under nohup, stays ignored.
    """
    asked, before = Asked(), {}
    if threading.current_thread() is threading.main_thread():
        for name in _NAMES:
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) not in (signal.SIG_IGN, None):
                before[number] = signal.signal(number, asked)
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
