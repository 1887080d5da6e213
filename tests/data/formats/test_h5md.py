"""Trajectories in H5MD: units that are said or declared, elements that are known, labels of the same steps."""

import numpy as np
import pytest

from hermtk.data.dataset import read_structures
from hermtk.data.formats import _h5md
from hermtk.errors import DataError
from hermtk.units import LENGTH, Units

h5py = pytest.importorskip("h5py", reason="H5MD needs the package h5py")

FRAMES, ATOMS = 4, 3
POSITIONS = 0.1 * np.random.default_rng(0).normal(size=(FRAMES, ATOMS, 3)) + np.arange(ATOMS)[None, :, None]
FORCES = np.random.default_rng(1).normal(size=(FRAMES, ATOMS, 3))
ENERGIES = -np.arange(1.0, FRAMES + 1)


def element(group, name, values, unit="", steps=None):
    """An element of H5MD: ``value``, ``step`` and ``time``."""
    made = group.create_group(name)
    made["value"] = values
    made["step"] = np.arange(len(values)) if steps is None else steps
    made["time"] = np.arange(len(values)) * 0.5
    if unit:
        made["value"].attrs["unit"] = unit


@pytest.fixture
def trajectory(tmp_path):
    """Water along four frames, everything in the places and words of the standard."""
    path = tmp_path / "md.h5"
    with h5py.File(path, "w") as file:
        file.create_group("h5md").attrs["version"] = [1, 1]
        all_ = file.create_group("particles/all")
        element(all_, "position", POSITIONS, "nm")
        element(all_, "force", FORCES, "kJ mol-1 nm-1")
        names = h5py.enum_dtype({"H": 7, "O": 3}, basetype="i4")
        all_.create_dataset("species", data=[3, 7, 7], dtype=names)
        box = all_.create_group("box")
        box.attrs["dimension"] = 3
        box.attrs["boundary"] = ["periodic", "periodic", "none"]
        box["edges"] = [3.0, 4.0, 5.0]
        box["edges"].attrs["unit"] = "nm"
        element(file.create_group("observables"), "potential_energy", ENERGIES, "kJ mol-1")
    return path


def change(path, edit):
    with h5py.File(path, "r+") as file:
        edit(file)


def replaced(name, values, unit="", steps=None):
    """Puts another element in the place of one."""

    def edit(file):
        del file[name]
        parent, _, last = name.rpartition("/")
        element(file[parent], last, values, unit, steps)

    return edit


def test_a_trajectory_is_read_with_its_units(trajectory):
    found = read_structures(trajectory)
    units = Units(energy="kJ/mol", length="nm")
    assert len(found) == FRAMES
    for k, s in enumerate(found):
        assert s.numbers.tolist() == [8, 1, 1]
        assert s.positions == pytest.approx(10 * POSITIONS[k])
        assert s.forces == pytest.approx(FORCES[k] * units.force_factor)
        assert s.energy == pytest.approx(ENERGIES[k] * units.energy_factor)
        assert s.cell.tolist() == np.diag([30.0, 40.0, 50.0]).tolist()
        assert s.pbc.tolist() == [True, True, False]
        assert s.source == f"{trajectory}:{k}"


def test_blocks_of_frames_are_the_same_frames(trajectory, monkeypatch):
    whole = read_structures(trajectory)
    monkeypatch.setattr(_h5md, "BLOCK", 20)
    assert [s.positions.tolist() for s in read_structures(trajectory)] == [
        s.positions.tolist() for s in whole
    ]


def test_a_box_that_changes_and_frames_of_fewer_atoms_are_read(trajectory):
    cells = np.diag([3.0, 4.0, 5.0]) + 0.1 * np.arange(FRAMES)[:, None, None]
    filled = POSITIONS.copy()
    filled[1, 2] = np.nan
    numbers = np.tile([8.0, 1.0, 1.0], (FRAMES, 1))
    numbers[1, 2] = np.nan

    def edit(file):
        replaced("particles/all/box/edges", cells, "nm")(file)
        replaced("particles/all/position", filled, "nm")(file)
        replaced("particles/all/species", numbers)(file)

    change(trajectory, edit)
    found = read_structures(trajectory)
    assert [len(s) for s in found] == [3, 2, 3, 3]
    assert found[1].numbers.tolist() == [8, 1]
    assert found[1].forces.shape == (2, 3)
    assert [s.cell[0, 1] for s in found] == pytest.approx([0.0, 1.0, 2.0, 3.0])


def test_several_groups_follow_on_each_other(trajectory):
    change(trajectory, lambda f: f.copy("particles/all", "particles/later"))
    found = read_structures(trajectory)
    assert len(found) == 2 * FRAMES
    assert found[-1].source == f"{trajectory}:{2 * FRAMES - 1}"


def test_units_that_are_not_said_are_declared_or_refused(trajectory):
    def silent(file):
        replaced("particles/all/position", POSITIONS)(file)
        del file["particles/all/box/edges"].attrs["unit"]

    change(trajectory, silent)
    with pytest.raises(DataError, match="does not say the unit of particles/all/position; declare"):
        read_structures(trajectory)
    change(trajectory, replaced("particles/all/force", FORCES))
    with pytest.raises(DataError, match="does not say the unit of"):
        read_structures(trajectory)
    found = read_structures(trajectory, units=Units(energy="kJ/mol", length="Bohr"))
    assert found[0].positions == pytest.approx(POSITIONS[0] * LENGTH["Bohr"])


@pytest.mark.parametrize(
    ("edit", "given", "said"),
    [
        (None, Units(energy="kJ/mol", length="Angstrom"), "says that its length is in nm, but Angstrom is declared"),
        (replaced("particles/all/force", FORCES, "eV/nm"), None, "says two units of energy"),
        (replaced("particles/all/position", POSITIONS, "furlong"), None, "in words not known here, declare it"),
        (replaced("particles/all/force", FORCES[1:], "kJ mol-1 nm-1"), None, r"force has shape \(3, 3, 3\)"),
        (
            replaced("particles/all/force", FORCES, "kJ mol-1 nm-1", np.arange(FRAMES) * 10),
            None,
            "force was sampled at other steps than particles/all/position",
        ),
        (replaced("particles/all/position", POSITIONS[:, :, :2], "nm"), None, r"should have shape \(T, N, 3\)"),
        (replaced("particles/all/species", np.tile([1, 2, 2], (FRAMES, 1))), None, "look like the types of a simulation"),
        (replaced("particles/all/species", np.tile([8, 1], (FRAMES, 1))), None, "3 positions, but the species"),
        (lambda f: f["particles/all/box"].attrs.create("boundary", ["periodic"]), None, "should be three of"),
        (lambda f: f.move("particles/all/species", "species"), None, "needs positions and species"),
        (lambda f: f.move("particles/all", "all"), None, "H5MD without a group of particles"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(trajectory, edit, given, said):
    if edit:
        change(trajectory, edit)
    with pytest.raises(DataError, match=said):
        read_structures(trajectory, units=given)


def test_species_that_name_no_element_are_refused(trajectory):
    def edit(file):
        del file["particles/all/species"]
        kinds = h5py.enum_dtype({"OW": 0, "HW": 1}, basetype="i4")
        file["particles/all"].create_dataset("species", data=[0, 1, 1], dtype=kinds)

    change(trajectory, edit)
    with pytest.raises(DataError, match=r"species: no element named '(OW|HW)'"):
        read_structures(trajectory)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("eV Angstrom-1", "eV/Angstrom"),
        ("kJ mol-1 nm-1", "kJ/mol/nm"),
        ("kcal/mol/A", "kcal/mol/A"),
        ("Ha*Bohr^-1", "Ha/Bohr"),
        ("eV Angstrom-3", "eV/Angstrom^3"),
        ("GPa", "GPa"),
    ],
)
def test_words_for_units(said, meant):
    assert _h5md._slashed(said) == meant
