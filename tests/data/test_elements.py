"""Element symbols and atomic numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermtk.data.elements import number_of, symbols
from hermtk.errors import DataError, UnknownName


@given(st.lists(st.integers(1, 118)))
def test_symbols_and_numbers_are_inverse(numbers):
    assert [number_of(symbol) for symbol in symbols(numbers)] == numbers


def test_some_symbols_are_as_the_periodic_table_has_them():
    assert symbols([1, 6, 8, 26, 82, 118]) == ["H", "C", "O", "Fe", "Pb", "Og"]


@pytest.mark.parametrize(("wrong", "near"), [("fe", "Fe"), ("Hx", "H"), ("Iro", "Ir"), ("CA", "Ca")])
def test_a_wrong_symbol_is_refused_with_the_nearest_one(wrong, near):
    with pytest.raises(UnknownName, match=f"no element named '{wrong}'. Did you mean '{near}'"):
        number_of(wrong)


@pytest.mark.parametrize("number", [0, -1, 119])
def test_a_number_outside_the_table_is_refused(number):
    with pytest.raises(DataError, match=f"{number} is not an atomic number"):
        symbols([6, number])
