"""Labels one by one: each fault by its name, none where there is none."""

from dataclasses import replace

import numpy as np
import pytest

from hermtk.audit.labels import labels
from hermtk.data.dataset import builtin_path, read_structures
from hermtk.data.structure import Structure


@pytest.fixture(scope="module")
def sound() -> list[Structure]:
    return read_structures(builtin_path())[:60]


def found(structures: list[Structure]) -> dict[str, object]:
    return {f.name: f for f in labels({"train": structures})}


def test_sound_labels(sound):
    assert found(sound) == {}


def test_missing_forces_in_three_frames_are_counted_and_named(sound):
    bare = [replace(s, forces=None) if k in (4, 7, 9) else s for k, s in enumerate(sound)]
    finding = found(bare)["missing-labels"]
    assert "3 of 60 structures have no forces" in finding.summary
    assert finding.structures == tuple(sound[k].source for k in (4, 7, 9))


def test_sets_without_any_forces_are_noted_only(sound):
    finding = found([replace(s, forces=None) for s in sound])["missing-labels"]
    assert finding.severity == "note"


def test_net_forces(sound):
    pushed = [replace(s, forces=s.forces + np.array([0.05, 0, 0])) for s in sound]
    finding = found(pushed)["net-forces"]
    assert finding.evidence["count"] == 60
    assert abs(finding.evidence["median_per_atom"] - 0.05) < 1e-3


def test_net_torque_and_forces_of_another_frame(sound):
    swapped = [replace(s, forces=sound[20].forces) if k == 30 else s for k, s in enumerate(sound)]
    findings = found(swapped)
    assert set(findings) == {"net-torque", "repeated-forces"}
    assert findings["repeated-forces"].evidence["pairs"] == [[sound[20].source, sound[30].source]]
    assert findings["net-torque"].structures == (sound[30].source,)


def test_the_same_frame_twice_is_no_fault_of_labels(sound):
    assert found([*sound, replace(sound[3], positions=sound[3].positions + 2.0)]) == {}


def test_energies_that_are_all_the_same_and_forces_that_are_all_zero(sound):
    dead = [replace(s, energy=-1.0, forces=np.zeros_like(s.forces)) for s in sound]
    assert set(found(dead)) == {"constant-energies", "zero-forces"}


def test_calculations_that_did_not_converge(sound):
    marked = [replace(s, info={**s.info, "converged": k != 5}) for k, s in enumerate(sound)]
    assert found(marked)["unconverged"].structures == (sound[5].source,)
