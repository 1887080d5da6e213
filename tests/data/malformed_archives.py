"""Malformed archives and pickles: numpy, zip, HDF5, LMDB, trajectories, DeePMD's arrays."""

import io
import json
import pickle
import struct
import tempfile
import zipfile
import zlib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

# two geometries of two atoms, among three and one charges
QMMM = {
    "numbers": np.array([8, 1]),
    "qm_positions": np.arange(12.0).reshape(2, 2, 3),
    "n_mm": np.array([3, 1]),
    "mm_positions": np.arange(12.0).reshape(4, 3) + 20,
    "mm_charges": np.array([0.4, 0.4, -0.8, 1.0]),
    "energy": np.array([-1.0, -2.0]),
    "qm_forces": np.ones((2, 2, 3)),
    "mm_forces": -np.ones((4, 3)),
    "energy_vac": np.array([-0.5, -1.5]),
}
ONE = {"numbers": np.array([1]), "positions": np.zeros((2, 1, 3))}


class Trap:
    """Pickled, it makes a file when it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = str(mark)

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (self.mark, "w")


def pickled(trap: Path) -> bytes:
    """A pickle that creates ``trap`` when it is loaded."""
    return pickle.dumps(Trap(trap))


def contents(trap: Path) -> dict[str, bytes]:
    """Binary files by name."""
    hdf5 = _hdf5() if find_spec("h5py") else {}
    lmdb = _lmdb(trap) if find_spec("lmdb") else {}
    return {**_npz(trap), **_foreign(trap), **_trajectories(), **hdf5, **lmdb}


def npz(**arrays: Any) -> bytes:
    """An archive of arrays."""
    file = io.BytesIO()
    np.savez(file, allow_pickle=True, **arrays)
    return file.getvalue()


def zipped(members: dict[str, bytes], *, method: int = zipfile.ZIP_STORED) -> bytes:
    """An archive of raw members."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def npy(header: str, content: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    """A numpy array with a header of one's own."""
    text = header.encode("latin-1") + b"\n"
    return b"\x93NUMPY" + version + struct.pack("<H", len(text)) + text + content


def _announcing(shape: str, descr: str = "'<f8'") -> str:
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"


def systems(trap: Path) -> dict[str, tuple[str, bytes]]:
    """Arrays of a DeePMD system: name -> file and what it is replaced by."""
    coord, types = "set.000/coord.npy", "set.000/real_atom_types.npy"
    objects = io.BytesIO()
    np.save(objects, np.array([[Trap(trap)]], dtype=object), allow_pickle=True)
    return {
        "coord_pickle": (coord, pickled(trap)),
        "coord_objects": (coord, objects.getvalue()),
        "coord_huge": (coord, npy(_announcing("(1000000000000, 9)"), b"\0" * 72)),
        "coord_empty": (coord, npy(_announcing("(1000000000000, 0)"))),
        "coord_deep": (coord, npy("(" * 5000)),
        "coord_minus": (coord, npy("-" * 9000 + "1")),
        "coord_archive": (coord, npz(**ONE)),
        "coord_words": (coord, b"0 0 0"),
        "box_flat": ("set.000/box.npy", npy(_announcing("(2,)"), b"\0" * 16)),
        "types_of_atoms": (types, npy(_announcing("(2, 3)", "'<i8'"), struct.pack("<6q", *[2**62] * 6))),
        "types_negative": (types, npy(_announcing("(2, 3)", "'<i8'"), struct.pack("<6q", *[-7] * 6))),
        "types_reals": (types, npy(_announcing("(2, 3)"), b"\xff" * 48)),
    }


def _npz(trap: Path) -> dict[str, bytes]:
    ones = npy(_announcing("(1,)", "'<i8'"), b"\1" + b"\0" * 7)
    traps = np.array([Trap(trap)], dtype=object)
    headers = {
        "huge": _announcing("(1000000000, 1, 3)"),
        "overflow": _announcing("(4611686018427387904, 4, 3)"),
        "negative": _announcing("(-1, 1, 3)"),
        "empty_long": _announcing("(1000000000000, 0, 3)"),
        "wide_type": _announcing("(1, 1, 3)", "'|V1000000000'"),
        "no_type": _announcing("(1000000000000, 1, 3)", "'|V0'"),
        "object": _announcing("(1, 1, 3)", "'|O'"),
        "code": "__import__('os').system('touch " + str(trap) + "')",
        "deep": "(" * 5000,
        "minus": "-" * 9000 + "1",
        "long": _announcing("(1, 1, 3)") + " " * 60000,
        "structured": _announcing("(1, 1, 3)", "[('a', '<f8'), ('b', '|O')]"),
        "no_shape": "{'descr': '<f8'}",
        "true": _announcing("(True, 1, 3)"),
    }
    found = {
        f"{name}.npz": zipped({"numbers.npy": ones, "positions.npy": npy(header)})
        for name, header in headers.items()
    }
    for key in ("numbers", "positions", "energy", "n_atoms", "extra"):
        found[f"pickled_{key}.npz"] = npz(**{**ONE, key: traps})
    for key in ("nuclear_charges", "coords"):
        found[f"pickled_{key}.npz"] = npz(
            **{"nuclear_charges": [1], "coords": np.zeros((1, 1, 3)), key: traps}
        )
    rows = {"numbers": np.array([1, 8]), "positions": np.arange(6.0).reshape(2, 3)}
    wrong: dict[str, dict[str, Any]] = {
        "counts_overflow": {**rows, "n_atoms": np.array([2**63 - 1, 2**63 - 1, 4], dtype=np.uint64)},
        "counts_wrap": {**rows, "n_atoms": np.array([2**62, 2**62, 2**62, 2**62, 2])},
        "counts_negative": {**rows, "n_atoms": np.array([-2, 4])},
        "counts_nan": {**rows, "n_atoms": np.array([np.nan, 2])},
        "counts_none": {**rows, "n_atoms": np.array(2)},
        "numbers_nan": {**rows, "numbers": np.array([np.nan, 1.0]), "n_atoms": np.array([2])},
        "numbers_inf": {**rows, "numbers": np.array([np.inf, 1.0]), "n_atoms": np.array([2])},
        "numbers_large": {**rows, "numbers": np.array([1e300, 1.0]), "n_atoms": np.array([2])},
        "numbers_119": {**rows, "numbers": np.array([119, 1]), "n_atoms": np.array([2])},
        "numbers_words": {**rows, "numbers": np.array(["H", "O"]), "n_atoms": np.array([2])},
        "numbers_square": {**rows, "numbers": np.ones((2, 2)), "n_atoms": np.array([2])},
        "numbers_scalar": {"numbers": np.array(1), "positions": np.zeros((2, 1, 3))},
        "positions_scalar": {**ONE, "positions": np.array(0.0)},
        "positions_complex": {**ONE, "positions": np.zeros((2, 1, 3), dtype=complex)},
        "positions_dates": {**ONE, "positions": np.zeros((2, 1, 3), dtype="datetime64[s]")},
        "positions_large": {**ONE, "positions": np.full((2, 1, 3), 1e308)},
        "cell_scalar": {**ONE, "cell": np.array(3.0)},
        "cell_nan": {**ONE, "cell": np.full((2, 3, 3), np.nan), "pbc": np.ones(3, dtype=bool)},
        "pbc_words": {**ONE, "pbc": np.array(["a", "b", "c"]), "cell": np.zeros((3, 3))},
        "energy_words": {**ONE, "energy": np.array(["a", "b"])},
        "energy_rows": {**ONE, "energies": np.zeros(7)},
        "stress_shape": {**ONE, "stress": np.zeros((2, 5))},
        "structures_none": {
            "n_atoms": np.zeros(0, dtype=int),
            "numbers": np.zeros(0),
            "positions": np.zeros((0, 3)),
        },
    }
    molecule = {"z": np.array([8, 1]), "R": np.arange(12.0).reshape(2, 2, 3)}
    units = {"e_unit": np.array("eV"), "r_unit": np.array("Ang")}
    wrong |= {
        "unit_empty": {**molecule, **units, "e_unit": np.array([], dtype=str)},
        "unit_bytes": {**molecule, **units, "e_unit": np.array(b"\xff\xfe")},
        "unit_number": {**molecule, **units, "r_unit": np.array(3.5)},
        "lattice_words": {**molecule, **units, "lattice": np.array(["a", "b"])},
        "lattice_shape": {**molecule, **units, "lattice": np.ones((2, 3))},
        "lattice_nan": {**molecule, **units, "lattice": np.full((3, 3), np.nan)},
        "sgdml_scalar": {**units, "z": np.array(1), "R": np.array(1.0)},
        "sgdml_none": {**units, "z": np.zeros(0), "R": np.zeros((0, 0, 3))},
        "sgdml_energy": {**molecule, **units, "E": np.zeros((2, 3))},
        "sgdml_forces": {**molecule, **units, "F": np.array(["a", "b"])},
    }
    wrong |= {
        "charges_missing": {name: values for name, values in QMMM.items() if name != "mm_charges"},
        "charges_counts": {**QMMM, "n_mm": np.array([3, 2])},
        "charges_negative": {**QMMM, "n_mm": np.array([5, -1])},
        "charges_wrap": {**QMMM, "n_mm": np.array([2**62, 2**62])},
        "charges_words": {**QMMM, "mm_charges": np.array(["a", "b", "c", "d"])},
        "charges_nan": {**QMMM, "mm_positions": np.full((4, 3), np.nan)},
        "charges_numbers": {**QMMM, "numbers": np.array(8)},
        "charges_forces": {**QMMM, "qm_forces": np.ones((2, 3, 3))},
    }
    found |= {f"{name}.npz": npz(**arrays) for name, arrays in wrong.items()}
    whole = npz(**ONE)
    bomb = _deflated(400 * 2**20)
    return {
        **found,
        "pickle.npz": pickled(trap),
        "pickle.npy.npz": zipped({"numbers.npy": pickled(trap), "positions.npy": pickled(trap)}),
        "text.npz": zipped({"numbers.npy": b"1 2 3", "positions.npy": b"0 0 0"}),
        "members.npz": zipped({"numbers": b"1", "positions": b"2"}),
        "twice.npz": whole + whole[:100],
        "bomb.npz": _archive("positions.npy", bomb, 400 * 2**20),
        "bomb_that_lies.npz": _archive("positions.npy", bomb, 200),
        "encrypted.npz": _patched(whole, 6, b"\x01\x00"),
        "method.npz": _patched(whole, 8, b"\x63\x00"),
        "lzma.npz": zipped({"numbers.npy": ones, "positions.npy": ones}, method=zipfile.ZIP_LZMA)[:-30],
        "version.npz": zipped(
            {"numbers.npy": ones, "positions.npy": npy(_announcing("(1, 1, 3)"), version=b"\x09\x00")}
        ),
    }


def _deflated(size: int) -> bytes:
    """Zeros, deflated: one block repeated, for deflating them all takes long."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(b"\0" * 2**20) + packer.flush(zlib.Z_FULL_FLUSH)
    return block * (size // 2**20) + packer.flush()


def _archive(name: str, packed: bytes, size: int) -> bytes:
    """A zip of 'numbers.npy' and one member of deflated bytes that says it has ``size``."""
    raw = zipped({"numbers.npy": npy(_announcing("(1,)", "'<i8'"), b"\1" + b"\0" * 7), name: packed})
    fields = struct.pack("<HHHH", 20, 0, 8, 0), struct.pack("<II", len(packed), size)
    out = bytearray(raw)
    local, central = raw.rindex(b"PK\3\4"), raw.rindex(b"PK\1\2")
    out[local + 8 : local + 10] = out[central + 10 : central + 12] = fields[0][4:6]
    out[local + 18 : local + 26] = out[central + 20 : central + 28] = fields[1]
    return bytes(out)


def _patched(archive: bytes, offset: int, value: bytes) -> bytes:
    """A zip with a field of its last member changed, given by its offset in the local header."""
    out = bytearray(archive)
    local, central = archive.rindex(b"PK\3\4"), archive.rindex(b"PK\1\2")
    out[local + offset : local + offset + len(value)] = value
    out[central + offset + 2 : central + offset + 2 + len(value)] = value
    return bytes(out)


def _foreign(trap: Path) -> dict[str, bytes]:
    """Code and pickles under the names of other formats."""
    code = f"open({str(trap)!r}, 'w')\n".encode()
    names = (
        "a.pckl",
        "a.pkl",
        "a.pickle",
        "b.traj",
        "b.db",
        "b.json",
        "b.xyz",
        "b.h5",
        "b.aselmdb",
        "b.gpw",
        "b.cif",
        "OUTCAR_pickle",
    )
    return {
        **{name: pickled(trap) for name in names},
        "a.py": code,
        "old.traj": b"PickleTrajectory" + pickled(trap),
        "a.bundle": pickled(trap),
        "b.vasprun.xml": pickled(trap),
    }


def _trajectories() -> dict[str, bytes]:
    """ASE's .traj: a magic word, a tag, version, items and the place of their offsets, then JSON by item."""

    def traj(text: str, *, items: int = 1, place: int = 48, tag: bytes = b"ASE-Trajectory") -> bytes:
        head = b"- of Ulm" + tag.ljust(16) + struct.pack("<qqq", 3, items, place)
        return head + struct.pack("<q", 56) + struct.pack("<q", len(text)) + text.encode()

    good = {"version": 1, "ase_version": "3.29.0", "pbc": [True] * 3, "cell": np.eye(3).tolist()}
    array = {"ndarray": [[1000000000, 3], "float64", 56]}
    bomb = {"__ndarray__": [[200000000], "int64", [1]]}
    texts = {
        "array": json.dumps({**good, "numbers.": array, "positions.": array}),
        "broadcast": json.dumps({**good, "numbers": bomb, "positions": [[0, 0, 0]]}),
        "object": json.dumps({**good, "numbers.": {"ndarray": [[1], "object", 0]}, "positions": [[0, 0, 0]]}),
        "words": json.dumps({**good, "numbers": "H", "positions": "here"}),
        "constraint": json.dumps(
            {**good, "numbers": [1], "positions": [[0, 0, 0]], "constraints": '[{"name": "os"}]'}
        ),
        "formula": json.dumps({**good, "numbers": "H999999999", "positions": [[0, 0, 0]]}),
        "deep": "[" * 100_000,
        "empty": "{}",
    }
    return {
        **{f"made_{name}.traj": traj(text) for name, text in texts.items()},
        "items.traj": traj("{}", items=2**40),
        "items_negative.traj": traj("{}", items=-5),
        "place.traj": traj("{}", place=2**50),
        "tag.traj": traj("{}", tag=b"gpaw"),
        "length.traj": traj(texts["empty"])[:56] + struct.pack("<q", 2**50),
    }


def _hdf5() -> dict[str, bytes]:
    import h5py

    def made(fill: Any) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            with h5py.File(Path(folder) / "a.h5", "w") as file:
                fill(file)
            return (Path(folder) / "a.h5").read_bytes()

    def external(file: Any) -> None:
        file["particles"] = h5py.ExternalLink("/etc/hostname", "/")

    def loop(file: Any) -> None:
        file["particles"] = h5py.SoftLink("/particles")

    def huge(file: Any) -> None:
        file.create_dataset(
            "particles/atoms/position/value", shape=(10**12, 1, 3), chunks=(1024, 1, 3), dtype="f8"
        )
        file.create_dataset("particles/atoms/species", shape=(10**12,), chunks=(1024,), dtype="i8")

    def words(file: Any) -> None:
        file["particles/atoms/position/value"] = "here"
        file["particles/atoms/species"] = "H"

    return {f"{fill.__name__}.h5": made(fill) for fill in (external, loop, huge, words)}


def _lmdb(trap: Path) -> dict[str, bytes]:
    import lmdb

    def made(value: bytes) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            place = str(Path(folder) / "a")
            with (
                lmdb.open(place, subdir=False, lock=False, map_size=2**22) as env,
                env.begin(write=True) as transaction,
            ):
                transaction.put(b"1", value)
                transaction.put(b"nextid", zlib.compress(b"2"))
            return Path(place).read_bytes()

    row = {"numbers": [1], "positions": [[0, 0, 0]], "cell": np.zeros((3, 3)).tolist(), "pbc": [False] * 3}
    packed = {
        "pickle": pickled(trap),
        "packed_pickle": zlib.compress(pickled(trap)),
        "bomb": zlib.compress(b"[" + b"0," * 150_000_000 + b"0]", 1),
        "deep": zlib.compress(b"[" * 200_000),
        "array": zlib.compress(
            json.dumps({**row, "numbers": {"__ndarray__": [[10**9], "int64", [1]]}}).encode()
        ),
        "words": zlib.compress(json.dumps({**row, "positions": "here"}).encode()),
        "null": zlib.compress(b"null"),
        "plain": json.dumps(row).encode(),
    }
    return {f"{name}.aselmdb": made(value) for name, value in packed.items()}
