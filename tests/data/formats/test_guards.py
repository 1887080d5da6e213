"""What readers of others' files are held in by."""

import gzip
import sqlite3
import sys

import numpy as np
import pytest
from ase import Atoms
from ase.io import write

from hermtk.data.checks import check_structure
from hermtk.data.dataset import read_structures
from hermtk.data.formats import _guards
from hermtk.data.formats.ase import REFUSED
from hermtk.data.structure import Structure
from hermtk.errors import DataError


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds the memory of a process")
def test_a_parser_is_stopped_where_it_takes_more_memory_than_a_file_can_need(tmp_path):
    import resource

    (tmp_path / "a").write_bytes(b"x" * 1000)
    before = resource.getrlimit(resource.RLIMIT_AS)
    with _guards.bounded_memory(tmp_path / "a"):
        assert len(bytearray(_guards.MEMORY // 2)) == _guards.MEMORY // 2
        with pytest.raises(MemoryError):
            bytearray(4 * _guards.MEMORY)
    assert resource.getrlimit(resource.RLIMIT_AS) == before
    assert len(bytearray(4 * _guards.MEMORY)) == 4 * _guards.MEMORY


def test_a_compressed_file_is_expanded_as_far_as_data_are(tmp_path, monkeypatch):
    monkeypatch.setattr(_guards, "HARMLESS", 2**20)
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"0" * 2**20))
    with _guards.opened(path) as file:
        assert len(file.read()) == 2**20
    # random digits are no bomb, however many they are
    digits = np.random.default_rng(0).integers(48, 58, 2**22, dtype=np.uint8).tobytes()
    path.write_bytes(gzip.compress(digits))
    with _guards.opened(path) as file:
        assert file.read() == digits
    path.write_bytes(gzip.compress(b"0" * 2**23))
    with pytest.raises(
        DataError, match=r"a.gz has .* bytes and would expand to more than .*, over 100 times"
    ):
        _guards.opened(path)


def test_a_compressed_archive_of_zeros_beside_numbers_is_no_bomb(tmp_path, monkeypatch):
    monkeypatch.setattr(_guards, "HARMLESS", 2**10)
    rng = np.random.default_rng(0)
    positions = 5 * rng.uniform(size=(300, 1, 3))
    np.savez_compressed(tmp_path / "a.npz", numbers=[1], positions=positions, cell=np.zeros((300, 3, 3)))
    assert len(read_structures(tmp_path / "a.npz")) == 300


def test_thousands_of_atoms_at_one_place_are_refused_without_listing_their_pairs():
    n = 30_000
    numbers, positions = np.ones(n, dtype=np.int64), np.zeros((n, 3))
    with pytest.raises(DataError, match=r"at one place, 0.0e\+00 Angstrom apart"):
        check_structure(Structure(numbers, positions))
    apart = np.stack(np.meshgrid(*[np.arange(32.0)] * 3), axis=-1).reshape(-1, 3)
    check_structure(Structure(np.ones(len(apart), dtype=np.int64), apart))


@pytest.mark.parametrize("where", ["positions", "cell"])
def test_coordinates_beyond_all_measure_are_refused(where):
    values = (
        {"positions": np.array([[0.0, 0.0, -1e12]])} if where == "positions" else {"cell": 1e200 * np.eye(3)}
    )
    structure = Structure(
        **{"numbers": np.array([1]), "positions": np.zeros((1, 3)), **values}, pbc=np.array([True] * 3)
    )
    with pytest.raises(DataError, match=r"reaches 1e\+(12|200) Angstrom, beyond 1e\+09"):
        check_structure(structure)


@pytest.mark.parametrize(
    ("kind", "file"), [("py", "a.py"), ("castep-cell", "a.cell"), ("bundletrajectory", "a")]
)
def test_what_ase_would_run_or_start_is_not_read(tmp_path, kind, file):
    assert kind in REFUSED
    path = tmp_path / file
    if kind == "bundletrajectory":
        path.mkdir()
    else:
        path.write_text("raise SystemExit\n", encoding="utf-8")
    with pytest.raises(DataError, match=rf"{file} is (not read as ASE's '{kind}'|a folder)"):
        read_structures(path, format="ase")


def test_a_database_of_others_is_refused_and_not_made_into_one_of_ase(tmp_path):
    with sqlite3.connect(tmp_path / "a.db") as connection:
        connection.execute("CREATE TABLE addresses (name)")
    connection.close()
    before = (tmp_path / "a.db").read_bytes()
    with pytest.raises(DataError, match=r"a.db is no database of ASE: it has no plain table 'systems'"):
        read_structures(tmp_path / "a.db")
    assert (tmp_path / "a.db").read_bytes() == before


@pytest.mark.parametrize("name", ["set@1.traj", "postgresql.traj", "mysql.traj"])
def test_a_name_is_the_name_of_a_file_and_nothing_else(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "plain.traj", [Atoms("H"), Atoms("He")])
    (tmp_path / "plain.traj").rename(tmp_path / name)
    assert [s.numbers.tolist() for s in read_structures(name)] == [[1], [2]]
