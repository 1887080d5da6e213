"""What a run spends, over all its sessions: time on the wall, time of the processor."""

import time


class Clock:
    """Counts on from what earlier sessions spent.

    Args:
        seconds: on the wall.
        cpu_seconds: of this process, all its threads together.
    """

    def __init__(self, seconds: float = 0.0, cpu_seconds: float = 0.0) -> None:
        self._wall = time.monotonic() - seconds
        self._cpu = time.process_time() - cpu_seconds

    @property
    def seconds(self) -> float:
        """On the wall."""
        return time.monotonic() - self._wall

    @property
    def cpu_seconds(self) -> float:
        """Of the processor: hardly changed by what else the machine does."""
        return time.process_time() - self._cpu
