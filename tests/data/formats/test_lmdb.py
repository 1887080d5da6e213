"""ASE databases in LMDB as fairchem has them: rows, what was deleted, what is damaged, and nothing unpickled."""

import json
import pickle
import sys
import zlib
from dataclasses import replace

import numpy as np
import pytest
from ase.db.row import AtomsRow
from test_dataset import disk_of

from hermtk.data.dataset import iterate_structures, read_structures, write_structures
from hermtk.data.formats import _lmdb_child
from hermtk.data.formats import lmdb as format
from hermtk.errors import DataError, RunError
from hermtk.units import Units

lmdb = pytest.importorskip("lmdb", reason="LMDB needs the package lmdb")

ROW = {"numbers": [8, 1], "positions": [[0, 0, 0], [0, 0, 1.0]], "cell": [[0.0] * 3] * 3, "pbc": [False] * 3}


def packed(value) -> bytes:
    return zlib.compress(json.dumps(value).encode())


def put(path, **entries: bytes):
    """A file with these entries, the names of numbers after an underscore."""
    with (
        lmdb.open(str(path), subdir=False, lock=False, map_size=1 << 26) as env,
        env.begin(write=True) as txn,
    ):
        for name, value in entries.items():
            txn.put(name.removeprefix("_").encode(), value)
    return path


def entries(path) -> dict[str, bytes]:
    with lmdb.open(str(path), subdir=False, lock=False, readonly=True) as env, env.begin() as txn:
        return {key.decode(): value for key, value in txn.cursor()}


def test_rows_are_those_of_ase(tmp_path, crystal):
    write_structures(tmp_path / "a.aselmdb", [crystal, crystal])
    found = entries(tmp_path / "a.aselmdb")
    assert set(found) == {"1", "2", "nextid"}
    assert zlib.decompress(found["nextid"]) == b"3"
    row = AtomsRow(json.loads(zlib.decompress(found["1"])) | {"id": 1})
    atoms = row.toatoms()
    assert atoms.get_potential_energy() == crystal.energy
    assert np.array_equal(atoms.get_forces(), crystal.forces)
    assert np.array_equal(atoms.get_stress(voigt=False), crystal.stress)
    assert np.array_equal(atoms.cell.array, crystal.cell)
    assert row.data == crystal.info
    assert [file.name for file in tmp_path.iterdir()] == ["a.aselmdb"]


def test_the_same_structures_make_the_same_file(tmp_path, crystal, water):
    for name in ("a.lmdb", "b.lmdb"):
        write_structures(tmp_path / name, [crystal, water])
    assert entries(tmp_path / "a.lmdb") == entries(tmp_path / "b.lmdb")


def test_rows_come_in_the_order_of_their_numbers(tmp_path, water, monkeypatch):
    monkeypatch.setattr(format, "BATCH", 4)
    given = [replace(water, energy=float(k)) for k in range(25)]
    write_structures(tmp_path / "a.lmdb", iter(given))
    found = read_structures(tmp_path / "a.lmdb")
    assert [s.energy for s in found] == [s.energy for s in given]
    assert found[24].source == f"{tmp_path / 'a.lmdb'}:24"


def test_a_file_grows_as_it_has_to(tmp_path, water, monkeypatch):
    monkeypatch.setattr(format, "SPACE", 1 << 14)
    write_structures(tmp_path / "a.lmdb", [water] * 300)
    assert len(read_structures(tmp_path / "a.lmdb")) == 300


def test_rows_of_the_other_kinds_of_fairchem_are_read(tmp_path):
    array = {"__ndarray__": [[2], "int64", [8, 1]]}
    beside = {
        "data": {"sid": "x", "q": {"__ndarray__": [[1], "float64", [0.5]]}},
        "key_value_pairs": {"a": 1},
        "tags": [1, 2],
    }
    put(
        tmp_path / "a.aselmdb",
        _1=packed(ROW | {"numbers": array, "cell": {"__ndarray__": [[3, 3], "float64", [2.0] * 9]}} | beside),
        _2=packed(ROW | {"free_energy": -2.0}),
        _4=packed(ROW | {"energy": -4.0, "forces": [[0, 0, 1], [0, 0, -1]], "stress": [1, 2, 3, 4, 5, 6]}),
        nextid=packed(5),
        deleted_ids=packed([3]),
        metadata=packed({"format": "x"}),
    )  # fmt: skip
    first, second, fourth = read_structures(tmp_path / "a.aselmdb")
    assert first.numbers.tolist() == [8, 1]
    assert {key: np.asarray(value).tolist() for key, value in first.info.items()} == {
        "sid": "x", "q": [0.5], "a": 1, "tags": [1, 2]
    }  # fmt: skip
    assert (second.energy, fourth.energy) == (-2.0, -4.0)
    assert fourth.source == f"{tmp_path / 'a.aselmdb'}:2"
    assert fourth.stress.tolist() == [[1, 6, 5], [6, 2, 4], [5, 4, 3]]


class Runs:
    """What would run code if it was unpickled."""

    def __reduce__(self):
        return (exec, ("raise SystemExit('code was run')",))


DEEP = zlib.compress(b"[" * 100_000)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"_0": pickle.dumps(Runs()), "length": pickle.dumps(1)}, r"a.lmdb:0 is a pickled object, as older versions"),
        ({"_1": zlib.compress(pickle.dumps(Runs()))}, "not the JSON it should be"),
        ({"_1": b"nonsense"}, "is damaged, or no row of an ASE database"),
        ({"_1": packed(ROW)[:-9]}, "it ends early"),
        ({"_1": zlib.compress(b" " * 10**8)}, "unpacks to more than 9,"),
        ({"_1": DEEP}, "not the JSON it should be"),
        ({"_1": packed([1])}, "expected a dictionary, found list"),
        ({"_1": packed({"positions": []})}, "it has no numbers"),
        ({"_1": packed(ROW | {"data": [1]})}, "'data' should be a dictionary, found list"),
        ({"_1": packed(ROW | {"forces": [1.0]})}, r"forces of 2 atoms should have shape \(2, 3\)"),
        ({"_1": packed(ROW | {"positions": {"__ndarray__": [[10**12, 3], "float64", []]}})}, "with 0 values"),
        ({"_1": packed(ROW | {"numbers": {"__ndarray__": [[2], "O", ["a", "b"]]}})}, "atomic numbers should be numbers"),
        ({"_1": packed(ROW), "_3": packed(ROW), "nextid": packed(4)}, "row 2 is missing, row 3 follows"),
        ({"_1": packed(ROW), "nextid": packed(3)}, "the next row would be 2, it says 3"),
        ({"_1": packed(ROW), "nextid": packed(2), "deleted_ids": packed("x")}, "'deleted_ids' should be a list"),
        ({"nextid": packed(1)}, r"holds no structures \(read as lmdb\)"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_and_nothing_is_run(tmp_path, content, said):
    put(tmp_path / "a.lmdb", **content)
    with pytest.raises(DataError, match=said):
        read_structures(tmp_path / "a.lmdb")


@pytest.mark.parametrize("keep", [100, 4096, 8192, 20_000])
def test_a_cut_file_is_damaged_and_not_the_end_of_the_process(tmp_path, water, keep):
    write_structures(tmp_path / "a.lmdb", [water] * 100)
    whole = (tmp_path / "a.lmdb").read_bytes()
    assert len(whole) > 30_000
    (tmp_path / "a.lmdb").write_bytes(whole[:keep])
    with pytest.raises(DataError, match=r"a.lmdb is damaged, or no LMDB file"):
        read_structures(tmp_path / "a.lmdb")


def test_the_process_that_reads_imports_nothing_from_where_it_runs(tmp_path, water, monkeypatch):
    write_structures(tmp_path / "a.lmdb", [water])
    (tmp_path / "struct.py").write_text("raise SystemExit('code was run')")
    (tmp_path / "lmdb.py").write_text("raise SystemExit('code was run')")
    monkeypatch.chdir(tmp_path)
    assert len(read_structures("a.lmdb")) == 1


def test_a_reader_that_is_left_ends_its_process(tmp_path, water, monkeypatch):
    children = []
    popen = format.subprocess.Popen
    monkeypatch.setattr(
        format.subprocess, "Popen", lambda *a, **k: children.append(popen(*a, **k)) or children[0]
    )
    write_structures(tmp_path / "a.lmdb", [water] * 5000)
    coming = iterate_structures(tmp_path / "a.lmdb")
    next(coming)
    assert children[0].poll() is None
    coming.close()
    assert children[0].poll() is not None


def test_a_process_that_dies_is_a_damaged_file(tmp_path, water, monkeypatch):
    write_structures(tmp_path / "a.lmdb", [water])
    (tmp_path / "dies.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGBUS)\n")
    monkeypatch.setattr(_lmdb_child, "__file__", str(tmp_path / "dies.py"))
    with pytest.raises(DataError, match="reading it ended the process that did"):
        read_structures(tmp_path / "a.lmdb")


def test_a_stress_that_is_not_symmetric_is_refused(tmp_path, crystal):
    skew = replace(crystal, stress=crystal.stress + np.triu(np.full((3, 3), 1e-3), 1))
    with pytest.raises(DataError, match="the stress is not symmetric"):
        write_structures(tmp_path / "a.lmdb", [skew])
    assert list(tmp_path.iterdir()) == []


def test_units_are_not_for_it_to_be_told(tmp_path, water):
    write_structures(tmp_path / "a.lmdb", [water])
    with pytest.raises(DataError, match="in eV and Angstrom by definition"):
        read_structures(tmp_path / "a.lmdb", units=Units(energy="Ha"))


def test_without_the_package_the_error_says_what_to_install(tmp_path, water, monkeypatch):
    write_structures(tmp_path / "a.lmdb", [water])
    monkeypatch.setitem(sys.modules, "lmdb", None)
    with pytest.raises(DataError, match=r'pip install "hermtk\[lmdb\]"'):
        read_structures(tmp_path / "a.lmdb")


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, crystal):
    write_structures(tmp_path / "a.lmdb", [crystal])
    before = (tmp_path / "a.lmdb").read_bytes()
    with disk_of(30_000), pytest.raises(RunError, match=r"a.lmdb could not be written"):
        write_structures(tmp_path / "a.lmdb", [crystal] * 2000)
    assert [file.name for file in tmp_path.iterdir()] == ["a.lmdb"]
    assert (tmp_path / "a.lmdb").read_bytes() == before
