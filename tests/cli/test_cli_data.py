"""`hermtk data info|audit|split|subset`."""

import json
from dataclasses import replace

import numpy as np
import pytest

from audit_world import crystals, molecules, turned
from hermtk.data.dataset import read_structures, write_structures


@pytest.fixture
def ethanol(tmp_path):
    path = tmp_path / "ethanol.extxyz"
    write_structures(path, [replace(s, info={"group": k // 4}) for k, s in enumerate(molecules(40))])
    return path


@pytest.fixture
def mixed(tmp_path):
    path = tmp_path / "mixed.extxyz"
    write_structures(path, [*molecules(20), *molecules(10, name="H2O"), *crystals(10)])
    return path


def test_info_counts_and_measures(hermtk, mixed):
    found = json.loads(hermtk("data", "info", mixed, "--json").out)
    assert (found["structures"], found["atoms"], found["compositions"]) == (40, 20 * 9 + 10 * 3 + 10 * 4, 3)
    assert found["elements"]["H"] == {"atoms": 20 * 6 + 10 * 2, "structures": 30}
    assert found["sizes"] == {"min": 3, "median": 6.5, "max": 9}
    assert found["periodic"] == {"0": 30, "3": 10}
    assert found["labels"] == {"energy": 40, "forces": 30, "stress": 0}
    structures = read_structures(mixed)
    forces = np.concatenate([s.forces for s in structures if s.forces is not None])
    assert found["forces"]["rms"] == pytest.approx(np.sqrt(np.mean(forces**2)))
    assert found["energy_per_atom"]["max"] == pytest.approx(max(s.energy / len(s) for s in structures))
    shown = hermtk("data", "info", mixed)
    assert shown.status == 0
    for text in (
        "40 with 250 atoms, 3 compositions",
        "3 to 9 atoms, median 6.5",
        "forces in 30",
        "three in 10",
    ):
        assert text in shown.out


def test_info_draws_histograms(hermtk, mixed, tmp_path):
    shown = hermtk("data", "info", mixed, "--out", tmp_path / "mixed.png")
    assert f"wrote {tmp_path / 'mixed.png'}" in shown.err
    assert (tmp_path / "mixed.png").read_bytes().startswith(b"\x89PNG")


def test_info_of_structures_without_labels_draws_what_there_is(hermtk, tmp_path):
    bare = [replace(s, energy=None, forces=None) for s in molecules(3)]
    write_structures(tmp_path / "bare.extxyz", bare)
    assert hermtk("data", "info", tmp_path / "bare.extxyz", "--out", "bare.png").status == 0
    assert "none" in hermtk("data", "info", tmp_path / "bare.extxyz").out


def test_units_are_declared_as_elsewhere(hermtk, ethanol):
    found = json.loads(hermtk("data", "info", ethanol, "--length-unit", "Bohr", "--json").out)
    plain = json.loads(hermtk("data", "info", ethanol, "--json").out)
    assert found["closest"]["distance"] == pytest.approx(0.529177 * plain["closest"]["distance"], rel=1e-5)


def audited(hermtk, *arguments) -> dict[str, dict]:
    found = json.loads(hermtk("data", "audit", *arguments, "--json").out)
    return {finding["name"]: finding for finding in found["findings"]}


def test_audit_of_clean_data_finds_no_error(hermtk, ethanol, tmp_path):
    test = tmp_path / "test.extxyz"
    write_structures(test, molecules(10, 1))
    shown = hermtk("data", "audit", ethanol, "--test", test, "--strict")
    assert shown.status == 0
    assert "0 errors" in shown.out
    assert "angles within 5 Å" in shown.out
    assert [
        f["name"] for f in audited(hermtk, ethanol, "--test", test).values() if f["severity"] != "note"
    ] == []


def test_audit_names_what_is_wrong_and_strict_makes_it_a_failure(hermtk, ethanol, tmp_path):
    train = read_structures(ethanol)
    write_structures(
        tmp_path / "test.extxyz", [*molecules(10, 1), turned(train[3]), *molecules(1, name="CH3NO2")]
    )
    arguments = ("data", "audit", ethanol, "--test", tmp_path / "test.extxyz", "--variant", "htnet")
    shown = hermtk(*arguments)
    assert shown.status == 0
    for name in ("duplicates-across-sets", "unseen-elements", "starving-relations"):
        assert f"error {name}" in shown.out
    assert "of them never: " in shown.out
    assert hermtk(*arguments, "--strict").status == 1
    found = json.loads(hermtk(*arguments, "--json").out)
    assert found["coverage"]["test"]["elements"]["N"] == [1, 1]
    assert found["structures"] == {"train": 40, "test": 12}
    assert found["variant"] == "htnet"
    (starved,) = [finding for finding in found["findings"] if finding["name"] == "starving-relations"]
    assert starved["evidence"]["relations"]["O-N-O"] == {"train": 0, "used": 2}


def test_structures_that_cannot_be_are_findings_not_failures(hermtk, ethanol, tmp_path):
    text = ethanol.read_text().splitlines()
    # the first atom of the third frame
    words = text[2 * 11 + 2].split()
    words[1] = "nan"
    text[2 * 11 + 2] = " ".join(words)
    broken = tmp_path / "broken.extxyz"
    broken.write_text("\n".join(text) + "\n")
    finding = audited(hermtk, broken)["invalid-structures"]
    assert finding["severity"] == "error"
    assert finding["evidence"] == {"set": "train", "structures": 1}
    assert "broken.extxyz:2" in finding["structures"][0]
    assert "1 of 40 structures of train" in finding["summary"]


def test_lengths_in_bohr_are_found_from_the_command_line(hermtk, ethanol):
    assert "length-unit" in audited(hermtk, ethanol, "--length-unit", "Bohr")


def test_an_unknown_variant_is_refused_with_the_nearest(hermtk, ethanol):
    assert "Did you mean 'htnet'?" in hermtk("data", "audit", ethanol, "--variant", "htnett").error


def test_a_store_is_audited_without_being_read_into_memory(hermtk, ethanol, tmp_path):
    from hermtk.data.store import Store

    write_structures(tmp_path / "ethanol.store", read_structures(ethanol))
    assert isinstance(Store(tmp_path / "ethanol.store")[0].energy, float)
    found = json.loads(hermtk("data", "audit", tmp_path / "ethanol.store", "--json").out)
    assert found["structures"] == {"train": 40}
    assert json.loads(hermtk("data", "info", tmp_path / "ethanol.store", "--json").out)["structures"] == 40


@pytest.mark.parametrize("by", ["random", "composition", "block", "element"])
def test_split_writes_three_sets_without_a_structure_twice(hermtk, mixed, tmp_path, by):
    out = tmp_path / "parts"
    shown = hermtk("data", "split", mixed, "--by", by, "--out", out, "--json")
    assert shown.status == 0, shown.err
    sets = json.loads(shown.out)["sets"]
    assert sum(row["structures"] for row in sets.values()) == 40
    energies = [s.energy for name in sets for s in read_structures(out / f"{name}.extxyz")]
    assert sorted(energies) == pytest.approx(sorted(s.energy for s in read_structures(mixed)))
    if by in {"random", "block", "element"}:
        assert [row["structures"] for row in sets.values()] == [32, 4, 4]


def test_split_by_group_keeps_groups_together(hermtk, ethanol, tmp_path):
    arguments = ("data", "split", ethanol, "--by", "group", "--key", "group", "--out", tmp_path / "parts")
    assert hermtk(*arguments, "--seed", "3").status == 0
    groups = [
        {s.info["group"] for s in read_structures(tmp_path / "parts" / f"{name}.extxyz")}
        for name in ("train", "validation", "test")
    ]
    assert sum(map(len, groups)) == 10
    assert len(set.union(*groups)) == 10


def test_split_of_numbers_leaves_the_rest(hermtk, ethanol, tmp_path):
    shown = hermtk(
        "data",
        "split",
        ethanol,
        "--train",
        20,
        "--validation",
        5,
        "--test",
        0,
        "--out",
        tmp_path / "p",
        "--to",
        "ragged",
    )
    assert shown.status == 0
    assert "15 of 40 structures are in none" in shown.err
    assert len(read_structures(tmp_path / "p" / "train.npz")) == 20
    assert not (tmp_path / "p" / "test.npz").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--by", "groups"), "Did you mean 'group'?"),
        (("--by", "group"), "--key NAME"),
        (("--by", "group", "--key", "grup"), "Did you mean 'group'?"),
        (("--train", "most"), "--train most is neither a share (0.8) nor a number of structures (950)"),
        (("--train", "0.9"), "larger than the set, which has 40"),
        (("--to", "extxy"), "Did you mean 'extxyz'?"),
    ],
)
def test_splits_that_cannot_be_are_refused_and_write_nothing(
    hermtk, ethanol, tmp_path, unchanged, arguments, said
):
    assert said in hermtk("data", "split", ethanol, "--out", tmp_path / "parts", *arguments).error
    assert unchanged()


def test_existing_files_are_replaced_only_by_force(hermtk, ethanol, tmp_path):
    split = ("data", "split", ethanol, "--out", tmp_path)
    subset = ("data", "subset", ethanol, 5, "--out", tmp_path / "few.extxyz")
    for arguments, name in ((split, "train.extxyz"), (subset, "few.extxyz")):
        assert hermtk(*arguments).status == 0
        assert f"{name} exists" in hermtk(*arguments).error
        assert hermtk(*arguments, "--force").status == 0


def test_a_random_subset_has_its_size(hermtk, ethanol, tmp_path):
    shown = hermtk("data", "subset", ethanol, 7, "--out", tmp_path / "few.extxyz", "--seed", 1)
    assert "7 of 40 structures" in shown.err
    assert len(read_structures(tmp_path / "few.extxyz")) == 7


def test_a_farthest_subset_takes_the_strangers_first(hermtk, tmp_path):
    many = [*molecules(30, scale=0.01), *molecules(1, name="CH3NO2"), *crystals(1)]
    write_structures(tmp_path / "many.extxyz", many)
    shown = hermtk(
        "data",
        "subset",
        tmp_path / "many.extxyz",
        3,
        "--method",
        "farthest",
        "--out",
        tmp_path / "few.extxyz",
        "--json",
    )
    found = json.loads(shown.out)
    assert {30, 31} < set(found["structures"])
    assert found["distances"][0] is None
    assert found["distances"][1] >= found["distances"][2] > 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [((41,), "larger than the set, which has 40"), ((5, "--method", "nearest"), "no method named 'nearest'")],
)
def test_subsets_that_cannot_be_are_refused(hermtk, ethanol, tmp_path, unchanged, arguments, said):
    assert said in hermtk("data", "subset", ethanol, *arguments, "--out", tmp_path / "few.extxyz").error
    assert unchanged()
