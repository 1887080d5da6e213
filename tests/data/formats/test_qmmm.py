"""Molecules among point charges."""

from pathlib import Path

import numpy as np
import pytest

from hermtk.data.dataset import read_structures, recognised
from hermtk.errors import DataError

CONTENT = {
    "numbers": np.array([8, 1]),
    "qm_positions": np.arange(12.0).reshape(2, 2, 3),
    "n_mm": np.array([3, 1]),
    "mm_positions": np.arange(12.0).reshape(4, 3) + 20,
    "mm_charges": np.array([0.4, 0.4, -0.8, 1.0]),
    "energy": np.array([-1.0, -2.0]),
    "qm_forces": np.arange(12.0).reshape(2, 2, 3) / 8,
    "mm_forces": -np.ones((4, 3)),
    "energy_vac": np.array([-0.5, -1.5]),
}


def test_atoms_are_the_structure_and_charges_stand_beside(tmp_path: Path) -> None:
    path = tmp_path / "solvated.npz"
    np.savez(path, **CONTENT)
    assert recognised(path) == "qmmm"
    first, second = read_structures(path)
    np.testing.assert_array_equal(second.numbers, [8, 1])
    np.testing.assert_array_equal(second.positions, CONTENT["qm_positions"][1])
    np.testing.assert_array_equal(second.forces, CONTENT["qm_forces"][1])
    assert (first.energy, second.energy) == (-1.0, -2.0)
    np.testing.assert_array_equal(first.info["mm_charges"], [0.4, 0.4, -0.8])
    np.testing.assert_array_equal(second.info["mm_positions"], CONTENT["mm_positions"][3:])
    np.testing.assert_array_equal(second.info["mm_forces"], [[-1, -1, -1]])
    assert second.info["energy_vac"] == -1.5


def test_geometries_without_charges_are_molecules(tmp_path: Path) -> None:
    path = tmp_path / "vacuum.npz"
    np.savez(path, **{**CONTENT, "n_mm": np.array([0, 4])})
    assert read_structures(path)[0].info["mm_charges"].shape == (0,)


def test_charges_that_do_not_add_up_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.npz"
    np.savez(path, **{**CONTENT, "n_mm": np.array([3, 2])})
    with pytest.raises(
        DataError, match=r"'mm_positions' of 2 geometries with 5 charges should have shape \(5, 3\)"
    ):
        read_structures(path)


def test_the_reference_set(shared: Path) -> None:
    structures = read_structures(shared / "data" / "qmmm_pyscf" / "formaldehyde.npz")
    for s in structures:
        assert s.forces is not None
        total = s.forces.sum(axis=0) + s.info["mm_forces"].sum(axis=0)
        assert np.abs(total).max() < 1e-9
