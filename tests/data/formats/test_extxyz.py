"""Extended XYZ."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from hermtk.data.dataset import read_structures, write_structures
from hermtk.data.structure import Structure
from hermtk.errors import DataError, HermtkError
from hermtk.units import Units

# what ASE writes: eight decimals
WRITTEN = 5.1e-9


def wrote(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_a_written_structure_is_read_back_with_its_labels(crystal, water, tmp_path):
    path = tmp_path / "set.extxyz"
    write_structures(path, [crystal, water])
    for before, after in zip([crystal, water], read_structures(path), strict=True):
        assert np.array_equal(after.numbers, before.numbers)
        assert np.array_equal(after.pbc, before.pbc)
        assert after.energy == before.energy
        assert np.abs(after.positions - before.positions).max() <= WRITTEN
        assert np.abs(after.forces - before.forces).max() <= WRITTEN
        assert np.array_equal(after.cell, before.cell)
    assert np.array_equal(read_structures(path)[0].stress, crystal.stress)
    assert read_structures(path)[1].stress is None


def test_the_frame_is_named_in_the_source(water, tmp_path):
    path = tmp_path / "three.xyz"
    write_structures(path, [water] * 3)
    assert [s.source for s in read_structures(path)] == [f"{path}:{frame}" for frame in range(3)]


def test_other_values_of_a_frame_are_kept(crystal, tmp_path):
    path = tmp_path / "info.xyz"
    charges = np.array([1.0, -1.0])
    write_structures(
        path, [replace(crystal, info={**crystal.info, "charge_of": charges, "bec": np.ones((2, 3, 3))})]
    )
    info = read_structures(path)[0].info
    assert info["group"] == "salt"
    assert info["temperature"] == 300.0
    assert np.array_equal(info["charge_of"], charges)
    assert info["bec"].shape == (2, 9)


def test_stress_keeps_the_sign_and_the_order_of_ase(crystal, tmp_path):
    atoms = Atoms("NaCl", [[0, 0, 0], [2.5, 0, 0]], cell=[5, 5, 5], pbc=True)
    voigt = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    atoms.calc = SinglePointCalculator(atoms, energy=-1.0, stress=voigt)
    write(tmp_path / "ase.xyz", atoms, format="extxyz")
    stress = read_structures(tmp_path / "ase.xyz")[0].stress
    assert np.array_equal(stress, [[0.1, 0.6, 0.5], [0.6, 0.2, 0.4], [0.5, 0.4, 0.3]])


HEAD = 'Lattice="4 0 0 0 4 0 0 0 5" Properties=species:S:1:pos:R:3{columns} pbc="T T T" {info}'


def frame(columns="", info="", rows=("0 0 0", "2 2 2")):
    lines = [f"{symbol} {row}" for symbol, row in zip(("Na", "Cl"), rows, strict=True)]
    return "\n".join(["2", HEAD.format(columns=columns, info=info), *lines, ""])


@pytest.mark.parametrize("key", ["energy", "Energy", "free_energy", "REF_energy", "dft_energy"])
def test_energies_are_found_under_the_names_in_use(tmp_path, key):
    assert read_structures(wrote(tmp_path / "a.xyz", frame(info=f"{key}=-3.25")))[0].energy == -3.25


@pytest.mark.parametrize("key", ["forces", "force", "Forces", "REF_forces", "dft_forces"])
def test_forces_are_found_under_the_names_in_use(tmp_path, key):
    path = wrote(tmp_path / "a.xyz", frame(f":{key}:R:3", rows=("0 0 0 1 2 3", "2 2 2 -1 -2 -3")))
    assert np.array_equal(read_structures(path)[0].forces, [[1, 2, 3], [-1, -2, -3]])


def test_a_label_is_not_left_in_the_other_values(tmp_path):
    path = wrote(tmp_path / "a.xyz", frame(info="REF_energy=-3.25 energy=-1.5 kind=bulk"))
    s = read_structures(path)[0]
    assert s.energy == -1.5
    assert dict(s.info) == {"kind": "bulk"}


@pytest.mark.parametrize("key", ["virial", "virials", "REF_virial"])
def test_a_virial_becomes_minus_stress_times_volume(tmp_path, key):
    path = wrote(tmp_path / "a.xyz", frame(info=f'{key}="8 1 2 1 16 3 2 3 24"'))
    expected = -np.array([[8, 1, 2], [1, 16, 3], [2, 3, 24]]) / 80.0
    assert read_structures(path)[0].stress == pytest.approx(expected, rel=1e-15)


def test_a_virial_without_a_cell_is_refused_unless_it_is_zero(tmp_path):
    head = 'Properties=species:S:1:pos:R:3 pbc="F F F" virial="{virial}"'
    lone = f"1\n{head}\nH 0 0 0\n"
    path = wrote(tmp_path / "a.xyz", lone.format(virial="0 0 0 0 0 0 0 0 0"))
    assert read_structures(path)[0].stress is None
    with pytest.raises(DataError, match=r"a.xyz:0: a virial needs a cell"):
        read_structures(wrote(path, lone.format(virial="1 0 0 0 1 0 0 0 1")))


def test_declared_units_are_converted(tmp_path):
    text = frame(":forces:R:3", 'energy=2.0 stress="1 0 0 0 1 0 0 0 1"', rows=("0 0 0 1 0 0", "2 2 2 -1 0 0"))
    path = wrote(tmp_path / "a.xyz", text)
    plain = read_structures(path)[0]
    units = Units(energy="Ha", length="Bohr", stress="GPa")
    s = read_structures(path, units=units)[0]
    assert s.energy == pytest.approx(2 * 27.211386245988, rel=1e-9)
    assert s.positions == pytest.approx(plain.positions * 0.529177210903, rel=1e-9)
    assert s.cell == pytest.approx(plain.cell * 0.529177210903, rel=1e-9)
    assert s.forces == pytest.approx(plain.forces * 51.42206747, rel=1e-8)
    assert s.stress == pytest.approx(np.eye(3) / 160.2176634, rel=1e-9)


def test_a_virial_in_declared_units_is_an_energy(tmp_path):
    path = wrote(tmp_path / "a.xyz", frame(info='virial="1 0 0 0 1 0 0 0 1"'))
    s = read_structures(path, units=Units(energy="Ha", length="Bohr"))[0]
    assert s.stress == pytest.approx(-np.eye(3) * 27.211386245988 / (80 * 0.529177210903**3), rel=1e-8)


def test_wherever_a_file_is_cut_it_is_refused_or_reads_as_whole_frames(crystal, water, tmp_path):
    whole = tmp_path / "whole.xyz"
    write_structures(whole, [crystal, water])
    text = whole.read_text(encoding="utf-8")
    ends = [len(text), text.index("3\nProperties")]
    path = tmp_path / "cut.xyz"
    for length in range(1, len(text)):
        wrote(path, text[:length])
        if any(length in (end, end - 1) for end in ends):
            for before, after in zip(read_structures(whole), read_structures(path), strict=False):
                assert np.array_equal(after.forces, before.forces)
        else:
            with pytest.raises(HermtkError, match=rf"cut.xyz:{int(length > ends[1])}: "):
                read_structures(path)


def test_a_missing_line_in_the_middle_is_refused(water, tmp_path):
    path = tmp_path / "a.xyz"
    write_structures(path, [water] * 3)
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    wrote(path, "".join(lines[:8] + lines[9:]))
    with pytest.raises(DataError, match=r"a.xyz:1: .*column"):
        read_structures(path)


def test_frames_after_a_blank_line_are_not_dropped_silently(water, tmp_path):
    path = tmp_path / "a.xyz"
    write_structures(path, [water])
    text = path.read_text(encoding="utf-8")
    with pytest.raises(DataError, match=r"a.xyz:1: expected the number of atoms, found a blank line"):
        read_structures(wrote(path, f"{text}\n{text}"))
    assert len(read_structures(wrote(path, f"{text}\n \n"))) == 1


def test_a_last_line_without_an_end_is_read_when_its_number_is_as_long_as_the_others(tmp_path):
    text = "2\n\nNa 0.000 0.000 0.000\nCl 2.000 2.000 2.125"
    assert read_structures(wrote(tmp_path / "a.xyz", text))[0].positions[1, 2] == 2.125
    with pytest.raises(DataError, match=r"a.xyz:0: the last line has no end"):
        read_structures(wrote(tmp_path / "a.xyz", text[:-1]))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("two\n\nH 0 0 0\n", "a.xyz:0: expected the number of atoms, found 'two'"),
        ("1\n\nQq 0 0 0\n", "a.xyz:0: no element named 'Qq'"),
        ("1\n\nH 0 0 zero\n", "a.xyz:0: this frame cannot be read.*zero"),
        ("1\n\nH 0 0 0\n1\n\nH 0 0\n", "a.xyz:1: this frame cannot be read"),
        (frame(info="energy=high"), "a.xyz:0: the energy should be numbers, found 'high'"),
        (frame(info='energy="1 2"'), "a.xyz:0: the energy should be one number"),
        (frame(info="energy=nan"), "a.xyz:0: the energy is not finite"),
        (
            frame(rows=("0 0 0", "nan 2 2")),
            r"a.xyz:0: the position of atom 1 \(Cl\) is not finite: \(nan, 2, 2\)",
        ),
        (
            frame(":forces:R:3", rows=("0 0 0 0 0 0", "2 2 2 0 inf 0")),
            r"a.xyz:0: the force of atom 1 \(Cl\) .*inf",
        ),
        (frame(info='stress="1 0 0 0"'), "a.xyz:0: this frame cannot be read, .*stress.*9"),
        (frame(rows=("0 0 0", "0 0 5")), r"a.xyz:0: atoms 0 \(Na\) and 1 \(Cl\) are at one place"),
        (frame().replace("0 0 5", "0 4 0"), "a.xyz:0: the cell has no volume"),
        ('1\npbc="T T T"\nH 0 0 0\n', "a.xyz:0: periodic along a, but cell vector a is"),
        ("0\n\n", "a.xyz:0: there are no atoms"),
    ],
)
def test_bad_frames_are_refused_with_file_and_frame(tmp_path, text, words):
    with pytest.raises(DataError, match=words):
        read_structures(wrote(tmp_path / "a.xyz", text))


def test_what_is_no_text_is_refused(tmp_path):
    (tmp_path / "a.xyz").write_bytes(b"\xff\xfe\x00\x80" * 20)
    with pytest.raises(DataError, match=r"a.xyz:0: this is not text"):
        read_structures(tmp_path / "a.xyz")


def test_values_that_text_cannot_hold_are_left_out(water, tmp_path):
    odd: Structure = replace(water, info={"thing": object(), "kept": "yes"})
    write_structures(tmp_path / "a.xyz", [odd])
    assert dict(read_structures(tmp_path / "a.xyz")[0].info) == {"kept": "yes"}


def test_columns_that_text_cannot_hold_are_refused_by_name(water, tmp_path):
    odd: Structure = replace(water, info={"phases": np.array([1j, 2j, 3j])})
    with pytest.raises(DataError, match=r"water.xyz:0 cannot be written as extended XYZ"):
        write_structures(tmp_path / "a.xyz", [odd])
    assert list(tmp_path.iterdir()) == []
