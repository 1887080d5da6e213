"""Our layout in HDF5: ragged sets, block by block, and what a file may not do."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from test_dataset import disk_of

from hermtk.data.dataset import iterate_structures, read_structures, write_structures
from hermtk.data.formats import _hdf5_child, hdf5
from hermtk.errors import DataError, RunError
from hermtk.units import Units

h5py = pytest.importorskip("h5py", reason="HDF5 needs the package h5py")


@pytest.fixture
def written(tmp_path, water, crystal):
    """A file of two structures, to be spoiled."""
    write_structures(tmp_path / "a.h5", [water, crystal])
    return tmp_path / "a.h5"


def test_the_file_has_the_layout_that_is_documented(written, water, crystal):
    with h5py.File(written) as file:
        assert (file.attrs["layout"], file.attrs["version"]) == ("hermtk structures", 1)
        assert file["atoms/numbers"][()].tolist() == [8, 1, 1, 55, 17]
        assert np.array_equal(file["atoms/position"], [*water.positions, *crystal.positions])
        assert file["atoms/position"].attrs["unit"] == "Angstrom"
        assert file["structures/end"][()].tolist() == [3, 5]
        assert file["structures/labels"][()].tolist() == [[1, 1, 0], [1, 1, 1]]
        assert np.isnan(file["structures/stress"][0]).all()
        assert np.array_equal(file["structures/stress"][1], crystal.stress)
        start, end = file["info/end"][()]
        assert file["info/text"][start:end].tobytes() == b'{"group": "salt", "temperature": 300.0}'


def test_values_beside_the_labels_are_kept_where_json_can_hold_them(tmp_path, water):
    info = {
        "a": np.float32(0.5),
        "b": np.arange(6).reshape(2, 3),
        "c": ["x", 1],
        "d": True,
        "e": "\0é",
        "f": None,
    }
    write_structures(tmp_path / "a.h5", [replace(water, info=info | {"no": object(), "set": {1}})])
    (found,) = read_structures(tmp_path / "a.h5")
    assert set(found.info) == set(info)
    assert np.array_equal(found.info["b"], info["b"])
    assert found.info["b"].dtype == info["b"].dtype
    assert {key: found.info[key] for key in "acdef"} == {
        "a": 0.5,
        "c": ["x", 1],
        "d": True,
        "e": "\0é",
        "f": None,
    }


def test_sets_larger_than_a_block_are_written_and_read_in_blocks(tmp_path, water, crystal, monkeypatch):
    monkeypatch.setattr(hdf5, "BLOCK", 7)
    monkeypatch.setattr(hdf5, "ROWS", 6)
    given = [replace(s, energy=float(k)) for k in range(20) for s in (water, crystal)]
    write_structures(tmp_path / "a.h5", iter(given))
    found = read_structures(tmp_path / "a.h5")
    assert [s.energy for s in found] == [s.energy for s in given]
    assert all(np.array_equal(a.positions, b.positions) for a, b in zip(found, given, strict=True))
    assert found[-1].source == f"{tmp_path / 'a.h5'}:39"


def test_a_file_is_not_read_whole(tmp_path, water, monkeypatch):
    monkeypatch.setattr(hdf5, "BLOCK", 10)
    write_structures(tmp_path / "a.h5", [water] * 1000)
    read = []
    slices = hdf5._slices
    monkeypatch.setattr(hdf5, "_slices", lambda *a: read.append(a[1]) or slices(*a))
    coming = iterate_structures(tmp_path / "a.h5")
    next(coming)
    assert set(read) == {0}


def change(path, name, values):
    with h5py.File(path, "r+") as file:
        del file[name]
        file[name] = values


def link(path, name, target):
    with h5py.File(path, "r+") as file:
        del file[name]
        file[name] = target


def virtual(path):
    layout = h5py.VirtualLayout(shape=(5, 3), dtype="f8")
    layout[:] = h5py.VirtualSource("other.h5", "x", shape=(5, 3))
    with h5py.File(path, "r+") as file:
        del file["atoms/position"]
        file.create_virtual_dataset("atoms/position", layout)


def elsewhere(path):
    (path.parent / "raw.bin").write_bytes(bytes(120))
    with h5py.File(path, "r+") as file:
        del file["atoms/position"]
        file.create_dataset("atoms/position", (5, 3), "f8", external=[(path.parent / "raw.bin", 0, 120)])


def packed(path):
    with h5py.File(path, "r+") as file:
        del file["atoms/numbers"]
        file.create_dataset("atoms/numbers", data=np.arange(5), scaleoffset=0)


def bomb(path):
    with h5py.File(path, "r+") as file:
        for name in ("atoms/numbers", "atoms/position", "atoms/force"):
            columns = file[name].shape[1:]
            del file[name]
            file.create_dataset(name, (10**12, *columns), "f8", chunks=(10, *columns), compression="gzip")


def chunked(path):
    with h5py.File(path, "r+") as file:
        del file["atoms/position"]
        data = file.create_dataset("atoms/position", (2**23, 3), "f8", chunks=(2**23, 3), compression="gzip")
        data[:] = 0.0


def version(path):
    with h5py.File(path, "r+") as file:
        file.attrs["version"] = 2


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda p: change(p, "structures/end", [3, 7]), "structures end at"),
        (lambda p: change(p, "structures/end", [3, 2]), "structures end at"),
        (lambda p: change(p, "structures/end", [3, 4]), "2 structures end at atom 4 of 5"),
        (lambda p: change(p, "structures/end", [3, 4, 5]), "should have as many rows as each other"),
        (lambda p: change(p, "structures/box", np.zeros((2, 9))), r"'structures/box' should have shape \(rows, \*\(3, 3\)\)"),
        (lambda p: change(p, "atoms/numbers", [8.5, 1, 1, 1, 1]), r"a.h5:0: 8.5 is not an atomic number"),
        (lambda p: change(p, "atoms/position", np.array(["a"] * 5, dtype="S1")), "should be an array of numbers"),
        (lambda p: change(p, "info/text", np.frombuffer(b"{" * 39, dtype="u1")), "not the JSON it should be"),
        (lambda p: change(p, "info/text", np.frombuffer(b"[" + b"1," * 18 + b"1]", dtype="u1")), "expected a dictionary"),
        (lambda p: link(p, "atoms/position", h5py.ExternalLink("other.h5", "/x")), "is a link to another file"),
        (lambda p: link(p, "atoms", h5py.ExternalLink("other.h5", "/x")), "is a link to another file"),
        (lambda p: link(p, "atoms/position", h5py.SoftLink("/atoms/position")), "lead in a circle"),
        (lambda p: link(p, "atoms/position", h5py.SoftLink("/nothing")), "has no dataset 'atoms/position'"),
        (virtual, "'atoms/position' lies in other files, which are not opened"),
        (elsewhere, "'atoms/position' lies in other files, which are not opened"),
        (packed, r"packed with the filters \[6\]"),
        (bomb, r"announces 8,000,000,000,000 bytes and 0 are stored"),
        (chunked, "too large to be read one by one"),
        (version, "has version 2 of this layout; this hermtk reads version 1"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(written, spoil, said):
    spoil(written)
    with pytest.raises(DataError, match=said):
        read_structures(written)


def test_a_link_within_the_file_is_followed(written, water):
    with h5py.File(written, "r+") as file:
        file.move("atoms/position", "kept")
        file["atoms/position"] = h5py.SoftLink("/kept")
    assert np.array_equal(read_structures(written)[0].positions, water.positions)


@pytest.mark.parametrize("content", [b"no HDF5", b"\x89HDF\r\n\x1a\n" + bytes(100)])
def test_a_file_that_is_no_hdf5_is_refused(tmp_path, content):
    (tmp_path / "a.h5").write_bytes(content)
    with pytest.raises(DataError, match="is damaged or cut, or no HDF5 file"):
        read_structures(tmp_path / "a.h5")


def test_a_file_of_something_else_says_what_it_holds(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["weights"] = [1.0]
    with pytest.raises(DataError, match="neither in our layout nor in H5MD; it holds weights"):
        read_structures(tmp_path / "a.h5")


def test_a_file_that_ends_the_process_that_looks_into_it_is_damaged(written, tmp_path, monkeypatch):
    script = tmp_path / "dies.py"
    script.write_text("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    monkeypatch.setattr(_hdf5_child, "__file__", str(script))
    with pytest.raises(DataError, match=r"a.h5 is damaged: following its table of contents ends the process"):
        read_structures(written)


def test_units_are_not_for_it_to_be_told(written):
    with pytest.raises(DataError, match="in eV and Angstrom by definition"):
        read_structures(written, units=Units(energy="Ha"))


def test_without_the_package_the_error_says_what_to_install(written, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(DataError, match=r'pip install "hermtk\[hdf5\]"'):
        read_structures(written)


@pytest.mark.parametrize("size", [0, 100, 3000, 30_000, 100_000])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(written, crystal, size):
    before = written.read_bytes()
    rng = np.random.default_rng(0)
    many = [replace(crystal, forces=rng.normal(size=(2, 3))) for _ in range(4000)]
    with disk_of(size), pytest.raises(RunError, match=r"a.h5 could not be written"):
        write_structures(written, many)
    assert [file.name for file in written.parent.iterdir()] == ["a.h5"]
    assert written.read_bytes() == before
