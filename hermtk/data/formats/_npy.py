"""Single numpy arrays of files, without running code from them and without taking their word for their size."""

from pathlib import Path

import numpy as np

from hermtk.errors import DataError

_BEGINNING = b"\x93NUMPY"


def opened(path: Path) -> np.ndarray:
    """The numbers of a ``.npy`` file, memory-mapped; a file that holds less than its head announces is refused.

    Raises:
        DataError: it is no such file, is cut, or holds anything but plain numbers.
    """
    with path.open("rb") as file:
        if file.read(len(_BEGINNING)) != _BEGINNING:
            raise DataError(f"{path} is no array of numbers (.npy), or it is damaged")
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError:
        raise
    # numpy evaluates the head as a literal, whose faults are of many kinds
    except Exception as cause:
        raise DataError(f"{path} cannot be read as an array of numbers, it may be cut: {cause}") from None
    if array.dtype.kind not in "iuf":
        raise DataError(f"{path} should be an array of numbers, found one of {array.dtype}")
    return array
