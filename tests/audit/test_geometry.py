"""Geometry that cannot be, found by name, and none in what can."""

from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk, fcc111, molecule

from audit_world import crystals, from_ase, molecules, scaled
from hermtk.audit.findings import Finding
from hermtk.audit.geometry import COLLIDING, Shapes, geometry_findings
from hermtk.audit.views import views
from hermtk.data.structure import Structure
from hermtk.units import LENGTH

ETHANOL = molecules(20)


def found(structures: list[Structure], cutoff: float = 5.0) -> dict[str, Finding]:
    shapes = Shapes()
    for _, _, seen in views({"train": structures}, cutoff):
        shapes.add(seen)
    return {finding.name: finding for finding in geometry_findings({"train": shapes})}


SETS = {
    "ethanol": ETHANOL,
    "hydrogen": [from_ase(molecule("H2"))] * 3,
    "argon": [from_ase(bulk("Ar", cubic=True)), from_ase(bulk("Ne", "fcc", a=4.43, cubic=True))],
    "lithium": [from_ase(bulk("Li", cubic=True))],
    "tungsten": [from_ase(bulk("W", cubic=True))],
    "potassium": [from_ase(bulk("K", cubic=True))],
    "diamond": [from_ase(bulk("C", cubic=True))],
    "salt": [from_ase(bulk("NaCl", "rocksalt", a=5.64, cubic=True))],
    "surface": [from_ase(fcc111("Pt", (2, 2, 3), vacuum=10.0))],
    "atoms": [Structure(np.array([z]), np.zeros((1, 3))) for z in (1, 6, 8)],
    "heaviest": [Structure(np.array([118, 118]), np.array([[0.0, 0, 0], [0, 0, 3.4]]))],
    # a scan of one distance
    "dimers": [
        Structure(np.array([7, 7]), np.array([[0.0, 0, 0], [0, 0, d]])) for d in np.linspace(0.9, 4.0, 40)
    ],
}


@pytest.mark.parametrize("name", SETS)
def test_what_can_be_is_not_reported(name):
    assert found(SETS[name]) == {}


@pytest.mark.parametrize("structures", [ETHANOL, crystals(10), SETS["lithium"], SETS["salt"]])
@pytest.mark.parametrize(
    ("factor", "said"),
    [
        (1 / LENGTH["Bohr"], "like Bohr, read as Angstrom"),
        (1 / LENGTH["nm"], "like nm, read as Angstrom"),
        (LENGTH["Bohr"], "like Angstrom, declared as Bohr"),
        (LENGTH["nm"], "like Angstrom, declared as nm"),
    ],
)
def test_lengths_in_another_unit_are_recognised(structures, factor, said):
    findings = found([scaled(s, factor) for s in structures])
    assert set(findings) == {"length-unit"}
    assert findings["length-unit"].severity == "error"
    assert said in findings["length-unit"].summary


def test_colliding_atoms_are_named_with_their_elements_and_distance():
    close = replace(ETHANOL[3], positions=ETHANOL[3].positions.copy())
    # a hydrogen almost upon the first carbon
    close.positions[8] = close.positions[0] + [0.2, 0, 0]
    findings = found([*ETHANOL, close])
    assert set(findings) == {"colliding-atoms"}
    finding = findings["colliding-atoms"]
    assert finding.evidence["pairs"] == {"C-H": 1}
    assert finding.evidence["smallest_ratio"] == pytest.approx(0.2 / 1.07, abs=0.01)
    assert "1 of 21 structures" in finding.summary
    assert finding.structures == (close.source,)


@pytest.mark.parametrize(("part", "count"), [(0.99, 1), (1.01, 0)])
def test_the_limit_is_the_documented_part_of_the_radii(part, count):
    distance = part * COLLIDING * (0.76 + 0.66)
    pair = Structure(np.array([6, 8]), np.array([[0.0, 0, 0], [0, 0, distance]]))
    assert len(found([*ETHANOL, pair])) == count


def test_isolated_atoms_in_structures_of_several_are_counted():
    far = ETHANOL[0].positions.copy()
    far[8] += [30.0, 0, 0]
    findings = found([*ETHANOL, replace(ETHANOL[0], positions=far, source="torn")])
    assert set(findings) == {"isolated-atoms"}
    assert (findings["isolated-atoms"].evidence["atoms"], findings["isolated-atoms"].structures) == (
        1,
        ("torn",),
    )


def test_a_cutoff_too_short_for_a_metal_is_said_and_no_matter_of_units():
    caesium = [from_ase(bulk("Cs", cubic=True))]
    assert set(found(caesium)) == {"isolated-atoms"}
    assert found(caesium, cutoff=6.0) == {}


def test_an_impossible_density_is_an_error():
    copper = crystals(20)
    squeezed = scaled(copper[0], 0.3)
    findings = found([*copper, squeezed])
    assert findings["strange-density"].severity == "error"
    assert findings["strange-density"].evidence["structures"] == 1
    assert findings["strange-density"].evidence["largest"] == pytest.approx(4 / squeezed.volume)


def test_of_many_faults_the_worst_ten_are_named():
    close = []
    for k in range(150):
        positions = ETHANOL[0].positions.copy()
        positions[8] = positions[0] + [0.1 + 0.001 * k, 0, 0]
        close.append(replace(ETHANOL[0], positions=positions, source=f"close:{k}"))
    finding = found([*ETHANOL, *reversed(close)])["colliding-atoms"]
    assert finding.evidence["structures"] == 150
    assert finding.structures == tuple(f"close:{k}" for k in range(10))
