"""`hermtk convert`: any format to any other, compared before it counts, whole or not at all."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hermtk.data.dataset import read_structures, write_structures
from hermtk.data.formats.extxyz import ExtXYZ
from hermtk.units import ENERGY
from training_world import clusters


def test_what_was_written_is_said(hermtk, data):
    shown = hermtk("convert", data, "out.npz")
    assert (shown.status, shown.out) == (0, "")
    assert shown.err == "wrote out.npz: 12 structures of H, C, O; energy of all, forces of all\n"
    for before, after in zip(read_structures(data), read_structures("out.npz"), strict=True):
        assert after.energy == before.energy
        assert np.array_equal(after.forces, before.forces)
    assert [path.name for path in Path().iterdir()] == ["out.npz"]


def test_labels_that_some_have_are_counted_and_what_is_lost_is_named(hermtk):
    first, second, third = clusters(3)
    mixed = [replace(first, forces=None), replace(second, info={"group": "a"}), third]
    write_structures("in.extxyz", mixed)
    shown = hermtk("convert", "in.extxyz", "out", "--format-out", "deepmd")
    wrote, lost = shown.err.splitlines()
    assert wrote == "wrote out: 3 structures of H, C, O; energy of all, forces of 2"
    assert lost == "this format cannot hold, and out is without: group (1)"
    assert {place.name for place in Path("out").iterdir()} == {"H3C2O", "H3C2O.2"}


def test_json_has_the_counts(hermtk):
    write_structures("in.extxyz", [replace(s, info={"k": k}) for k, s in enumerate(clusters(2))])
    shown = hermtk("convert", "in.extxyz", "out", "--format-out", "deepmd", "--json")
    assert shown.err == ""
    assert json.loads(shown.out) == {
        "file": "out",
        "structures": 2,
        "atoms": 12,
        "elements": {"H": 6, "C": 4, "O": 2},
        "labels": {"energy": 2, "forces": 2, "stress": 0},
        "info": {},
        "dropped": {"k": 2},
    }


def test_units_are_those_of_the_input_and_the_output_is_in_ours(hermtk):
    (one,) = clusters(1)
    write_structures("in.extxyz", [one])
    assert hermtk("convert", "in.extxyz", "out.npz", "--energy-unit", "Ha").status == 0
    assert read_structures("out.npz")[0].energy == pytest.approx(one.energy * ENERGY["Ha"])


def test_formats_can_be_named(hermtk, data):
    Path("frames.txt").write_bytes(data.read_bytes())
    shown = hermtk("convert", "frames.txt", "out.dat", "--format-in", "extxyz", "--format-out", "ragged")
    assert shown.status == 0
    assert len(read_structures("out.dat", format="ragged")) == 12


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["DATA", "kept.npz"], "kept.npz exists: choose another place, or replace it with --force"),
        (["kept.npz", "kept.npz", "--force"], "kept.npz is the input, or in it, or holds it"),
        (["DATA", "nowhere/out.npz"], "there is no folder nowhere"),
        (["nowhere.xyz", "out.npz"], "there is no file nowhere.xyz"),
        (["DATA", "out.npz", "--format-out", "deepnd"], "no format named 'deepnd'. Did you mean 'deepmd'"),
        (["DATA", "out.npz", "--energy-unit", "ev"], None),
        (["DATA", "out.npz", "--energy-unit", "kcal"], "no energy unit named 'kcal'"),
        (["DATA", "out.cif"], "labels would be lost in a file that ends in '.cif'"),
        (["SLAB", "out", "--format-out", "deepmd"], "repeats in some directions only"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(hermtk, data, arguments, said):
    Path("kept.npz").write_bytes(b"kept")
    slab = Path("slab.xyz")
    slab.write_text('1\nLattice="3 0 0 0 3 0 0 0 3" pbc="T T F" energy=1.0\nC 0 0 0\n')
    before = {path.name for path in Path().iterdir()}
    shown = hermtk("convert", *({"DATA": data, "SLAB": slab}.get(a, a) for a in arguments))
    if said is None:
        assert shown.status == 0
        return
    assert shown.status == 1
    assert said in shown.error
    assert {path.name for path in Path().iterdir()} == before
    assert Path("kept.npz").read_bytes() == b"kept"


def test_force_replaces_files_and_folders(hermtk, data):
    for arguments in (["out.npz"], ["systems", "--format-out", "deepmd"]):
        assert hermtk("convert", data, *arguments).status == 0
        write_structures("other.xyz", clusters(3))
        assert hermtk("convert", "other.xyz", *arguments, "--force").status == 0
        assert len(read_structures(arguments[0])) == 3
    assert {path.name for path in Path().iterdir()} == {"out.npz", "systems", "other.xyz"}


def test_an_interrupt_leaves_what_was_there(hermtk, data, monkeypatch):
    def half(self, path, structures):
        path.write_text("half")
        raise KeyboardInterrupt

    Path("out.xyz").write_text("kept")
    monkeypatch.setattr(ExtXYZ, "write", half)
    assert hermtk("convert", data, "out.xyz", "--force").status == 130
    assert [path.name for path in Path().iterdir()] == ["out.xyz"]
    assert Path("out.xyz").read_text() == "kept"


def test_a_format_that_loses_labels_on_its_way_is_caught(hermtk, data, monkeypatch):
    write = ExtXYZ.write
    monkeypatch.setattr(
        ExtXYZ, "write", lambda self, p, s: write(self, p, (replace(x, forces=None) for x in s))
    )
    shown = hermtk("convert", data, "out.xyz")
    assert shown.status == 1
    assert (
        "cannot be carried to out.xyz: of its labels ({'energy': 12, 'forces': 12}) {'energy': 12}"
        in shown.error
    )
    assert list(Path().iterdir()) == []
