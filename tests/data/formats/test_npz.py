"""Archives are opened without running code from them."""

import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from hermtk.data.dataset import read_structures
from hermtk.errors import DataError


class Trap:
    """Pickled, it makes a file when it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("key", ["group", "energy", "numbers"])
def test_a_pickled_array_is_refused_and_never_run(tmp_path, key):
    mark = tmp_path / "ran"
    arrays = {
        "n_atoms": np.array([1]),
        "numbers": np.array([1]),
        "positions": np.zeros((1, 3)),
        "energy": np.zeros(1),
    }
    np.savez(tmp_path / "a.npz", allow_pickle=True, **{**arrays, key: np.array([Trap(mark)], dtype=object)})
    with pytest.raises(DataError, match=rf"a.npz: the array '{key}' is not plain.*can run code"):
        read_structures(tmp_path / "a.npz")
    assert not mark.exists()


def test_a_pickle_that_calls_itself_an_archive_is_refused_and_never_run(tmp_path):
    mark = tmp_path / "ran"
    (tmp_path / "a.npz").write_bytes(pickle.dumps(Trap(mark)))
    with pytest.raises(DataError, match=r"a.npz is damaged or cut"):
        read_structures(tmp_path / "a.npz")
    assert not mark.exists()


@pytest.mark.parametrize("fraction", [0.01, 0.3, 0.6, 0.95])
def test_an_archive_that_is_cut_is_refused(tmp_path, fraction):
    np.savez(tmp_path / "a.npz", numbers=np.array([1]), positions=np.zeros((50, 1, 3)))
    whole = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(whole[: int(len(whole) * fraction)])
    with pytest.raises(DataError, match=r"a.npz is damaged or cut"):
        read_structures(tmp_path / "a.npz")


def test_an_archive_with_a_changed_byte_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", numbers=np.array([1]), positions=np.linspace(0, 1, 3000).reshape(1000, 1, 3))
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        inside = archive.getinfo("positions.npy").header_offset + 5000
    raw = bytearray((tmp_path / "a.npz").read_bytes())
    raw[inside] ^= 0xFF
    (tmp_path / "a.npz").write_bytes(raw)
    with pytest.raises(DataError, match=r"a.npz: the array 'positions' is damaged"):
        read_structures(tmp_path / "a.npz")


def test_an_archive_of_something_else_is_refused_with_what_it_holds(tmp_path):
    np.savez(tmp_path / "a.npz", spectra=np.zeros(3), labels=np.zeros(3))
    with pytest.raises(DataError, match=r"a.npz holds labels, spectra, which no format recognises"):
        read_structures(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("format", "words"), [("ragged", "'numbers' and 'positions'"), ("sgdml", "neither rMD17")]
)
def test_an_archive_read_as_the_wrong_format_is_refused(tmp_path, format, words):
    np.savez(tmp_path / "a.npz", spectra=np.zeros(3))
    with pytest.raises(DataError, match=rf"a.npz .*{words}"):
        read_structures(tmp_path / "a.npz", format=format)
