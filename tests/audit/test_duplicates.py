"""Duplicates: found however they are written, absent where there are none, their labels compared."""

from dataclasses import replace

import numpy as np
import pytest

from audit_world import crystals, molecules, repeated, turned
from hermtk.audit.duplicates import duplicate_findings
from hermtk.audit.findings import Finding
from hermtk.audit.twins import NEAR, Prints
from hermtk.audit.views import views
from hermtk.data.dataset import read_structures
from hermtk.data.structure import Structure

CUTOFF = 5.0


def found(**sets: list[Structure]) -> dict[str, Finding]:
    prints = {name: Prints() for name in sets}
    for name, _, seen in views(sets, CUTOFF):
        prints[name].add(seen)
    return {finding.name: finding for finding in duplicate_findings(sets, prints, CUTOFF)}


def test_clean_sets_have_none():
    assert found(train=molecules(60), test=molecules(30, 1)) == {}
    assert found(train=crystals(40), test=crystals(20, 1)) == {}


def test_a_set_of_one_structure_and_an_unlabelled_one_can_be_looked_at():
    bare = [replace(s, energy=None, forces=None) for s in molecules(3)]
    assert found(train=bare[:1], test=[]) == {}
    assert set(found(train=[*bare, bare[1]])) == {"duplicates"}


def test_literal_copies_across_sets_are_counted_and_named():
    train, test = molecules(40), molecules(20, 1)
    test = [*test, *train[5:8]]
    finding = found(train=train, test=test)["duplicates-across-sets"]
    assert finding.severity == "error"
    assert (finding.evidence["structures"], finding.evidence["copies"], finding.evidence["energy_twins"]) == (
        3,
        3,
        3,
    )
    assert "3 of 23 structures of test" in finding.summary
    assert finding.structures[0] == f"{train[5].source} = {train[5].source}"


@pytest.mark.parametrize("make", [molecules, crystals])
def test_twins_turned_and_renumbered_are_found(make):
    train = make(30)
    test = [*make(10, 1), turned(train[3]), turned(train[7], 1, mirror=True)]
    evidence = found(train=train, test=test)["duplicates-across-sets"].evidence
    assert (evidence["structures"], evidence["copies"], evidence["energy_twins"]) == (2, 0, 2)


def test_a_supercell_is_a_duplicate_of_its_cell():
    train = crystals(10)
    finding = found(train=[*train, repeated(train[4], (2, 1, 1))])["duplicates"]
    assert finding.severity == "warning"
    assert finding.evidence["structures"] == 1
    assert finding.structures == (f"{train[4].source} repeated = {train[4].source}",)


def test_of_many_alike_all_but_the_first_are_counted():
    train = molecules(5)
    alike = [turned(train[2], seed) for seed in range(6)]
    assert found(train=[*train, *alike])["duplicates"].evidence["structures"] == 6
    assert found(train=[*train, *[train[2]] * 6])["duplicates"].evidence["structures"] == 6


def test_neighbouring_frames_are_near_duplicates_and_no_duplicates():
    train = molecules(20)
    step = np.zeros((9, 3))
    step[0, 0] = 0.4 * NEAR
    test = [*molecules(10, 1), replace(train[4], positions=train[4].positions + step, source="next")]
    findings = found(train=train, test=test)
    assert set(findings) == {"near-duplicates-across-sets"}
    finding = findings["near-duplicates-across-sets"]
    assert 0.1 * NEAR < finding.evidence["nearest"] < NEAR
    assert finding.structures == (f"next = {train[4].source}",)
    far = replace(test[-1], positions=train[4].positions + 10 * step)
    assert found(train=train, test=[far]) == {}


def test_other_labels_for_one_geometry_contradict_each_other_with_their_size():
    train = molecules(20)
    wrong = replace(turned(train[3]), energy=(train[3].energy or 0.0) + 0.09, source="wrong")
    findings = found(train=[*train, wrong])
    finding = findings["contradicting-labels"]
    assert finding.severity == "error"
    assert finding.evidence["largest"]["energies"] == pytest.approx(0.01)
    assert "energies by up to 10 meV/atom" in finding.summary
    assert "One of each pair is wrong" in finding.summary
    assert findings["duplicates"].evidence["energy_twins"] == 0


def test_what_else_differs_is_named():
    train = [replace(s, info={"field": np.zeros(3), "run": 1}) for s in molecules(20)]
    other = replace(train[3], forces=3 * train[3].forces, info={"field": np.ones(3), "run": 1})
    finding = found(train=[*train, other])["contradicting-labels"]
    assert finding.evidence["differing"] == ["field"]
    assert finding.evidence["largest"]["rms_forces"] > 0.02
    assert "They differ in field too" in finding.summary


def test_small_noise_of_labels_is_no_contradiction():
    train = molecules(20)
    noisy = replace(turned(train[3]), energy=(train[3].energy or 0.0) + 9 * 5e-4)
    assert set(found(train=[*train, noisy])) == {"duplicates"}


def test_energies_that_chance_makes_equal_are_not_reported():
    rng = np.random.default_rng(0)
    # 500 energies within 0.2 meV/atom: several pairs within 1e-6 by chance
    train, test = (
        [replace(s, energy=-100 + 9 * rng.uniform(0, 2e-4)) for s in molecules(500, seed)] for seed in (0, 1)
    )
    gaps = np.abs(np.subtract.outer(*[[s.energy / 9 for s in part] for part in (train, test)]))
    assert (gaps < 1e-6).any(axis=0).sum() > 100
    assert found(train=train, test=test) == {}


def test_energies_written_to_other_structures_are_reported_with_what_chance_gives():
    train, test = molecules(200), molecules(100, 1)
    test = [replace(s, energy=train[k].energy) for k, s in enumerate(test)]
    findings = found(train=train, test=test)
    assert set(findings) == {"energy-coincidences"}
    evidence = findings["energy-coincidences"].evidence
    assert evidence["structures"] == 100
    assert evidence["expected"] < 10


@pytest.mark.parametrize(
    ("train", "test", "twins"),
    [
        ("mlearn/Cu_train", "mlearn/Cu_test", 11),
        pytest.param("mlearn/Si_train", "mlearn/Si_test", 3, marks=pytest.mark.slow),
        pytest.param("mlearn/Mo_train", "mlearn/Mo_test", 0, marks=pytest.mark.slow),
        ("md17_orig/ethanol_train1000", "md17_orig/ethanol_test1000", 3),
        ("rmd17/ethanol_train01", "rmd17/ethanol_test01", 0),
    ],
)
def test_known_energy_twins_of_reference_sets_are_found(shared, train, test, twins):
    sets = {
        part: read_structures(shared / "data" / f"{name}.npz")
        for part, name in (("train", train), ("test", test))
    }
    findings = found(**sets)
    known = (
        findings["duplicates-across-sets"].evidence["energy_twins"]
        if "duplicates-across-sets" in findings
        else 0
    )
    assert known == twins
    if "ethanol_train01" in train:
        assert findings == {}


def test_geometries_repeated_in_another_field_are_found(shared):
    findings = found(train=read_structures(shared / "data" / "fireann_nma" / "validation.npz"))
    assert findings["duplicates"].evidence["structures"] == 5
    assert "field" in findings["contradicting-labels"].evidence["differing"]


def test_frames_duplicated_across_the_split_of_rmd17_are_found(shared):
    train, test = (
        read_structures(shared / "data" / "rmd17" / f"ethanol_{part}01.npz") for part in ("train", "test")
    )
    finding = found(train=train[:200], test=[*test[:95], *train[100:105]])["duplicates-across-sets"]
    assert finding.evidence["structures"] == 5


def test_the_same_surroundings_in_other_proportions_are_no_twins():
    def gas(*bonds: float) -> Structure:
        ends = [np.array([[0, 0, 30.0 * k], [0, 0, 30.0 * k + bond]]) for k, bond in enumerate(bonds)]
        cell = np.diag([30.0, 30.0, 30.0 * len(bonds)])
        return Structure(np.ones(2 * len(bonds), np.int64), np.concatenate(ends), cell, np.ones(3, bool))

    assert found(train=[gas(0.74, 0.74, 0.76)], test=[gas(0.74, 0.76, 0.76)]) == {}
    assert set(found(train=[gas(0.74, 0.74, 0.76)], test=[gas(0.76, 0.74, 0.74)])) == {
        "duplicates-across-sets"
    }
