"""The contract of a file format: structures in, structures out."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import ClassVar

from hermtk.data.structure import Structure
from hermtk.errors import DataError
from hermtk.units import Units


class Format(ABC):
    """Reads (and, where the format allows, writes) structures.

    ``read`` yields structures in **our** units: a format that does not fix its units converts with ``units``; it refuses
    (``DataError``) when the file does not declare them and ``units`` is None.
    """

    suffixes: ClassVar[tuple[str, ...]] = ()
    # whether a data set of this format is a folder
    folder: ClassVar[bool] = False

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """Whether this format reads ``path``; the suffix decides unless a format looks inside."""
        return path.name.lower().endswith(cls.suffixes)

    @abstractmethod
    def read(self, path: Path, units: Units | None = None) -> Iterator[Structure]:
        """Yield every structure of the file in order, with ``source`` set to ``file:frame``.

        Raises:
            DataError: the file is damaged, names the frame.
        """

    def write(self, path: Path, structures: Iterable[Structure]) -> None:
        """Write structures with their labels, at least one; ``path`` is an empty folder where ``folder`` is true.

        Raises:
            DataError: the format cannot be written.
        """
        raise DataError(f"{type(self).__name__} files can be read, not written: {path}")
