"""QM9 from the files of qm9pack: a table of our own for faults, and the real one where it is installed."""

import csv
import importlib.util
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from hermtk.data.dataset import iterate_structures, read_structures, recognised
from hermtk.data.formats.qm9 import QM9, qm9_path
from hermtk.data.sources import data_path
from hermtk.data.targets import TARGETS
from hermtk.errors import DataError
from hermtk.units import Units

HARTREE = 27.211386245988
COLUMNS = [
    "XYZ_file", "Index", "SMILES", "N_atoms", "Elements", "XYZ_Ang", "Mulliken_pop", "Dipole_debye", "Polarizability_bohr3",
    "HOMO_au", "LUMO_au", "HOMO_LUMO_gap_au", "R2_bohr2", "ZPVE_au", "InternalEnergy_0K_au", "InternalEnergy_298K_au",
    "Enthalphy_298K_au", "GibbsFreeEnergy_298K_au", "Heatcapacity_Cv_cal_mol_K",
]  # fmt: skip
WATER = [
    "dsgdb9nsd_000003.xyz", "3", "O", "3", "['O','H','H']", "[[-0.03,0.98,0.01],[0.06,0.02,0.],[0.87,1.3,-0.5]]",
    "[-0.6,0.3,0.3]", "1.8511", "6.31", "-0.2928", "0.0687", "0.3615", "19.0002", "0.021375", "-76.404702", "-76.401867",
    "-76.400922", "-76.422349", "6.002",
]  # fmt: skip


def written(folder: Path, *rows: list[str], header: list[str] = COLUMNS, part: int = 1) -> Path:
    with (folder / f"qm9_part{part}.csv").open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return folder


def changed(column: str, value: str) -> list[str]:
    return [value if name == column else old for name, old in zip(COLUMNS, WATER, strict=True)]


def test_a_molecule_has_its_targets_in_our_units_and_no_energy(tmp_path: Path):
    folder = written(tmp_path, WATER)
    assert recognised(folder) == "qm9"
    (water,) = read_structures(folder)
    assert water.numbers.tolist() == [8, 1, 1]
    assert water.positions[2].tolist() == [0.87, 1.3, -0.5]
    assert water.energy is None
    assert not water.pbc.any()
    assert water.info["index"] == 3
    assert set(water.info) == {*TARGETS, "index"}
    assert water.info["U0"] == pytest.approx(-76.404702 * HARTREE, rel=1e-9)
    assert water.info["gap"] == pytest.approx(0.3615 * HARTREE, rel=1e-9)
    assert (water.info["mu"], water.info["alpha"], water.info["r2"], water.info["cv"]) == (
        1.8511,
        6.31,
        19.0002,
        6.002,
    )


def test_parts_are_read_in_order_and_counted_through(tmp_path: Path):
    written(tmp_path, changed("Index", "5"), part=2)
    folder = written(tmp_path, WATER, changed("Index", "4"))
    found = read_structures(folder)
    assert [s.info["index"] for s in found] == [3, 4, 5]
    assert [s.source for s in found] == [f"{folder}:{k}" for k in range(3)]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (changed("N_atoms", "4"), "4 atoms with 3 elements and 9 coordinates"),
        (changed("Elements", "['O','Hx','H']"), "this line cannot be read: 'Hx'"),
        (changed("XYZ_Ang", "[[0,0,0],[0,0,1],[0,1]]"), "3 atoms with 3 elements and 8 coordinates"),
        (changed("XYZ_Ang", "__import__('os')"), "this line cannot be read"),
        (changed("HOMO_au", "low"), "could not convert string to float: 'low'"),
        (changed("HOMO_au", "nan"), "a property is not finite"),
        (WATER[:9], "list index out of range"),
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, row: list[str], message: str):
    folder = written(tmp_path, WATER, row)
    with pytest.raises(DataError, match=r"qm9_part1\.csv:3: ") as refused:
        read_structures(folder)
    assert message in str(refused.value)


def test_a_table_without_the_columns_is_refused(tmp_path: Path):
    folder = written(tmp_path, WATER[:-1], header=COLUMNS[:-1])
    with pytest.raises(DataError, match="does not name Heatcapacity_Cv_cal_mol_K"):
        read_structures(folder)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b'"' + b"x" * 200_000])
def test_what_is_no_table_is_refused(tmp_path: Path, content: bytes):
    (tmp_path / "qm9_part1.csv").write_bytes(content)
    with pytest.raises(DataError, match="qm9_part1"):
        read_structures(tmp_path)


def test_its_units_are_known(tmp_path: Path):
    folder = written(tmp_path, WATER)
    with pytest.raises(DataError, match="the units of QM9 are known"):
        read_structures(folder, units=Units(energy="Ha"))


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r'pip install "hermtk\[qm9\]"'):
        data_path("qm9")


def test_a_file_of_that_name_comes_before_the_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "qm9").mkdir()
    assert data_path("qm9") == Path("qm9")
    assert data_path("some.xyz") == Path("some.xyz")


@pytest.fixture(scope="module")
def package() -> Path:
    if importlib.util.find_spec("qm9pack") is None:
        pytest.skip('needs QM9: pip install "hermtk[qm9]"')
    return qm9_path()


def test_the_package_holds_130831_molecules(package: Path):
    lines = 0
    for part in package.glob("qm9_part*.csv"):
        with part.open("rb") as file:
            lines += sum(1 for _ in file) - 1
    assert lines == 130_831


def test_its_first_molecules_are_methane_ammonia_and_water(package: Path):
    first = list(islice(iterate_structures(package), 3))
    assert [s.numbers.tolist() for s in first] == [[6, 1, 1, 1, 1], [7, 1, 1, 1], [8, 1, 1]]
    assert [s.info["index"] for s in first] == [1, 2, 3]
    # energies of atomization, eV: -0.631059, -0.441207 and -0.339577 Hartree by hand
    free = TARGETS["U0"].atoms
    found = [s.info["U0"] - sum(free[int(z)] for z in s.numbers) for s in first]
    assert np.allclose(found, [-17.1722, -12.0059, -9.2404], atol=1e-4)


@pytest.mark.slow
def test_it_is_the_set_of_the_reference_data(package: Path, shared: Path):
    with np.load(shared / "data" / "qm9" / "val_2000.npz") as archive:
        theirs = dict(zip(archive["index"].tolist(), archive["U0_Ha"].tolist(), strict=True))
    found = 0
    for molecule in QM9().read(package):
        found += 1
        if molecule.info["index"] in theirs:
            assert molecule.info["U0"] == pytest.approx(
                theirs.pop(molecule.info["index"]) * HARTREE, rel=1e-9
            )
    assert (found, theirs) == (130_831, {})
