"""Element symbols and atomic numbers."""

from collections.abc import Iterable

from ase.data import chemical_symbols

from hermtk.errors import DataError, UnknownName

# atomic number -> symbol; ASE's entry 0 is a dummy atom
SYMBOLS: dict[int, str] = dict(enumerate(chemical_symbols))
del SYMBOLS[0]
_NUMBERS: dict[str, int] = {symbol: number for number, symbol in SYMBOLS.items()}


def number_of(symbol: str) -> int:
    """The atomic number of an element.

    Raises:
        UnknownName: there is no such element (offers the nearest symbol).
    """
    if symbol not in _NUMBERS:
        raise UnknownName("element", symbol, _near(symbol))
    return _NUMBERS[symbol]


def symbols(numbers: Iterable[int]) -> list[str]:
    """The symbols of atomic numbers, in their order.

    Raises:
        DataError: a number outside 1..118.
    """
    return [_symbol(int(number)) for number in numbers]


def _near(symbol: str) -> list[str]:
    """The same letters in the right case, else the symbols with the same initial, else all."""
    right_case = symbol.capitalize()
    if right_case in _NUMBERS:
        return [right_case]
    return [known for known in _NUMBERS if known[0] == right_case[:1]] or list(_NUMBERS)


def _symbol(number: int) -> str:
    if number not in SYMBOLS:
        raise DataError(f"{number} is not an atomic number: they run from 1 to {len(SYMBOLS)}")
    return SYMBOLS[number]
