"""Units that a file may declare."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermtk.errors import UnknownName
from hermtk.units import ALIASES, ENERGY, LENGTH, STRESS, Units


def test_ours_are_the_default_and_change_nothing():
    ours = Units()
    assert (ours.energy, ours.length, ours.stress) == ("eV", "Angstrom", "eV/Angstrom^3")
    assert ours.energy_factor == ours.length_factor == ours.force_factor == ours.stress_factor == 1.0


# CODATA 2018, as printed; independent of the table in the module
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Ha", 27.211386245988),
        ("Ry", 13.605693122994),
        ("kcal/mol", 0.04336410424),
        ("kJ/mol", 0.01036426966),
        ("meV", 1e-3),
    ],
)
def test_energies_have_their_tabulated_size(name, value):
    assert Units(energy=name).energy_factor == pytest.approx(value, rel=1e-9)


def test_lengths_have_their_tabulated_size():
    assert Units(length="Bohr").length_factor == pytest.approx(0.529177210903, rel=1e-9)
    assert Units(length="nm").length_factor == 10.0


def test_a_gigapascal_is_ten_kilobar_and_1_over_160_of_ours():
    assert Units(stress="GPa").stress_factor == pytest.approx(1 / 160.2176634, rel=1e-9)
    assert Units(stress="GPa").stress_factor == pytest.approx(
        10 * Units(stress="kbar").stress_factor, rel=1e-14
    )
    assert Units(stress="Ha/Bohr^3").stress_factor == pytest.approx(29421.015697 / 160.2176634, rel=1e-9)


@given(st.sampled_from(sorted(ENERGY)), st.sampled_from(sorted(LENGTH)))
def test_a_force_is_an_energy_over_a_length(energy, length):
    units = Units(energy=energy, length=length)
    assert units.force_factor == pytest.approx(ENERGY[energy] / LENGTH[length], rel=1e-15)


@pytest.mark.parametrize("alias", sorted(ALIASES))
def test_every_alias_means_a_known_unit(alias):
    assert ALIASES[alias] in {*ENERGY, *LENGTH, *STRESS}


def test_an_alias_is_stored_by_its_proper_name():
    assert Units(energy="Hartree", length="Å").energy == "Ha"
    assert Units(energy="Hartree", length="Å") == Units(energy="Ha", length="Angstrom")


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [({"energy": "kcal"}, "kcal/mol"), ({"length": "Angstroem"}, "Angstrom"), ({"stress": "GPA"}, "GPa")],
)
def test_an_unknown_unit_is_refused_with_the_nearest_one(wrong, nearest):
    with pytest.raises(UnknownName, match=f"no {next(iter(wrong))} unit named .*Did you mean '{nearest}'"):
        Units(**wrong)
