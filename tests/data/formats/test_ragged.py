"""The archives of structures end to end, and of one composition."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hermtk.data.dataset import read_structures, write_structures
from hermtk.data.structure import Structure
from hermtk.errors import DataError
from hermtk.units import Units


def structure(n: int, rng: np.random.Generator) -> Structure:
    return Structure(
        numbers=rng.integers(1, 119, n),
        positions=rng.normal(size=(n, 3)) * 10,
        cell=np.eye(3) * 40 + rng.normal(size=(3, 3)),
        pbc=rng.integers(0, 2, 3).astype(bool),
        energy=float(rng.normal()) * 1e4,
        forces=rng.normal(size=(n, 3)),
        stress=rng.normal(size=(3, 3)),
        info={"group": "x" * n, "dipole": rng.normal(size=3), "charges": rng.normal(size=n), "step": n},
    )


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=5), st.integers(0, 2**32))
def test_what_is_written_is_read_back_to_the_last_bit(tmp_path_factory, sizes, seed):
    rng = np.random.default_rng(seed)
    path = tmp_path_factory.mktemp("ragged") / "set.npz"
    before = [structure(n, rng) for n in sizes]
    write_structures(path, before)
    after = read_structures(path)
    assert len(after) == len(before)
    for old, new in zip(before, after, strict=True):
        for name in ("numbers", "positions", "cell", "pbc", "energy", "forces", "stress"):
            assert np.array_equal(getattr(new, name), getattr(old, name)), name
        assert new.info["group"] == old.info["group"]
        assert np.array_equal(new.info["dipole"], old.info["dipole"])
        assert np.array_equal(np.ravel(new.info["charges"]), old.info["charges"])


def test_values_per_structure_and_per_atom_go_to_their_places(tmp_path):
    np.savez(
        tmp_path / "a.npz",
        n_atoms=np.array([1, 2], dtype=np.int32),
        numbers=np.array([1, 8, 1], dtype=np.uint8),
        positions=np.arange(9, dtype=np.float32).reshape(3, 3),
        group=np.array(["one", "two"]),
        gap=np.array([0.5, 1.5]),
        field=np.arange(6.0).reshape(2, 3),
        spins=np.array([1, 2, 3]),
        note=np.zeros(7),
    )
    one, two = read_structures(tmp_path / "a.npz")
    assert (one.info["group"], two.info["gap"]) == ("one", 1.5)
    assert type(two.info["gap"]) is float
    assert two.info["field"].tolist() == [3.0, 4.0, 5.0]
    assert two.info["spins"].tolist() == [2, 3]
    assert "note" not in one.info
    assert (one.energy, one.forces, one.stress) == (None, None, None)
    assert two.positions.dtype == np.float64


@pytest.mark.parametrize("key", ["energy", "energies"])
def test_one_composition_is_read_as_a_block(tmp_path, key):
    rng = np.random.default_rng(0)
    positions, energies, forces = rng.normal(size=(4, 2, 3)), rng.normal(size=4), rng.normal(size=(4, 2, 3))
    np.savez(
        tmp_path / "a.npz", numbers=np.array([6, 8]), positions=positions, forces=forces, **{key: energies}
    )
    data = read_structures(tmp_path / "a.npz")
    assert [s.energy for s in data] == energies.tolist()
    for k, s in enumerate(data):
        assert s.numbers.tolist() == [6, 8]
        assert np.array_equal(s.positions, positions[k])
        assert np.array_equal(s.forces, forces[k])


def test_one_composition_may_share_one_cell(tmp_path):
    cell = np.diag([4.0, 5.0, 6.0])
    np.savez(
        tmp_path / "a.npz",
        numbers=np.array([6]),
        positions=np.zeros((2, 1, 3)),
        cell=cell,
        pbc=np.array([True, True, True]),
    )
    for s in read_structures(tmp_path / "a.npz"):
        assert np.array_equal(s.cell, cell)
        assert s.pbc.all()


GOOD = {
    "n_atoms": np.array([1, 2]),
    "numbers": np.array([1, 8, 1]),
    "positions": np.arange(9.0).reshape(3, 3),
    "energy": np.array([-1.0, -2.0]),
    "forces": np.zeros((3, 3)),
}
BLOCK = {"numbers": np.array([1, 8]), "positions": np.arange(12.0).reshape(2, 2, 3), "energies": np.zeros(2)}


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({**GOOD, "n_atoms": np.array([1, 3])}, "2 structures with 4 atoms need 4 rows of 'numbers'"),
        ({**GOOD, "n_atoms": np.array([1, -2])}, "'n_atoms' should be one count per structure"),
        ({**GOOD, "n_atoms": np.array([0, 3])}, "a.npz:0: there are no atoms"),
        ({**GOOD, "energy": np.zeros(3)}, r"need 2 rows of 'energy', found shape \(3,\)"),
        ({**GOOD, "forces": np.zeros((3, 2))}, r"a.npz:0: forces of 1 atoms should have shape \(1, 3\)"),
        ({**GOOD, "forces": np.full((3, 3), np.nan)}, r"a.npz:0: the force of atom 0 \(H\) is not finite"),
        ({**GOOD, "energy": np.array([0, np.inf])}, "a.npz:1: the energy is not finite"),
        ({**GOOD, "energy": np.array(["a", "b"])}, "a.npz:0: the energy should be numbers"),
        ({**GOOD, "numbers": np.array([1, 8.5, 1])}, "a.npz:1: 8.5 is not an atomic number"),
        ({**GOOD, "numbers": np.array([1, 8, 0])}, "a.npz:1: atom 1 has the atomic number 0"),
        ({**GOOD, "positions": np.zeros((3, 3))}, "a.npz:1: atoms 0 .O. and 1 .H. are at one place"),
        ({**GOOD, "pbc": np.ones((2, 3), dtype=bool)}, "a.npz:0: periodic along a, but cell vector a"),
        ({**BLOCK, "energies": np.zeros(1)}, "need 2 rows of 'energy'"),
        ({**BLOCK, "forces": np.zeros((1, 2, 3))}, r"'forces' should have shape \(2, 2, 3\)"),
        ({**BLOCK, "numbers": np.array([1])}, r"'positions' should have shape \(structures, 1, 3\)"),
    ],
)
def test_archives_that_do_not_fit_are_refused(tmp_path, arrays, words):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=words) as caught:
        read_structures(tmp_path / "a.npz")
    assert "a.npz" in str(caught.value)


def test_units_other_than_its_own_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", **GOOD)
    read_structures(tmp_path / "a.npz", units=Units())
    with pytest.raises(DataError, match="eV and Angstrom by definition"):
        read_structures(tmp_path / "a.npz", units=Units(energy="Ha"))


def test_labels_of_only_some_structures_are_refused_in_writing(water, tmp_path):
    with pytest.raises(DataError, match=r"1 of 2 lack it.*water.xyz:0"):
        write_structures(tmp_path / "a.npz", [water, replace(water, forces=None)])
    assert list(tmp_path.iterdir()) == []


def test_unlabelled_structures_are_written_without_labels(water, tmp_path):
    write_structures(tmp_path / "a.npz", [replace(water, forces=None, energy=None)] * 2)
    assert read_structures(tmp_path / "a.npz")[1].energy is None
