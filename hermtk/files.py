"""Writing without half-written files: beside the place, then renamed."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hermtk.errors import RunError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path beside ``path`` to write to; it takes the place of ``path`` when the block ends well, else it is removed.

    Raises:
        RunError: the disk is full, the folder is missing or cannot be written.
    """
    beside = None
    try:
        handle, name = tempfile.mkstemp(prefix=".", suffix=path.suffix, dir=path.parent)
        os.close(handle)
        beside = Path(name)
        yield beside
        with beside.open("rb") as written:
            os.fsync(written.fileno())
        beside.chmod(0o644)
        os.replace(beside, path)
    except OSError as problem:
        raise RunError(f"{path} could not be written: {problem.strerror or problem}") from problem
    finally:
        if beside is not None:
            beside.unlink(missing_ok=True)


@contextmanager
def making(folder: Path) -> Iterator[Path]:
    """A folder beside ``folder`` to fill; it becomes ``folder`` when the block ends well, else it is removed.

    Raises:
        RunError: ``folder`` exists, the disk is full, or its place is missing or cannot be written.
    """
    if folder.exists() or folder.is_symlink():
        raise RunError(f"{folder} exists: choose another place, or move it away")
    beside = None
    try:
        beside = Path(tempfile.mkdtemp(prefix=".", dir=folder.parent))
        yield beside
        beside.chmod(0o755)
        beside.rename(folder)
    except OSError as problem:
        raise RunError(f"{folder} could not be written: {problem.strerror or problem}") from problem
    finally:
        if beside is not None:
            shutil.rmtree(beside, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file at once or not at all.

    Raises:
        RunError: as ``replacing``.
    """
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8")
