"""Writing without half-written files: beside the place, then renamed."""

import io
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hermtk.errors import RunError

# the names that tempfile gives
_BESIDE = re.compile(r"\.[a-z0-9_]{8}(\.\w+)?")


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


def make_folder(folder: Path) -> None:
    """Make a folder, with those above it, unless it is there.

    Raises:
        RunError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise RunError(f"the folder {folder} could not be made: {problem.strerror}") from None


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


def tidy(folder: Path) -> None:
    """Remove what ``replacing`` leaves in a folder when the process is killed in its block."""
    for path in folder.glob(".*"):
        if _BESIDE.fullmatch(path.name) and path.is_file():
            path.unlink(missing_ok=True)


def write_tensors(path: Path, content: Mapping[str, Any]) -> None:
    """Write plain values and tensors at once or not at all.

    Raises:
        RunError: as ``replacing``.
    """
    import torch

    # torch tells a full disk as an error of its own
    buffer = io.BytesIO()
    torch.save(content, buffer)
    with replacing(path) as beside:
        beside.write_bytes(buffer.getbuffer())


def write_text(path: Path, text: str) -> None:
    """Write a text file at once or not at all.

    Raises:
        RunError: as ``replacing``.
    """
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8")
