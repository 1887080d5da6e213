"""What is written is read again: generated structures through every format, and from every format to every other."""

import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from data_world import assert_same, data_sets, structures
from hermtk.data.convert import convert
from hermtk.data.dataset import read_structures, recognised, write_structures
from hermtk.data.structure import Structure
from hermtk.errors import DataError

# finding the smallest example takes minutes where every one starts processes
NO_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)
# eight decimals
TEXT = 5.1e-9


@dataclass(frozen=True)
class Kept:
    """How a format is written, what it can hold, and how exactly."""

    name: str
    format: str | None = None
    needs: str | None = None
    sets: dict[str, Any] = field(default_factory=dict)
    positions: float = 0.0
    forces: float = 0.0
    stress: float = 0.0
    info: bool = True
    sorts: bool = False


WHOLE_OR_NOT = [(True, True, True), (False, False, False)]
FORMATS = {
    "extxyz": Kept("a.extxyz", positions=TEXT, forces=TEXT, stress=1e-15),
    # of info, what all structures have
    "ragged": Kept("a.npz", sets={"labels": "shared"}, info=False),
    "ase": Kept("a.traj", stress=1e-17),
    "deepmd": Kept(
        "a", "deepmd", sets={"periodic": WHOLE_OR_NOT, "info": False}, stress=1e-17, info=False, sorts=True
    ),
    "hdf5": Kept("a.h5", needs="h5py"),
    "lmdb": Kept("a.aselmdb", needs="lmdb", stress=1e-17),
    "store": Kept("a.store"),
    # vectors of some directions only have no place there
    "pymatgen": Kept("a.pymatgen.json", sets={"periodic": WHOLE_OR_NOT}, stress=1e-16),
}


def numbered(sets: list[Structure]) -> list[Structure]:
    """The same with energies that say their order."""
    return [replace(s, energy=float(k) if s.energy is not None else None) for k, s in enumerate(sets)]


def check(kept: Kept, before: list[Structure], after: list[Structure], more: Kept | None = None) -> None:
    worst = [
        max(getattr(kept, q), getattr(more, q) if more else 0.0) for q in ("positions", "forces", "stress")
    ]
    keeps_info = kept.info and (more is None or more.info)
    assert_same(before, after, positions=worst[0], forces=worst[1], stress=worst[2], info=keeps_info)


@pytest.mark.parametrize("name", FORMATS)
@settings(phases=NO_SHRINKING, max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_structures_survive_a_format(name: str, data: st.DataObject):
    kept = FORMATS[name]
    if kept.needs:
        pytest.importorskip(kept.needs, reason=f"{name} needs the package {kept.needs}")
    before = data.draw(data_sets(**kept.sets))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / kept.name
        write_structures(path, before, format=kept.format)
        assert recognised(path) == name
        after = read_structures(path)
    if kept.sorts:
        # by what they share, in the order of the first of each kind
        before, after = (sorted(s, key=_kind) for s in (before, after))
    check(kept, before, after)


@pytest.mark.parametrize("name", FORMATS)
def test_every_element_survives_a_format(name: str, tmp_path):
    kept = FORMATS[name]
    if kept.needs:
        pytest.importorskip(kept.needs, reason=f"{name} needs the package {kept.needs}")
    (molecule,) = read_structures(_all_elements(tmp_path))
    write_structures(tmp_path / kept.name, [molecule], format=kept.format)
    (after,) = read_structures(tmp_path / kept.name)
    assert after.numbers.tolist() == list(range(1, 119))


PAIRS = [(a, b) for a in FORMATS for b in FORMATS]


@pytest.mark.parametrize(("first", "second"), PAIRS, ids=["-".join(pair) for pair in PAIRS])
@settings(phases=NO_SHRINKING, max_examples=2, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_set_is_carried_from_every_format_to_every_other(first: str, second: str, data: st.DataObject):
    a, b = FORMATS[first], FORMATS[second]
    for package in filter(None, (a.needs, b.needs)):
        pytest.importorskip(package)
    before = numbered(data.draw(data_sets(labels="all", periodic=[(True, True, True)], max_structures=3)))
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "from" / a.name, Path(folder) / "to" / b.name
        source.parent.mkdir()
        target.parent.mkdir()
        write_structures(source, before, format=a.format)
        done = convert(source, target, format_out=b.format)
        after = sorted(read_structures(target), key=lambda s: s.energy or 0.0)
        assert [path.name for path in target.parent.iterdir()] == [b.name]
    check(a, before, after, b)
    assert done.written.structures == len(before)
    assert done.written.elements == done.read.elements
    assert set(done.dropped) == set(done.read.info) - set(done.written.info)


@settings(max_examples=10, deadline=None)
@given(structures(periodic=[(True, False, True), (True, False, False)]))
def test_a_slab_is_refused_by_deepmd_and_not_made_a_crystal(slab: Structure):
    with tempfile.TemporaryDirectory() as folder:
        with pytest.raises(DataError, match="repeats in some directions only"):
            write_structures(Path(folder) / "a", [slab], format="deepmd")
        assert list(Path(folder).iterdir()) == []


def _kind(s: Structure) -> tuple[Any, ...]:
    return s.numbers.tolist(), s.positions.tolist()


def _all_elements(folder: Path) -> Path:
    from ase.data import chemical_symbols

    lines = [f"{symbol} 0 0 {3 * k}" for k, symbol in enumerate(chemical_symbols[1:])]
    path = folder / "all.xyz"
    path.write_text("\n".join(["118", 'energy=1.0 pbc="F F F"', *lines, ""]), encoding="utf-8")
    return path
