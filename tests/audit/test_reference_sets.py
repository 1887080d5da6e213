"""What is known of the reference sets is found by the audit, and so is every fault seeded into a copy of them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk

from hermtk.audit.findings import Finding
from hermtk.audit.run import audit
from hermtk.data.atoms import from_atoms
from hermtk.data.dataset import iterate_structures, read_structures, write_structures
from hermtk.data.structure import Structure
from hermtk.units import ENERGY, LENGTH

pytestmark = pytest.mark.slow
Structures = list[Structure]


@cache
def read(path: Path) -> Structures:
    return read_structures(path)


def found(sets: dict[str, Structures], **options: object) -> dict[str, Finding]:
    return {f.name: f for f in audit(sets, **options).findings}  # type: ignore[arg-type]


def faults(findings: dict[str, Finding]) -> set[str]:
    return {name for name, finding in findings.items() if finding.severity != "note"}


def test_energy_twins_of_copper(shared: Path) -> None:
    sets = {name: read(shared / f"data/mlearn/Cu_{name}.npz") for name in ("train", "test")}
    finding = found(sets)["duplicates-across-sets"]
    assert "11" in finding.summary
    assert finding.evidence["energy_twins"] == 11


def test_net_forces_of_the_cantor_alloy(shared: Path) -> None:
    finding = found({"train": read(shared / "data/cantor_hea/cantor_deeppotse_subset.npz")})["net-forces"]
    assert finding.evidence["count"] == 20
    assert 0.02 < finding.evidence["median_per_atom"] < 0.06


def test_duplicate_geometries_in_fields(shared: Path) -> None:
    findings = found({"train": read(shared / "data/fireann_nma/validation.npz")})
    assert {"duplicates", "contradicting-labels"} & set(findings)


def test_triads_of_a_quaternary_cell_starve_in_binaries(shared: Path) -> None:
    atoms = bulk("W", cubic=True).repeat(3)
    atoms.numbers[:] = np.random.default_rng(0).choice([41, 42, 73, 74], len(atoms))
    atoms.rattle(0.05, seed=0)
    sets = {"train": read(shared / "data/nbmotaw/train.npz"), "test": [from_atoms(atoms, "quaternary")]}
    finding = found(sets, variant="htnet")["starving-relations"]
    assert finding.severity == "error"
    assert "Nb" in finding.summary or "Nb" in str(finding.evidence)


def ethanol(shared: Path) -> dict[str, Structures]:
    return {name: read(shared / f"data/rmd17/ethanol_{name}01.npz") for name in ("train", "test")}


def silicon(shared: Path) -> dict[str, Structures]:
    return {name: read(shared / f"data/mlearn/Si_{name}.npz") for name in ("train", "test")}


@pytest.mark.parametrize("sets", [ethanol, silicon])
def test_the_sets_themselves_are_sound(sets: Callable[[Path], dict[str, Structures]], shared: Path) -> None:
    # elastic strains along equivalent axes of silicon, within train and across both sets
    assert faults(found(sets(shared))) <= {
        "duplicates",
        "duplicates-across-sets",
        "near-duplicates-across-sets",
        "near-duplicates",
    }


def test_the_pulay_stress_of_copper_is_found(shared: Path) -> None:
    finding = found({"train": read(shared / "data/mlearn/Cu_train.npz")})["stress-offset"]
    assert 0.01 < finding.evidence["offset"] < 0.016


def each(change: Callable[[Structure], Structure]) -> Callable[[Structures], Structures]:
    return lambda structures: [change(s) for s in structures]


def some(
    change: Callable[[Structure], Structure], places: Callable[[int], bool]
) -> Callable[[Structures], Structures]:
    return lambda structures: [change(s) if places(k) else s for k, s in enumerate(structures)]


def shear(order: Sequence[int]) -> Callable[[Structure], Structure]:
    def change(s: Structure) -> Structure:
        assert s.stress is not None
        (xx, yy, zz), off = np.diag(s.stress), s.stress[[1, 0, 0], [2, 2, 1]]
        yz, xz, xy = off[list(order)]
        return replace(s, stress=np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]]))

    return change


def forces_of_another(structures: Structures) -> Structures:
    first = next(k for k, s in enumerate(structures) if s.forces is not None and np.abs(s.forces).max() > 1)
    other = next(
        k
        for k in reversed(range(len(structures)))
        if len(structures[k]) == len(structures[first]) and np.abs(structures[k].forces).max() > 1
    )
    changed = list(structures)
    changed[first] = replace(structures[first], forces=structures[other].forces)
    return changed


KCAL, BOHR = 1 / ENERGY["kcal/mol"], LENGTH["Bohr"]
BOTH = [
    ("energies in kcal/mol", each(lambda s: replace(s, energy=s.energy * KCAL)), "energy-unit"),
    ("forces of the wrong sign", each(lambda s: replace(s, forces=-s.forces)), "force-sign"),
    (
        "positions in Bohr",
        each(lambda s: replace(s, positions=s.positions / BOHR, cell=s.cell / BOHR)),
        "length-unit",
    ),
    ("forces of another frame", forces_of_another, "force-outliers"),
    (
        "5 % of energies shifted",
        some(lambda s: replace(s, energy=s.energy + 1.0), lambda k: k % 20 == 3),
        "energy-shift",
    ),
    (
        "missing forces",
        some(lambda s: replace(s, forces=None), lambda k: k in (5, 50, 150)),
        "missing-labels",
    ),
]
STRESS = [
    ("stress of the wrong sign", each(lambda s: replace(s, stress=-s.stress)), "stress-sign"),
    ("stress order xy xz yz", each(shear((2, 1, 0))), "stress-order"),
    ("stress order xz yz xy", each(shear((1, 0, 2))), "stress-order"),
    ("stress order xz xy yz", each(shear((1, 2, 0))), "stress-order"),
]
CASES = [(sets, *case) for sets in (ethanol, silicon) for case in BOTH] + [
    (silicon, *case) for case in STRESS
]


@pytest.mark.parametrize(
    ("sets", "title", "fault", "name"), CASES, ids=[f"{c[0].__name__}: {c[1]}" for c in CASES]
)
def test_seeded_faults_are_caught_by_name(
    sets: Callable[[Path], dict[str, Structures]],
    title: str,
    fault: Callable[[Structures], Structures],
    name: str,
    shared: Path,
) -> None:
    assert name in faults(found({"train": fault(sets(shared)["train"])})), title


@pytest.mark.parametrize("sets", [ethanol, silicon])
def test_frames_of_training_in_the_test_are_found(
    sets: Callable[[Path], dict[str, Structures]], shared: Path
) -> None:
    both = sets(shared)
    both["test"] = [*both["test"], *both["train"][3:8]]
    finding = found(both)["duplicates-across-sets"]
    assert finding.evidence["copies"] >= 5


def test_values_that_are_no_numbers_are_found(shared: Path, tmp_path: Path) -> None:
    structures = list(ethanol(shared)["train"][:50])
    assert structures[7].forces is not None
    structures[7] = replace(structures[7], forces=np.full_like(structures[7].forces, np.nan))
    path = tmp_path / "nan.npz"
    write_structures(path, structures)
    said: list[str] = []
    kept = list(iterate_structures(path, faulty=lambda _, problem: said.append(str(problem))))
    assert len(kept) == 49
    finding = found({"train": kept}, invalid={"train": said})["invalid-structures"]
    assert "nan.npz:7" in finding.summary
