"""Targets of structures: found under which name, in which unit, and refused for what."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermtk.data.structure import Structure
from hermtk.data.targets import (
    ENERGY,
    TARGETS,
    find_target,
    having_predicted,
    require_targets,
    target_value,
    targeted,
    with_target,
)
from hermtk.errors import DataError, UnknownName

HARTREE = 27.211386245988
BOHR = 0.529177210903


def having(water: Structure, **info: object) -> Structure:
    return replace(water, info=info)


def test_the_table_knows_the_targets_of_qm9():
    kinds = {name: target.kind for name, target in TARGETS.items()}
    assert kinds == {
        "mu": "dipole", "alpha": "extensive", "homo": "intensive", "lumo": "intensive", "gap": "intensive", "r2": "extent",
        "zpve": "extensive", "U0": "extensive", "U": "extensive", "H": "extensive", "G": "extensive", "cv": "extensive",
    }  # fmt: skip
    assert find_target("energy") is ENERGY


@pytest.mark.parametrize(
    ("name", "written", "factor"),
    [
        ("mu", "mu_D", 1.0),
        ("mu", "mu_au", 2.541746),
        ("alpha", "alpha_A3", BOHR**-3),
        ("homo", "homo_Ha", HARTREE),
        ("gap", "gap_meV", 1e-3),
        ("r2", "r2_bohr2", 1.0),
        ("zpve", "zpve_kcalmol", 0.0433641),
        ("cv", "Cv_cal_molK", 1.0),
        ("cv", "cv_JmolK", 1 / 4.184),
    ],
)
def test_a_name_with_a_unit_is_its_target_in_our_unit(water, name: str, written: str, factor: float):
    structure = having(water, **{written: 2.0, "other": 9.0})
    for said in (name, written):
        target = find_target(said)
        assert target == TARGETS[name]
        assert target_value(structure, target) == pytest.approx(2 * factor, rel=1e-6)


def test_a_bare_name_is_in_our_unit_or_in_the_declared_one(water):
    assert target_value(having(water, homo=-7.5), TARGETS["homo"]) == -7.5
    assert target_value(having(water, homo=-0.25), TARGETS["homo"], HARTREE) == -0.25 * HARTREE
    # a unit in the name is not overruled
    assert target_value(having(water, homo_eV=-7.5), TARGETS["homo"], HARTREE) == -7.5


def test_an_unknown_unit_is_refused_with_the_nearest_name(water):
    with pytest.raises(UnknownName, match=r"named 'homo_Hartre'.* Did you mean 'homo_Hartree'"):
        target_value(having(water, homo_Hartre=-0.25), TARGETS["homo"])


def test_numbers_beside_the_target_do_not_matter(water):
    structure = having(water, alpha_bohr3=6.3, alpha_tensor_bohr3=np.ones(6), alpha_count=3)
    assert target_value(structure, TARGETS["alpha"]) == 6.3


@pytest.mark.parametrize("missing", [{}, {"gap_eV": np.nan}, {"gap": float("nan")}])
def test_a_missing_value_is_none(water, missing: dict[str, float]):
    assert target_value(having(water, **missing), TARGETS["gap"]) is None


@pytest.mark.parametrize("value", [np.ones(3), "1.0", None, True])
def test_what_is_not_one_number_is_refused(water, value: object):
    with pytest.raises(DataError, match=r"water\.xyz:0: gap should be one number per structure"):
        target_value(having(water, gap=value), TARGETS["gap"])


@given(st.floats(-1e6, 1e6))
def test_any_number_of_a_file_can_be_a_target(value: float):
    structure = Structure(np.array([1]), np.zeros((1, 3)), info={"colour": np.array([value])})
    target = find_target("colour")
    assert (target.unit, target.kind) == ("", "")
    assert target_value(structure, target) == value
    assert target_value(structure, target, HARTREE) == value * HARTREE


def test_training_sees_the_target_in_the_place_of_the_energy(water):
    structure = with_target(having(water, U0_Ha=-76.4), TARGETS["U0"])
    assert structure.energy == pytest.approx(-76.4 * HARTREE, rel=1e-9)
    assert structure.forces is None
    assert with_target(water, ENERGY) is water


def test_a_set_is_given_its_target_one_by_one(water):
    structures = [having(water, gap=float(k)) for k in range(5)]
    seen = targeted(structures, TARGETS["gap"])
    assert [s.energy for s in seen] == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert (len(seen), seen[-1].energy, [s.energy for s in seen[1:3]]) == (5, 4.0, [1.0, 2.0])
    assert targeted(structures, ENERGY) is structures


@pytest.mark.parametrize("name", ["mu", "r2"])
def test_moments_of_periodic_structures_are_refused(crystal, name: str):
    with pytest.raises(DataError, match=r"crystal.xyz:7 is periodic: .* is defined for molecules only"):
        with_target(having(crystal, **{name: 1.0}), TARGETS[name])


def test_a_prediction_takes_the_place_of_what_was_there(water):
    structure = having_predicted(having(water, homo_Ha=-0.25, gap=3.0), TARGETS["homo"], -6.5)
    assert structure.info == {"gap": 3.0, "homo": -6.5}


def test_missing_targets_are_counted_and_the_numbers_that_are_there_are_named(water):
    target = TARGETS["gap"]
    structures = [with_target(having(water, **info), target) for info in ({"gap": 1.0}, {"homo": 2.0})]
    with pytest.raises(
        DataError, match=r"1 of 2 structures have no gap, .* water.xyz:0. They have homo. .*allow-missing"
    ):
        require_targets(structures, target)
    assert require_targets(structures, target, allow_missing=True) == {"gap": 1}
    assert require_targets(structures[:1], target) == {}
    with pytest.raises(DataError, match="1 of 1 structures have no gap"):
        require_targets(structures[1:], target, allow_missing=True)


def test_a_misspelt_target_is_refused_with_the_nearest_number(water):
    target = find_target("homu")
    with pytest.raises(UnknownName, match=r"no target named 'homu'\. Did you mean 'homo'"):
        require_targets([with_target(having(water, homo=2.0, gap=1.0), target)], target)
