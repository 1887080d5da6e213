"""Files of structures: found, read, checked, written."""

import hashlib
import resource
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from hermtk.data.builtin import generate
from hermtk.data.dataset import builtin_path, file_digest, read_structures, write_structures
from hermtk.data.formats.extxyz import ExtXYZ
from hermtk.data.statistics import elements_of
from hermtk.errors import ConfigError, DataError, RunError, UnknownName


@contextmanager
def disk_of(size: int):
    """No file may grow beyond ``size`` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    ("file", "count", "elements", "net_force", "stress"),
    [
        ("rmd17/ethanol_train01.npz", 1000, (1, 6, 8), 1e-4, False),
        ("rmd17/ethanol_test01.npz", 1000, (1, 6, 8), 1e-4, False),
        ("nbmotaw/test_unary_binary.npz", 180, (41, 42, 73, 74), 0.02, True),
        ("mapbi3_scan/all.npz", 500, (1, 6, 7, 53, 82), 1e-4, True),
        ("mlearn/Si_train.npz", 214, (14,), 0.02, True),
        ("mlearn/Si_test.npz", 25, (14,), 0.02, True),
    ],
)
def test_published_sets_are_read_whole_with_forces_that_cancel(
    shared, file, count, elements, net_force, stress
):
    data = read_structures(shared / "data" / file)
    assert len(data) == count
    assert elements_of(data) == elements
    assert all(s.energy is not None and s.forces is not None for s in data)
    assert all((s.stress is not None) is stress and s.pbc.all() == stress for s in data)
    assert max(float(np.abs(s.forces.sum(axis=0)).max()) for s in data) < net_force
    assert data[-1].source == f"{shared / 'data' / file}:{count - 1}"


def test_groups_of_a_published_set_are_kept_for_reports(shared):
    data = read_structures(shared / "data/nbmotaw/test_unary_binary.npz")
    assert all(isinstance(s.info["group"], str) for s in data)
    assert len({s.info["group"] for s in data}) > 1


def test_stress_of_a_published_set_is_positive_under_tension(shared):
    # along every set of differently strained silicon cells, the pressure falls as the volume per atom grows
    data = read_structures(shared / "data/mlearn/Si_train.npz")
    crystals = [s for s in data if len(s) == 64]
    volumes = np.array([s.volume / len(s) for s in crystals])
    traces = np.array([np.trace(s.stress) for s in crystals])
    assert np.corrcoef(volumes, traces)[0, 1] > 0.5


def test_the_same_molecule_in_kcal_and_in_ev_gives_the_same_structures(shared, tmp_path):
    in_ev = read_structures(shared / "data/rmd17/ethanol_test01.npz")[:20]
    kcal = 0.04336410424
    np.savez(
        tmp_path / "rmd17_ethanol.npz",
        nuclear_charges=in_ev[0].numbers,
        coords=np.stack([s.positions for s in in_ev]),
        energies=np.array([s.energy for s in in_ev]) / kcal,
        forces=np.stack([s.forces for s in in_ev]) / kcal,
    )
    for ours, theirs in zip(in_ev, read_structures(tmp_path / "rmd17_ethanol.npz"), strict=True):
        assert theirs.energy == pytest.approx(ours.energy, rel=1e-9)
        assert theirs.forces == pytest.approx(ours.forces, rel=1e-9)
        assert np.array_equal(theirs.positions, ours.positions)


def test_a_published_set_survives_extended_xyz(shared, tmp_path):
    data = read_structures(shared / "data/mapbi3_scan/all.npz")[:10]
    write_structures(tmp_path / "a.extxyz", data)
    for before, after in zip(data, read_structures(tmp_path / "a.extxyz"), strict=True):
        assert after.energy == before.energy
        assert np.abs(after.positions - before.positions).max() < 5.1e-9
        assert np.abs(after.forces - before.forces).max() < 5.1e-9
        assert np.abs(after.stress - (before.stress + before.stress.T) / 2).max() < 1e-15


def test_the_embedded_set_is_ethanol():
    if not builtin_path().exists():
        pytest.skip("the embedded set has not been made")
    data = read_structures(builtin_path())
    assert len(data) >= 500
    assert elements_of(data) == (1, 6, 8)
    assert all(sorted(s.numbers.tolist()) == [1] * 6 + [6, 6, 8] for s in data)
    # PBE/def2-SVP total energy of ethanol, and the residual net force of a converged calculation
    assert np.mean([s.energy for s in data]) == pytest.approx(-4210, abs=5)
    assert max(float(np.abs(s.forces.sum(axis=0)).max()) for s in data) < 1e-2


def test_the_script_of_the_embedded_set_resumes_and_ends_where_it_would_have(tmp_path, monkeypatch, capsys):
    rng = np.random.default_rng(0)
    positions = rng.normal(size=(23, 9, 3))
    monkeypatch.setattr(generate, "sample", lambda frames, seed: positions[:frames])
    labels = lambda numbers, x: (float(x.sum()), 2 * x)  # noqa: E731
    monkeypatch.setattr(generate, "label", labels)
    generate.generate(tmp_path / "whole.npz", 23)

    def stops(numbers, x):
        if np.array_equal(x, positions[14]):
            raise KeyboardInterrupt
        return labels(numbers, x)

    monkeypatch.setattr(generate, "label", stops)
    with pytest.raises(KeyboardInterrupt):
        generate.generate(tmp_path / "again.npz", 23)
    assert not (tmp_path / "again.npz").exists()
    monkeypatch.setattr(generate, "label", labels)
    generate.generate(tmp_path / "again.npz", 23)
    assert "20 of 23" in capsys.readouterr().out
    whole, again = read_structures(tmp_path / "whole.npz"), read_structures(tmp_path / "again.npz")
    assert [s.energy for s in again] == [s.energy for s in whole] == [float(x.sum()) for x in positions]
    assert all(np.array_equal(a.forces, b.forces) for a, b in zip(again, whole, strict=True))


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"there is no file .*absent.xyz"):
        read_structures(tmp_path / "absent.xyz")


@pytest.mark.parametrize("name", ["a.xyz", "a.npz", "a.traj"])
def test_an_empty_file_is_refused(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(DataError, match=rf"{name} is empty"):
        read_structures(tmp_path / name)


def test_a_file_of_blank_lines_holds_no_structures(tmp_path):
    (tmp_path / "a.xyz").write_text("\n\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"a.xyz holds no structures \(read as extxyz\)"):
        read_structures(tmp_path / "a.xyz")


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match="folder that no format recognises"):
        read_structures(tmp_path)


def test_an_unknown_format_is_refused_with_the_nearest_one(water, tmp_path):
    write_structures(tmp_path / "a.xyz", [water])
    with pytest.raises(UnknownName, match=r"no format named 'xyz'.*extxyz"):
        read_structures(tmp_path / "a.xyz", format="xyz")
    with pytest.raises(UnknownName, match=r"no format named 'raged'. Did you mean 'ragged'"):
        write_structures(tmp_path / "b.npz", [water], format="raged")


def test_a_named_format_reads_whatever_the_file_is_called(water, tmp_path):
    write_structures(tmp_path / "frames.txt", [water], format="extxyz")
    assert read_structures(tmp_path / "frames.txt", format="extxyz")[0].energy == water.energy


def test_a_format_with_an_option_that_nobody_can_give_is_refused(world, water, tmp_path):
    source = """
from hermtk.data.formats.base import Format

class Bare(Format):
    "A plugin."
    suffixes = (".bare",)
    def __init__(self, *, depth: int):
        self.depth = depth
    def read(self, path, units=None):
        yield
    def write(self, path, structures):
        path.touch()
"""
    world.install("bare", source=source, formats="bare = bare.module:Bare")
    (tmp_path / "a.bare").write_text("x")
    with pytest.raises(ConfigError, match="format 'bare' needs the option 'depth'"):
        read_structures(tmp_path / "a.bare")
    with pytest.raises(ConfigError, match="format 'bare' needs the option 'depth'"):
        write_structures(tmp_path / "b.bare", [water])


def test_nothing_is_not_written(tmp_path):
    with pytest.raises(DataError, match="no structures to write"):
        write_structures(tmp_path / "a.xyz", [])


@pytest.mark.parametrize("name", ["a.extxyz", "a.npz", "a.traj", "a.db"])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(crystal, tmp_path, name):
    path = tmp_path / name
    write_structures(path, [crystal])
    before = path.read_bytes()
    rng = np.random.default_rng(0)
    many = [replace(crystal, forces=rng.normal(size=(2, 3))) for _ in range(2000)]
    with (
        disk_of(16_000),
        pytest.raises(RunError, match=rf"{name} could not be written: (File too large|disk I/O error)"),
    ):
        write_structures(path, many)
    assert [file.name for file in tmp_path.iterdir()] == [name]
    assert path.read_bytes() == before


def test_a_folder_that_is_missing_is_named(water, tmp_path):
    with pytest.raises(RunError, match=r"absent/a.xyz could not be written: No such file or directory"):
        write_structures(tmp_path / "absent" / "a.xyz", [water])


def test_a_failure_in_the_middle_of_writing_leaves_nothing(water, tmp_path, monkeypatch):
    def half(self, path, structures):
        path.write_text("half", encoding="utf-8")
        raise KeyboardInterrupt

    monkeypatch.setattr(ExtXYZ, "write", half)
    with pytest.raises(KeyboardInterrupt):
        write_structures(tmp_path / "a.xyz", [water])
    assert list(tmp_path.iterdir()) == []


def test_the_digest_is_that_of_the_bytes(tmp_path):
    data = bytes(range(256)) * 5000
    (tmp_path / "a").write_bytes(data)
    assert file_digest(tmp_path / "a") == hashlib.sha256(data).hexdigest()
