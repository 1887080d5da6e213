"""Who works in a folder: locks of the system, which go with the processes that hold them."""

import fcntl
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from hermtk.errors import RunError

NAME = "running.lock"
# the first step of a compiled model takes up to three minutes, and is not interrupted
_PATIENCE = 200.0


@contextmanager
def holding(folder: Path, note: Callable[[str], None]) -> Iterator[tuple[int, ...]]:
    """Inside the block no other study works in the folder.

    The lock belongs to the open file, and so to every process that has inherited it: given the descriptors that this yields
    (none where the file system has no locks), runs that outlive a killed study keep the next one out until they have ended.

    Args:
        folder: is made if it is not there.
        note: told in one line when it has to wait, or cannot lock.

    Raises:
        RunError: another study works there (names its process), or runs of one that was killed; or nothing can be written there.
    """
    path = folder / NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as problem:
        raise RunError(f"{path} could not be written: {problem.strerror}") from None
    try:
        locked = _take(handle, path, note)
        _write(handle, json.dumps(_ourselves()))
        yield (handle,) if locked else ()
        _write(handle, "")
        if locked:
            fcntl.flock(handle, fcntl.LOCK_UN)
    finally:
        os.close(handle)


@contextmanager
def waiting_for(path: Path) -> Iterator[tuple[int, ...]]:
    """Inside the block no one else holds the file, on any machine that sees it; waits as long as someone does."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield (handle,)
    finally:
        os.close(handle)


def _take(handle: int, path: Path, note: Callable[[str], None]) -> bool:
    """Whether it is locked; waits for the runs of a study that was killed."""
    end = 0.0
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            owner = _read(path)
        except OSError as problem:
            note(f"{path} cannot be locked ({problem.strerror}): do not start this study twice at once")
            return False
        if owner and _lives(owner):
            raise RunError(
                f"process {owner['pid']} on {owner['host']} works on the study in {path.parent} since {owner['since']}: wait "
                "for it, or interrupt it"
            )
        if not end:
            end = time.monotonic() + _PATIENCE
            note(f"a study in {path.parent} was killed; waiting for its runs to save themselves")
        elif time.monotonic() > end:
            raise RunError(
                f"runs of a study that was killed still go on in {path.parent}: wait for them, or end them (`fuser -v {path}` "
                "names them)"
            )
        time.sleep(0.1)


def _ourselves() -> dict[str, Any]:
    return {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.now().isoformat(" ", timespec="seconds"),
    }


def _read(path: Path) -> dict[str, Any]:
    """Who holds it; empty while they write it."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return {}


def _write(handle: int, text: str) -> None:
    os.ftruncate(handle, 0)
    os.pwrite(handle, text.encode(), 0)


def _lives(owner: dict[str, Any]) -> bool:
    """Whether a process is there, as far as can be seen from this machine."""
    if owner["host"] != socket.gethostname():
        return True
    try:
        os.kill(owner["pid"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
