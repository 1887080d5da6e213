"""Data sets that have a name: given in the place of a file."""

from collections.abc import Callable
from pathlib import Path

from hermtk.data.dataset import builtin_path
from hermtk.data.formats.qm9 import qm9_path

NAMED: dict[str, Callable[[], Path]] = {"builtin": builtin_path, "qm9": qm9_path}


def data_path(name: Path | str) -> Path:
    """The file or folder of ``builtin`` or ``qm9``, unless there is one of that very name; of other names, the name itself.

    Raises:
        DataError: the data set comes with a package that is not installed.
    """
    path = Path(name)
    if str(name) in NAMED and not path.exists():
        return NAMED[str(name)]()
    return path
