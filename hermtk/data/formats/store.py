"""Stores: folders of plain arrays for sets that are larger than memory."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import ClassVar

from hermtk.data.formats.base import Format
from hermtk.data.store import SUFFIX, Store, is_store
from hermtk.data.storing import filling
from hermtk.data.structure import Structure
from hermtk.errors import DataError
from hermtk.units import Units


class StoreFormat(Format):
    """A folder ``NAME.store`` of memory-mapped arrays, in eV and Angstrom, every value to the last bit.

    Of ``info`` it keeps numbers, words, arrays of numbers, and lists and mappings of those; what else there is is left out and
    counted in its ``meta.json``. ``source`` is the place in the store; ``Store.origin`` knows the one before.
    """

    suffixes: ClassVar[tuple[str, ...]] = (SUFFIX,)
    folder: ClassVar[bool] = True

    @classmethod
    def recognises(cls, path: Path) -> bool:
        return is_store(path)

    def read(self, path: Path, units: Units | None = None) -> Iterator[Structure]:
        if units not in (None, Units()):
            raise DataError(f"{path}: a store is in eV and Angstrom by definition; leave its units out")
        store = Store(path)
        store.verify()
        yield from store

    def write(self, path: Path, structures: Iterable[Structure]) -> None:
        """Write structures with their labels, in memory that does not grow."""
        with filling(path) as store:
            for structure in structures:
                store.add(structure)
