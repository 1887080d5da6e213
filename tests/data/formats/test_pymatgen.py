"""pymatgen's JSON: layouts, which labels, units and order of stress, nothing imported that a file names."""

import gzip
import json
import sys

import numpy as np
import pytest
from hypothesis import given, settings

from data_world import assert_same, data_sets
from hermtk.data.dataset import read_structures, recognised, write_structures
from hermtk.data.formats.pymatgen import Pymatgen
from hermtk.data.structure import Structure
from hermtk.errors import DataError
from hermtk.units import STRESS, Units

KBAR = STRESS["kbar"]
LATTICE = [[4.0, 0.0, 0.5], [0.0, 5.0, 0.0], [0.0, 0.0, 6.0]]
SALT = {
    "@module": "pymatgen.core.structure",
    "@class": "Structure",
    "charge": None,
    "lattice": {"matrix": LATTICE, "a": 4.03, "volume": 120.0},
    "sites": [
        {"species": [{"element": "Na", "occu": 1}], "abc": [0, 0, 0], "xyz": [0, 0, 0], "label": "Na"},
        {"species": [{"element": "Cl", "occu": 1}], "abc": [0.5, 0.5, 0.25], "xyz": [2, 2.5, 1.75]},
    ],
}
FORCES = [[0.5, -0.25, 0.125], [-0.5, 0.25, -0.125]]
ENTRY = {
    "structure": SALT,
    "num_atoms": 2,
    "group": "AIMD",
    "outputs": {"energy": -6.5, "forces": FORCES, "virial_stress": [1, 2, 3, 4, 5, 6]},
}
DECLARED = Units(stress="kbar")


@pytest.fixture
def read(tmp_path):
    def save_and_read(document, **given):
        (tmp_path / "a.json").write_text(json.dumps(document), encoding="utf-8")
        return read_structures(tmp_path / "a.json", **given)

    return save_and_read


def without_stress(**labels):
    return {"structure": SALT, **labels}


def test_mlearn_is_read_with_the_stress_of_vasp_turned_into_ours(read, tmp_path):
    s, other = read([ENTRY, ENTRY], units=DECLARED)
    assert recognised(tmp_path / "a.json") == "pymatgen"
    assert s.source == f"{tmp_path}/a.json:0"
    assert other.source.endswith(":1")
    assert s.numbers.tolist() == [11, 17]
    assert s.pbc.all()
    assert np.array_equal(s.cell, LATTICE)
    assert np.array_equal(s.positions, [[0, 0, 0], [2, 2.5, 1.75]])
    assert s.energy == -6.5
    assert np.array_equal(s.forces, FORCES)
    # VASP's xx yy zz xy yz zx are 1 2 3 4 5 6 kbar of pressure
    assert s.stress == pytest.approx(-KBAR * np.array([[1, 4, 6], [4, 2, 5], [6, 5, 3]]), rel=1e-14)
    assert dict(s.info) == {"group": "AIMD", "num_atoms": 2}


def test_a_stress_without_a_declared_unit_is_refused(read):
    with pytest.raises(
        DataError, match=r"a.json:0: there is a stress, whose unit .*declare it, kbar for VASP"
    ):
        read([ENTRY])


def test_any_other_unit_means_the_sign_and_order_of_ase(read):
    s = read([ENTRY], units=Units(stress="GPa"))[0]
    assert s.stress == pytest.approx(10 * KBAR * np.array([[1, 6, 5], [6, 2, 4], [5, 4, 3]]), rel=1e-14)


def test_a_stress_may_be_a_matrix(read):
    matrix = [[1, 4, 6], [4, 2, 5], [6, 5, 3]]
    s = read([without_stress(energy=-1.0, stress=matrix)], units=DECLARED)[0]
    assert s.stress == pytest.approx(-KBAR * np.array(matrix), rel=1e-14)


@pytest.mark.parametrize(
    ("labels", "energy", "kept"),
    [
        ({"energy": -1.0, "corrected_total_energy": -2.0}, -1.0, {"corrected_total_energy": -2.0}),
        (
            {"corrected_total_energy": -2.0, "uncorrected_total_energy": -3.0},
            -3.0,
            {"corrected_total_energy": -2.0},
        ),
        ({"energy_per_atom": -4.0}, -8.0, {"energy_per_atom": -4.0}),
        ({"energy": None, "energy_per_atom": -4.0}, -8.0, {"energy_per_atom": -4.0}),
        ({}, None, {}),
    ],
)
def test_energies_are_found_under_the_names_in_use(read, labels, energy, kept):
    s = read([without_stress(**labels)])[0]
    assert s.energy == energy
    assert dict(s.info) == kept


def test_entries_may_stand_in_dictionaries_and_in_dictionaries_of_them(read):
    assert [s.info["entry"] for s in read({"one": without_stress(), "two": without_stress()})] == [
        "one",
        "two",
    ]
    nested = {
        "mp-1": {"0-0": without_stress(force=FORCES), "0-1": without_stress()},
        "mp-2": {"0-0": without_stress()},
    }
    data = read(nested)
    assert [s.info["entry"] for s in data] == ["mp-1/0-0", "mp-1/0-1", "mp-2/0-0"]
    assert np.array_equal(data[0].forces, FORCES)
    assert read(SALT)[0].numbers.tolist() == [11, 17]


def test_compressed_files_are_read(tmp_path):
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(json.dumps([without_stress(energy=-1.0)]).encode()))
    assert read_structures(tmp_path / "a.json.gz")[0].energy == -1.0


@settings(max_examples=30, deadline=None)
@given(data_sets(periodic=[(True, True, True), (False, False, False)]))
def test_what_is_written_is_read_back(tmp_path_factory, structures):
    path = tmp_path_factory.mktemp("round") / "a.pymatgen.json"
    write_structures(path, structures)
    after = read_structures(path)
    assert_same(structures, after, stress=1e-17)


def test_partly_periodic_cells_are_kept_and_those_of_fewer_vectors_refused(crystal, tmp_path):
    slab = Structure(crystal.numbers, crystal.positions, crystal.cell, np.array([True, True, False]))
    write_structures(tmp_path / "a.json", [slab], format="pymatgen")
    assert_same([slab], read_structures(tmp_path / "a.json"))
    flat = Structure(slab.numbers, slab.positions, slab.cell * [[1], [1], [0]], slab.pbc, source="slab.xyz:3")
    with pytest.raises(DataError, match=r"slab.xyz:3: pymatgen's lattices have three independent vectors"):
        write_structures(tmp_path / "b.json", [flat], format="pymatgen")


def test_pymatgen_reads_what_is_written_and_we_read_what_it_writes(crystal, water, tmp_path):
    core = pytest.importorskip("pymatgen.core", reason="needs pymatgen: pip install pymatgen-core")
    write_structures(tmp_path / "a.pymatgen.json", [crystal, water])
    entries = json.loads((tmp_path / "a.pymatgen.json").read_text(encoding="utf-8"))["entries"]
    theirs = (
        core.Structure.from_dict(entries[0]["structure"]),
        core.Molecule.from_dict(entries[1]["structure"]),
    )
    for before, after in zip([crystal, water], theirs, strict=True):
        assert [site.specie.Z for site in after] == before.numbers.tolist()
        assert after.cart_coords == pytest.approx(before.positions, abs=1e-12)
    assert np.array_equal(theirs[0].lattice.matrix, crystal.cell)
    (tmp_path / "b.json").write_text(
        json.dumps([{"structure": each.as_dict()} for each in theirs]), encoding="utf-8"
    )
    for before, after in zip([crystal, water], read_structures(tmp_path / "b.json"), strict=True):
        assert after.positions == pytest.approx(before.positions, abs=1e-12)
        assert after.numbers.tolist() == before.numbers.tolist()
        assert after.pbc.tolist() == before.pbc.tolist()


def test_nothing_is_imported_that_a_site_names(tmp_path, monkeypatch, read):
    (tmp_path / "trap.py").write_text("raise SystemExit('run')\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    site = {**SALT["sites"][0], "properties": {"magmom": {"@module": "trap", "@class": "Trap"}}}
    salt = {**SALT, "sites": [site, SALT["sites"][1]]}
    assert len(read([{"structure": salt, "data": {"@module": "trap", "@class": "Trap"}}])) == 1
    assert "trap" not in sys.modules


def changed(**parts):
    return [{"structure": {**SALT, **parts}}]


SHARED = {"species": [{"element": "Na", "occu": 0.5}, {"element": "K", "occu": 0.5}], "xyz": [0, 0, 0]}
UNKNOWN = {"species": [{"element": "X0+"}], "xyz": [0, 0, 0]}


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (changed(sites=[SHARED]), "a.json:0: site 0 is shared by several elements"),
        (changed(sites=[UNKNOWN]), r"a.json:0: site 0: no element named 'X0\+'"),
        (changed(sites=[]), "a.json:0: there are no atoms"),
        (changed(sites=7), "a.json:0: this is no structure of pymatgen's"),
        (changed(sites=[{"xyz": [0, 0, 0]}]), "a.json:0: this is no structure of pymatgen's"),
        (changed(lattice={"matrix": [1, 2, 3]}), "a.json:0: a lattice has a matrix of 3 x 3"),
        (changed(lattice={"matrix": np.eye(3).tolist()}), "'abc' and the Cartesian 'xyz' are not the same"),
        ([without_stress(), 3], "a.json:1: expected an entry with a 'structure', found '3'"),
        ([without_stress(forces=[[0, 0, 0]])], r"a.json:0: forces of 2 atoms should have shape \(2, 3\)"),
        ([without_stress(energy="low")], "a.json:0: the energy should be numbers, found 'low'"),
        ([without_stress(energy=float("nan"))], "a.json:0: the energy is not finite"),
        (
            {"units": {"stress": "psi"}, "entries": [without_stress()]},
            "says that its stress is in 'psi', known are",
        ),
    ],
)
def test_bad_entries_are_refused_with_file_and_entry(read, document, words):
    with pytest.raises(DataError, match=words):
        read(document, format="pymatgen")


def test_units_of_energy_and_contradictions_are_refused(crystal, read, tmp_path):
    with pytest.raises(
        DataError, match=r"a.json: pymatgen's files are in eV and Angstrom by definition, not in Ha"
    ):
        read([without_stress()], units=Units(energy="Ha"))
    write_structures(tmp_path / "b.pymatgen.json", [crystal])
    assert read_structures(tmp_path / "b.pymatgen.json", units=DECLARED)[0].stress is not None
    with pytest.raises(DataError, match="says that its stress is in kbar, but GPa is declared"):
        read_structures(tmp_path / "b.pymatgen.json", units=Units(stress="GPa"))


@pytest.mark.parametrize(
    "text", ['[{"structure": {"lattice"', "[" * 100_000, '{"structure": {', "9" * 10_000]
)
def test_json_that_is_cut_or_too_deep_is_refused(tmp_path, text):
    (tmp_path / "a.json").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"a.json is damaged or cut"):
        read_structures(tmp_path / "a.json", format="pymatgen")


def test_a_file_too_large_to_be_read_at_once_is_refused(tmp_path, monkeypatch, read):
    monkeypatch.setattr("hermtk.data.formats.pymatgen.LARGEST", 100)
    with pytest.raises(DataError, match=r"a.json has more than 100 bytes of JSON.*split it"):
        read([without_stress()])


def test_databases_of_ase_are_left_to_ase(crystal, tmp_path):
    write_structures(tmp_path / "a.json", [crystal])
    assert recognised(tmp_path / "a.json") == "ase"
    assert not Pymatgen.recognises(tmp_path / "a.json")
