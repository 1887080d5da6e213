"""Become a command that ends with the process that started it.

``python -I -S guard.py PARENT COMMAND ...`` is run as a script, before anything of hermtk is loaded: what it sets survives the
exec. A function between fork and exec (``preexec_fn``) would do the same, but is not safe in a process with threads.
"""

import ctypes
import os
import signal
import sys

# linux/prctl.h
_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Set signals, then be the command; elsewhere than on Linux nothing ends it with its parent."""
    parent, *command = sys.argv[1:]
    # an engine may have them ignored, and its own signal goes to whole process groups: it is for the one who started us
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))
        # it may have gone before that
        if os.getppid() != int(parent):
            sys.exit("error: the study that started this run has ended")
    try:
        os.execvp(command[0], command)
    except OSError as problem:
        sys.exit(f"error: {command[0]} cannot be started: {problem.strerror}")


if __name__ == "__main__":
    main()
