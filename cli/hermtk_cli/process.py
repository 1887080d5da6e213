"""Settings of the process that have to be made before torch is loaded."""

import ctypes
import os
import sys

# this command line, in a process of its own
COMMAND = (sys.executable, "-m", "hermtk_cli.main")
# trials of runs, which then go as `hermtk train` does, with its settings of the process
TRIALS = (
    sys.executable,
    "-W",
    "ignore",
    "-c",
    "from hermtk_cli.process import prepare_process; prepare_process(); from hermtk.planning.trials import serve; serve()",
)

# glibc's malloc.h
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_KEEP_ALL = 2**31 - 1
# blocks up to 1 GiB come from the heap; an older glibc takes 32 MiB at most
_MMAP_SIZES = (2**30, 2**25)


def prepare_process() -> None:
    """One thread unless more are asked for, threads that wait without spinning, and an allocator that keeps freed memory.

    Handing the short operations of small batches from thread to thread costs more than it gains: on two idle cores a
    training step of ``htnet`` on eight ethanols took 104 ms on one thread and 346 ms on two (130 ms where they spin).

    A model allocates and frees the same large arrays in every step. By default glibc returns each of them to the system and
    pays for a page fault per 4 kB when it asks for it again. Idle OpenMP threads spin by default, which stalls all of them
    as soon as another process wants a core. What the user has set in the environment is left alone, and
    ``HERMTK_DEFAULT_MALLOC=1`` leaves the allocator alone.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if not _allocator_is_chosen():
        _keep_freed_memory()


def _allocator_is_chosen() -> bool:
    own = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES", "LD_PRELOAD")
    return os.environ.get("HERMTK_DEFAULT_MALLOC") == "1" or any(name in os.environ for name in own)


def _keep_freed_memory() -> bool:
    """Whether the thresholds could be set: only glibc has them."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return any(mallopt(_MMAP_THRESHOLD, size) for size in _MMAP_SIZES) and bool(
        mallopt(_TRIM_THRESHOLD, _KEEP_ALL)
    )
