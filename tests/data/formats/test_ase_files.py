"""What ASE reads."""

import numpy as np
import pytest
from ase.build import bulk
from ase.io import write

from hermtk.data.dataset import read_structures, write_structures
from hermtk.errors import DataError
from hermtk.units import Units


@pytest.mark.parametrize("suffix", [".traj", ".db", ".json"])
def test_the_files_of_ase_keep_every_label(crystal, suffix, tmp_path):
    path = tmp_path / f"a{suffix}"
    write_structures(path, [crystal, crystal])
    data = read_structures(path)
    assert [s.source for s in data] == [f"{path}:0", f"{path}:1"]
    for name in ("numbers", "positions", "cell", "pbc", "energy", "forces", "stress"):
        assert np.array_equal(getattr(data[1], name), getattr(crystal, name)), name


def test_a_file_without_labels_is_read_without_labels(tmp_path):
    write(tmp_path / "POSCAR", bulk("Cu", cubic=True), format="vasp")
    s = read_structures(tmp_path / "POSCAR")[0]
    assert s.numbers.tolist() == [29] * 4
    assert s.pbc.all()
    assert (s.energy, s.forces, s.stress) == (None, None, None)


def test_units_are_refused_for_ase_has_converted_already(crystal, tmp_path):
    write_structures(tmp_path / "a.traj", [crystal])
    with pytest.raises(DataError, match=r"a.traj: ASE reads this file as eV and Angstrom already"):
        read_structures(tmp_path / "a.traj", units=Units(energy="Ha"))


@pytest.mark.parametrize("name", ["a.traj", "a.cif", "vasprun.xml", "a.unheard_of", "notes"])
def test_a_file_that_ase_cannot_read_is_refused_in_one_paragraph(tmp_path, name):
    (tmp_path / name).write_text("nothing of use\n" * 3, encoding="utf-8")
    with pytest.raises(DataError, match=name):
        read_structures(tmp_path / name)


def test_files_that_would_lose_the_labels_are_not_written(crystal, tmp_path):
    with pytest.raises(DataError, match=r"labels would be lost in a file that ends in '.cif'; write .extxyz"):
        write_structures(tmp_path / "a.cif", [crystal])
    assert list(tmp_path.iterdir()) == []
