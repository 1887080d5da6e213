"""Systems of DeePMD-kit: folders of sets, of text, of mixed types; many of them as one data set."""

from dataclasses import replace

import numpy as np
import pytest

from hermtk.data.dataset import read_structures, recognised, write_structures
from hermtk.data.formats import deepmd
from hermtk.errors import DataError
from hermtk.units import Units

CELL = np.diag([5.0, 6.0, 7.0])


def make_system(folder, frames=3, first=0, sets=1, **left_out):
    """Water in a box: energies -1, -2 ..., one virial; `nopbc=True` and `map=None` leave things out."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "type.raw").write_text("1\n0\n0\n")
    (folder / "type_map.raw").write_text("H\nO\n")
    rng = np.random.default_rng(first)
    for number in range(sets):
        place = folder / f"set.{number:03d}"
        place.mkdir()
        coord = np.array([[0.0, 0, 0], [0, 0, 1], [0, 1, 0]]) + rng.normal(scale=0.01, size=(frames, 3, 3))
        np.save(place / "coord.npy", coord.reshape(frames, 9).astype(np.float32))
        np.save(place / "box.npy", np.tile(CELL.reshape(9), (frames, 1)))
        np.save(place / "energy.npy", -1.0 - first - number * frames - np.arange(frames))
        np.save(place / "force.npy", np.zeros((frames, 9)))
        np.save(place / "virial.npy", np.tile(np.arange(9.0).reshape(3, 3).T.reshape(9), (frames, 1)))
    return folder


def test_every_frame_of_every_set_is_read_in_order(tmp_path):
    system = make_system(tmp_path / "water", frames=2, sets=3)
    assert recognised(system) == "deepmd"
    found = read_structures(system)
    assert [s.energy for s in found] == [-1.0, -2.0, -3.0, -4.0, -5.0, -6.0]
    assert found[2].source == f"{system}/set.001:0"
    assert all(s.numbers.tolist() == [8, 1, 1] and s.pbc.all() for s in found)
    assert found[0].cell.tolist() == CELL.tolist()


def test_sets_are_in_the_order_of_their_numbers(tmp_path):
    system = make_system(tmp_path / "water", frames=1)
    for number in (2, 10, 1000):
        (system / f"set.{number}").mkdir()
        for file in (system / "set.000").iterdir():
            (system / f"set.{number}" / file.name).write_bytes(file.read_bytes())
        np.save(system / f"set.{number}" / "energy.npy", [float(number)])
    assert [s.energy for s in read_structures(system)] == [2.0, 10.0, -1.0, 1000.0]


def test_the_virial_is_minus_stress_times_volume(tmp_path):
    (first, *_) = read_structures(make_system(tmp_path / "water"))
    assert first.stress == pytest.approx(-np.arange(9.0).reshape(3, 3).T / (5 * 6 * 7))


def test_a_folder_of_systems_is_one_set_in_the_order_of_their_paths(tmp_path):
    for place, first in (("b", 10), ("a/second", 5), ("a/first", 0)):
        make_system(tmp_path / place, frames=1, first=first)
    assert recognised(tmp_path) == "deepmd"
    assert [s.energy for s in read_structures(tmp_path)] == [-1.0, -6.0, -11.0]


def test_text_is_read_where_there_are_no_sets(tmp_path, water):
    (tmp_path / "type.raw").write_text("0 1 1\n")
    (tmp_path / "type_map.raw").write_text("O H\n")
    (tmp_path / "nopbc").touch()
    for name, rows in (("coord", water.positions), ("force", water.forces)):
        (tmp_path / f"{name}.raw").write_text(2 * (" ".join(map(repr, rows.ravel().tolist())) + "\n"))
    (tmp_path / "energy.raw").write_text("-1.5\n-2.5\n\n")
    found = read_structures(tmp_path)
    assert [s.energy for s in found] == [-1.5, -2.5]
    assert all(np.array_equal(s.positions, water.positions) for s in found)
    assert all(np.array_equal(s.forces, water.forces) for s in found)
    assert not found[0].pbc.any()


def test_frames_of_mixed_types_have_their_own_elements_without_the_padding(tmp_path):
    system = make_system(tmp_path / "mixed", frames=2)
    (system / "type.raw").write_text("0\n0\n0\n")
    np.save(system / "set.000" / "real_atom_types.npy", np.array([[1, 0, -1], [0, 0, 1]]))
    first, second = read_structures(system)
    assert (first.numbers.tolist(), second.numbers.tolist()) == ([8, 1], [1, 1, 8])
    assert first.positions.shape == first.forces.shape == (2, 3)


def test_one_order_of_atoms_is_one_system_and_others_are_folders_of_their_own(tmp_path, water, crystal):
    write_structures(tmp_path / "one", [water, water], format="deepmd")
    assert (tmp_path / "one" / "type.raw").read_text() == "1\n0\n0\n"
    turned = replace(water, numbers=np.array([1, 1, 8]))
    unlabelled = replace(water, forces=None)
    given = [water, crystal, turned, unlabelled, crystal]
    write_structures(tmp_path / "many", given, format="deepmd")
    names = {"ClCs", "H2O", "H2O.2", "H2O.3"}
    assert {place.name for place in (tmp_path / "many").iterdir()} == names
    assert len(read_structures(tmp_path / "many")) == 5
    assert np.load(tmp_path / "many/ClCs/set.000/coord.npy").dtype == np.float64


def test_many_frames_become_several_sets_and_many_systems_do_not_wait_for_all(
    tmp_path, water, crystal, monkeypatch
):
    monkeypatch.setattr(deepmd, "SET_FRAMES", 4)
    monkeypatch.setattr(deepmd, "WAITING_FRAMES", 5)
    given = [replace(s, energy=float(k)) for k in range(9) for s in (water, crystal)]
    write_structures(tmp_path / "many", given, format="deepmd")
    sets = sorted(p.relative_to(tmp_path / "many").as_posix() for p in tmp_path.glob("many/*/set.*"))
    assert sets[:3] == ["ClCs/set.000", "ClCs/set.001", "ClCs/set.002"]
    found = read_structures(tmp_path / "many")
    assert [s.energy for s in found] == 2 * [float(k) for k in range(9)]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda s: (s / "type_map.raw").unlink(), "add type_map.raw with one symbol per line"),
        (lambda s: (s / "type_map.raw").write_text("H\nOx\n"), "type_map.raw: no element named 'Ox'"),
        (
            lambda s: (s / "type_map.raw").write_text("H\n"),
            "an atom has the type 1; type_map.raw names 1 types",
        ),
        (lambda s: (s / "type.raw").write_text("0\none\n0"), "type.raw should be one whole number per atom"),
        (lambda s: (s / "type.raw").write_text(""), "type.raw is empty"),
        (lambda s: (s / "set.000/box.npy").unlink(), "there is no box; add it, or an empty file"),
        (lambda s: (s / "set.000/coord.npy").unlink(), "set.000 has no coord.npy"),
        (
            lambda s: np.save(s / "set.000/force.npy", np.zeros((3, 6))),
            r"should have shape \(3, 9\), found \(3, 6\)",
        ),
        (
            lambda s: np.save(s / "set.000/energy.npy", np.zeros(2)),
            r"should have shape \(3, 1\), found \(2,\)",
        ),
        (
            lambda s: np.save(s / "set.000/energy.npy", np.full(3, None)),
            "energy.npy cannot be read as an array",
        ),
        (lambda s: (s / "set.000/energy.npy").write_bytes(b""), "energy.npy is no array of numbers"),
        (
            lambda s: (s / "set.000/energy.npy").write_bytes(b"\x80\x04N."),
            "energy.npy is no array of numbers",
        ),
        (lambda s: np.save(s / "set.000/energy.npy", ["a", "b", "c"]), "found one of <U1"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, spoil, said):
    system = make_system(tmp_path / "water")
    spoil(system)
    with pytest.raises(DataError, match=said):
        read_structures(system, format="deepmd")


def test_an_array_that_announces_more_than_it_holds_takes_no_memory(tmp_path):
    system = make_system(tmp_path / "water")
    with (system / "set.000/coord.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "<f8", "fortran_order": False, "shape": (10**12, 9)}
        )
    with pytest.raises(DataError, match=r"coord.npy cannot be read as an array of numbers, it may be cut"):
        read_structures(system)


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        (
            "coord.raw",
            "0 0 0 0 0 1 0 1\n",
            r"coord.raw\): the line of this frame should have 9 numbers, it has 8",
        ),
        ("coord.raw", "0 0 0 0 0 1 0 1 x\n", r"coord.raw\): could not convert"),
        (
            "energy.raw",
            "1.0\n2.0\n",
            r":1 \(coord.raw\): the line of this frame should have 9 numbers, it has 0",
        ),
        ("energy.raw", "1.0\n\n2.0\n", "a blank line and more frames behind it"),
    ],
)
def test_text_that_does_not_fit_is_refused(tmp_path, file, text, said):
    (tmp_path / "type.raw").write_text("1 0 0")
    (tmp_path / "type_map.raw").write_text("H O")
    (tmp_path / "nopbc").touch()
    (tmp_path / "coord.raw").write_text("0 0 0 0 0 1 0 1 0\n")
    (tmp_path / file).write_text(text)
    with pytest.raises(DataError, match=said):
        read_structures(tmp_path)


def test_units_are_not_for_it_to_be_told(tmp_path):
    with pytest.raises(DataError, match="in eV and Angstrom by definition"):
        read_structures(make_system(tmp_path / "water"), units=Units(energy="Ha"))


def test_a_stress_without_a_volume_has_no_virial(tmp_path, water):
    with pytest.raises(DataError, match="has a stress and no volume"):
        write_structures(tmp_path / "a", [replace(water, stress=np.eye(3))], format="deepmd")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_no_system_is_said_to_be_none(tmp_path):
    with pytest.raises(DataError, match=r"there is no type.raw in it"):
        read_structures(tmp_path, format="deepmd")
