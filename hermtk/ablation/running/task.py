"""What a job of a cluster does. Loads nothing that takes long: the run that it starts loads it again."""

import os
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hermtk.ablation.running.lock import waiting_for
from hermtk.ablation.running.process import End, Process

# an engine that asks a run to stop says within this time what becomes of the job, or ends it
_PATIENCE = 120.0


@dataclass
class Task:
    """One start of a run. Lives in a file between where it was made and the node that runs it.

    Attributes:
        command: of the run.
        results: the file that it writes last, absolute like the next two.
        log: what it writes is added here.
        place: the folder that the command is run in.
        threads: of its arithmetic.
    """

    command: Sequence[str]
    results: Path
    log: Path
    place: Path
    threads: int
    _process: Process | None = field(default=None, init=False, repr=False)

    def __call__(self) -> End:
        """Run it to its end, after whoever else runs it."""
        os.chdir(self.place)
        with waiting_for(self.log.with_suffix(".lock")) as locks:
            if self.results.is_file():
                return End(0)
            self._process = Process(self.command, self.log, self.threads, locks)
            if threading.current_thread() is threading.main_thread():
                # submitit does not pass it on
                signal.signal(signal.SIGTERM, lambda *_: self._stop())
            try:
                end = self._process.wait()
            finally:
                # an interrupt, or an exit in a signal's handler
                self._stop()
        if end.status in (0, -signal.SIGTERM) and not self.results.is_file():
            # the engine asked: it queues the job again, or kills it, and an end that we told would stand against that
            time.sleep(_PATIENCE)
        return end

    def checkpoint(self) -> Any:
        """Asked by submitit in the handler of a signal, when time is up or another job takes the node: what is to be queued."""
        from submitit.helpers import DelayedSubmission

        if self._process is not None:
            self._stop()
            self._process.wait()
        return DelayedSubmission(replace(self))

    # as later versions call it
    __submitit_checkpoint__ = checkpoint

    def _stop(self) -> None:
        if self._process is not None:
            self._process.stop()
