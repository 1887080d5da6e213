"""Memory of this process and what the machine has left, as far as the system says."""

import resource
import sys
from dataclasses import dataclass
from pathlib import Path

import torch

_STATUS = Path("/proc/self/status")
_MACHINE = Path("/proc/meminfo")
_GROUP = Path("/sys/fs/cgroup")
# what allocators say where they raise no error of their own; others name the call that failed
_SIGNS = ("out of memory", "not enough memory", "can't allocate memory", "bad_alloc", "alloc_failed")


@dataclass(frozen=True)
class Before:
    """What a process needed before it forked.

    Attributes:
        files: resident bytes of libraries: a fork finds them again as it uses them, while a run has them all.
        data: resident bytes that reading data took; None where the system does not say.
        limit: the most resident bytes that a run can have; None likewise.
    """

    files: int = 0
    data: int | None = None
    limit: int | None = None

    def peak(self) -> int:
        """The most resident bytes of this process until now."""
        if not _STATUS.is_file():
            unit = 1 if sys.platform == "darwin" else 1024
            return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return of_process("VmHWM") + max(0, self.files - of_process("RssFile"))


def of_process(name: str) -> int:
    """Bytes by their name in Linux's list (VmRSS, VmHWM, VmData, RssFile); 0 elsewhere."""
    return _line_of(_STATUS, name) if _STATUS.is_file() else 0


def available() -> int | None:
    """Bytes that can still be had on this machine, or in this container; None where the system does not say."""
    if not _MACHINE.is_file():
        return None
    found = _line_of(_MACHINE, "MemAvailable")
    try:
        most, used = (int((_GROUP / name).read_text()) for name in ("memory.max", "memory.current"))
    # no limit (the word ``max``), or groups of another kind
    except (OSError, ValueError):
        return found
    return min(found, max(most - used, 0))


def bound(free: int) -> None:
    """Let this process and its forks have ``free`` bytes more, so that it has an error where others would be killed for it."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    soft = of_process("VmData") + free
    resource.setrlimit(
        resource.RLIMIT_DATA, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard)
    )


def device_peak(device: torch.device) -> int | None:
    """The most bytes that torch's allocator has given out on CUDA; None elsewhere."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None


def device_limit(device: torch.device) -> int | None:
    """All memory of a CUDA device; None elsewhere."""
    return torch.cuda.get_device_properties(device).total_memory if device.type == "cuda" else None


def out_of_memory(problem: BaseException) -> bool:
    """Whether an error says that memory ran out, on a GPU or in the main memory."""
    if isinstance(problem, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(problem, RuntimeError) and any(sign in str(problem).lower() for sign in _SIGNS)


def gib(n: int) -> str:
    """Bytes in words: ``1.3 GiB``, ``240 MiB``."""
    return f"{n / 2**30:.3g} GiB" if n >= 2**30 else f"{n / 2**20:.3g} MiB"


def is_shortage(problem: Exception) -> bool:
    """Whether an exception says that there was not enough memory."""
    # the system itself refuses in these words
    return out_of_memory(problem) or "allocate memory" in str(problem)


def _line_of(path: Path, name: str) -> int:
    lines = (line.split() for line in path.read_text(encoding="utf-8").splitlines())
    return next(1024 * int(words[1]) for words in lines if words[0] == f"{name}:")
