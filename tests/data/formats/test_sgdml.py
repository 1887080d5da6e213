"""The archives of rMD17 and of sGDML."""

import numpy as np
import pytest

from hermtk.data.dataset import read_structures, write_structures
from hermtk.errors import DataError
from hermtk.units import Units

KCAL = 0.04336410424
RNG = np.random.default_rng(3)
NUMBERS = np.array([6, 8, 1, 1], dtype=np.uint8)
POSITIONS, FORCES, ENERGIES = RNG.normal(size=(5, 4, 3)), RNG.normal(size=(5, 4, 3)), RNG.normal(size=5) * 1e5

RMD17 = {"nuclear_charges": NUMBERS, "coords": POSITIONS, "energies": ENERGIES, "forces": FORCES}
SGDML = {
    "z": NUMBERS,
    "R": POSITIONS,
    "E": ENERGIES[:, None],
    "F": FORCES,
    "type": np.array("d"),
    "name": np.array("x"),
}
DECLARED = {"e_unit": np.array("kcal/mol"), "r_unit": np.array("Ang")}


@pytest.fixture
def read(tmp_path):
    def save_and_read(arrays, **given):
        np.savez(tmp_path / "a.npz", **arrays)
        return read_structures(tmp_path / "a.npz", **given)

    return save_and_read


def same_in_kcal(data):
    assert len(data) == 5
    for s, energy, positions, forces in zip(data, ENERGIES, POSITIONS, FORCES, strict=True):
        assert s.energy == pytest.approx(energy * KCAL, rel=1e-9)
        assert s.forces == pytest.approx(forces * KCAL, rel=1e-9)
        assert np.array_equal(s.positions, positions)
        assert s.numbers.tolist() == NUMBERS.tolist()
        assert not s.pbc.any()


def test_rmd17_is_in_kcal_per_mol_by_definition(read):
    same_in_kcal(read(RMD17))
    same_in_kcal(read(RMD17, units=Units(energy="kcal/mol")))
    with pytest.raises(
        DataError, match=r"a.npz: rMD17 files are in kcal/mol and Angstrom by definition, not in eV"
    ):
        read(RMD17, units=Units())


@pytest.mark.parametrize(
    "declared", [DECLARED, {name: np.bytes_(str(word)) for name, word in DECLARED.items()}]
)
def test_sgdml_says_its_units_itself(read, declared):
    same_in_kcal(read({**SGDML, **declared}))


def test_sgdml_without_units_needs_them_declared(read):
    with pytest.raises(
        DataError, match=r"a.npz does not say its units .*declare them, for example energy: kcal/mol"
    ):
        read(SGDML)
    same_in_kcal(read(SGDML, units=Units(energy="kcal/mol")))


def test_declaring_other_units_than_the_file_says_is_refused(read):
    with pytest.raises(
        DataError, match="says it is in kcal/mol and Angstrom, but eV and Angstrom are declared"
    ):
        read({**SGDML, **DECLARED}, units=Units())


def test_units_in_unknown_words_must_be_declared(read):
    arrays = {**SGDML, "e_unit": np.array("kilocalories"), "r_unit": np.array("Ang")}
    with pytest.raises(DataError, match=r"words not known here.*kilocalories"):
        read(arrays)
    same_in_kcal(read(arrays, units=Units(energy="kcal/mol")))


def test_energies_or_forces_may_be_absent(read):
    bare = {name: value for name, value in RMD17.items() if name not in ("energies", "forces")}
    assert all(s.energy is None and s.forces is None for s in read(bare))


def test_a_rectangular_lattice_is_read_and_a_skewed_one_refused(read):
    s = read({**SGDML, **DECLARED, "lattice": np.diag([20.0, 21.0, 22.0])})[0]
    assert np.array_equal(s.cell, np.diag([20.0, 21.0, 22.0]))
    assert s.pbc.all()
    with pytest.raises(DataError, match="rows or columns"):
        read({**SGDML, **DECLARED, "lattice": np.array([[20.0, 0, 0], [5, 20, 0], [0, 0, 20]])})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"energies": ENERGIES[:3]}, r"5 geometries, but 'energies' has shape \(3,\)"),
        ({"forces": FORCES[:, :2]}, r"a.npz:0: forces of 4 atoms should have shape \(4, 3\)"),
        ({"nuclear_charges": NUMBERS[:3]}, r"a.npz:0: positions of 3 atoms should have shape \(3, 3\)"),
        ({"coords": np.float64(1.0)}, r"a.npz: 1 geometries, but 'energies' has shape \(5,\)"),
        ({"energies": np.where(np.arange(5) == 2, np.nan, ENERGIES)}, "a.npz:2: the energy is not finite"),
    ],
)
def test_archives_that_do_not_fit_are_refused(read, change, words):
    with pytest.raises(DataError, match=words):
        read({**RMD17, **change})


def test_these_archives_cannot_be_written(water, tmp_path):
    with pytest.raises(DataError, match="can be read, not written"):
        write_structures(tmp_path / "a.npz", [water], format="sgdml")
