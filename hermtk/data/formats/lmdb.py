"""ASE databases in LMDB, as fairchem writes and reads them."""

import hashlib
import json
import subprocess
import sys
import zlib
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from hermtk.data.assemble import assemble
from hermtk.data.formats import _json, _lmdb_child
from hermtk.data.formats.base import Format
from hermtk.data.structure import Structure
from hermtk.errors import DataError
from hermtk.units import Units

# what a row may hold beside its labels
BESIDE = ("tags", "initial_magmoms", "initial_charges", "momenta", "masses", "magmoms", "charges", "dipole")
# a stress is symmetric to rounding
SKEW = 1e-6
# structures of one transaction
BATCH = 1000
# bytes that the file may grow to at first; doubled whenever they are full
SPACE = 1 << 28
# how much longer than its packed form a row may be, and how long in any case; beyond it is a bomb
EXPANSION, ALWAYS, LARGEST = 100, 1 << 22, 1 << 28


class LMDB(Format):
    """ASE databases in LMDB, as fairchem has them, in eV and Angstrom by definition.

    A row per structure under the keys ``1``, ``2`` ...: zlib-compressed JSON of an ASE row. ``nextid`` holds the number of
    the next row, ``metadata`` and ``deleted_ids`` may be there. Older files of fairchem hold pickled objects instead, which could
    run code: they are refused.
    """

    suffixes: ClassVar[tuple[str, ...]] = (".aselmdb", ".lmdb")

    def read(self, path: Path, units: Units | None = None) -> Iterator[Structure]:
        if units not in (None, Units()):
            raise DataError(f"{path}: this database is in eV and Angstrom by definition; leave the units out")
        values = _values(path)
        (_, end), (_, deleted) = next(values), next(values)
        due = _following(0, gone := _gone(path, deleted))
        for frame, (number, packed) in enumerate(values):
            if end and number != due:
                raise DataError(f"{path} is damaged: row {due} is missing, row {number} follows")
            source = f"{path}:{frame}"
            yield _structure(source, _json.loads(source, _unpacked(source, packed)))
            due = _following(number, gone)
        if end and due != (announced := _value(f"{path} (nextid)", end)):
            raise DataError(f"{path} is damaged: the next row would be {due}, it says {announced}")

    def write(self, path: Path, structures: Iterable[Structure]) -> None:
        """Write batch by batch; of ``info``, what JSON can hold, under ``data``."""
        lmdb = _library()
        coming, number = enumerate(structures, start=1), 0
        try:
            with lmdb.open(str(path), subdir=False, lock=False, map_size=SPACE, meminit=False) as env:
                while batch := list(islice(coming, BATCH)):
                    number = batch[-1][0]
                    rows = [(b"%d" % key, _row(structure)) for key, structure in batch]
                    _put(env, [*rows, (b"nextid", _packed(number + 1))])
        except lmdb.Error as cause:
            raise OSError(str(cause)) from cause


def _library() -> Any:
    """The package lmdb.

    Raises:
        DataError: it is not installed; says how to.
    """
    try:
        import lmdb
    except ImportError:
        raise DataError('LMDB files need the package lmdb: pip install "hermtk[lmdb]"') from None
    return lmdb


def _values(path: Path) -> Iterator[tuple[int, bytes]]:
    """The values of a file by number, read by a process that may die of it.

    Raises:
        DataError: the file is damaged.
    """
    _library()
    # -P: nothing is imported from the folder of the script or the current one
    command = [sys.executable, "-P", _lmdb_child.__file__, str(path.absolute())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        try:
            while True:
                head = child.stdout.read(_lmdb_child.HEAD.size)
                if len(head) < _lmdb_child.HEAD.size:
                    break
                number, length = _lmdb_child.HEAD.unpack(head)
                if number == _lmdb_child.END:
                    return
                value = child.stdout.read(length)
                if len(value) < length:
                    break
                yield number, value
            said = child.stderr.read().decode("utf-8", "replace").strip()
        finally:
            child.kill()
    reason = (
        "reading it ended the process that did" if child.returncode < 0 or not said else said.splitlines()[-1]
    )
    raise DataError(f"{path} is damaged, or no LMDB file: {reason}")


def _following(number: int, gone: set[int]) -> int:
    """The number of the row after one."""
    number += 1
    while number in gone:
        number += 1
    return number


def _gone(path: Path, deleted: bytes) -> set[int]:
    """The numbers of rows that were deleted."""
    numbers = _value(f"{path} (deleted_ids)", deleted) if deleted else []
    if not isinstance(numbers, list) or not all(isinstance(number, int) for number in numbers):
        raise DataError(f"{path} is damaged: 'deleted_ids' should be a list of numbers")
    return set(numbers)


def _value(source: str, packed: bytes) -> Any:
    return _json.value(source, _unpacked(source, packed))


def _unpacked(source: str, packed: bytes) -> bytes:
    if packed[:1] == b"\x80":
        raise DataError(
            f"{source} is a pickled object, as older versions of fairchem wrote them: loading it could run code. Open it where "
            "you trust it, with the version that wrote it, and write the structures as an ASE database (.aselmdb) or extended XYZ"
        )
    room = min(LARGEST, max(ALWAYS, EXPANSION * len(packed)))
    unpacking = zlib.decompressobj()
    try:
        text = unpacking.decompress(packed, room)
    except zlib.error as cause:
        raise DataError(f"{source} is damaged, or no row of an ASE database: {cause}") from None
    if unpacking.unconsumed_tail:
        raise DataError(f"{source} unpacks to more than {room:,} bytes from {len(packed):,}: it is damaged")
    if not unpacking.eof:
        raise DataError(f"{source} is damaged: it ends early")
    return text


def _structure(source: str, row: dict[str, Any]) -> Structure:
    missing = [name for name in ("numbers", "positions") if name not in row]
    if missing:
        raise DataError(f"{source} is no row of an ASE database: it has no {' and no '.join(missing)}")
    info = {name: np.asarray(row[name]) for name in BESIDE if isinstance(row.get(name), list)}
    for part in ("data", "key_value_pairs"):
        values = row.get(part, {})
        if not isinstance(values, dict):
            raise DataError(f"{source}: {part!r} should be a dictionary, found {type(values).__name__}")
        info |= values
    return assemble(
        source,
        row["numbers"],
        row["positions"],
        cell=row.get("cell"),
        pbc=row.get("pbc", False),
        energy=row.get("energy", row.get("free_energy")),
        forces=row.get("forces"),
        stress=row.get("stress"),
        info=info,
    )


def _row(s: Structure) -> bytes:
    """The row of a structure, with plain lists, which both the older and the newer readers of fairchem understand."""
    row: dict[str, Any] = {
        "numbers": s.numbers.tolist(),
        "positions": s.positions.tolist(),
        "cell": s.cell.tolist(),
        "pbc": s.pbc.tolist(),
    }
    if s.energy is not None:
        row["energy"] = float(s.energy)
    if s.forces is not None:
        row["forces"] = s.forces.tolist()
    if s.stress is not None:
        row["stress"] = _voigt(s, s.stress)
    # ASE knows a row by this; made of what the row holds, so that the same structures make the same file
    row["unique_id"] = hashlib.md5(json.dumps(row).encode(), usedforsecurity=False).hexdigest()
    return _packed(
        row | {"ctime": 0.0, "mtime": 0.0, "user": "", "key_value_pairs": {}, "data": _json.kept(s.info)}
    )


def _voigt(s: Structure, stress: np.ndarray) -> list[float]:
    t = (stress + stress.T) / 2
    if np.abs(t - stress).max() > SKEW * np.abs(stress).max():
        raise DataError(
            f"{s.source or 'a structure'}: the stress is not symmetric, and this database has place for six of its numbers only; "
            "write .h5 or .npz"
        )
    return [float(t[i, j]) for i, j in ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))]


def _packed(value: Any) -> bytes:
    return zlib.compress(json.dumps(value).encode())


def _put(env: Any, rows: list[tuple[bytes, bytes]]) -> None:
    """Put rows in one transaction; a file that is full grows."""
    import lmdb

    while True:
        try:
            with env.begin(write=True) as txn:
                for key, value in rows:
                    txn.put(key, value)
                return
        except lmdb.MapFullError:
            env.set_mapsize(2 * env.info()["map_size"])
