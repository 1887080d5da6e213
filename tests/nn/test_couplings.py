"""Terms of a convolution: checked when they are written down, and told to the kernel without rounding."""

import math

import numpy as np
import pytest

from hermtk.kernels.convolution import _terms
from hermtk.nn.couplings import Couplings, Entry
from hermtk.subnets.painn import couplings as painn_couplings

SIZES = {"inputs": 3, "angulars": 4, "outputs": 4}


def test_the_text_is_exact():
    coefficients = (1 / 3, -math.sqrt(2), 1e-300, 5e-324, 0.1 + 0.2, np.float64(1) / 7)
    entries = tuple(Entry(path, path % 3, 1, 2, value) for path, value in enumerate(coefficients))
    text = Couplings(entries, **SIZES).text
    sizes, *terms = [part.split() for part in text.split(";")]
    assert sizes == ["3", "4", "4"]
    read = [Entry(*(int(number) for number in term[:4]), float(term[4])) for term in terms]
    assert read == list(entries)


def test_the_kernels_read_what_was_written_by_path_and_input():
    entries = (
        Entry(1, -1, 3, 0, 0.5),
        Entry(0, 2, 1, 3),
        Entry(1, -1, 0, 1, -0.25),
        Entry(0, 0, 0, 0, 1 / 3),
        Entry(0, 2, 2, 0, 2.0),
    )
    terms = _terms(Couplings(entries, **SIZES).text)
    assert (terms.inputs, terms.angulars, terms.outputs) == (3, 4, 4)
    assert terms.table.tolist() == [[0, 0], [1, 3], [2, 0], [3, 0], [0, 1]]
    assert terms.coefficients.tolist() == [1 / 3, 1.0, 2.0, 0.5, -0.25]
    assert terms.runs.tolist() == [[0, 1], [2, 3], [-1, 5]]
    assert terms.path_ends.tolist() == [2, 3]


def test_equal_terms_have_one_text_and_others_another():
    text = painn_couplings(True).text
    assert painn_couplings(True).text == text
    assert painn_couplings(False).text != text


def test_a_path_is_one_dense_array_of_the_components_it_uses():
    entries = (
        Entry(0, 2, 1, 3, 0.5),
        Entry(0, 0, 1, 0, 2.0),
        Entry(0, 0, 1, 0, 1.0),
        Entry(0, 0, 3, 0, -1.0),
    )
    (path,) = Couplings(entries, **SIZES).by_path
    assert (path.ins, path.angs, path.outs) == ([0, 2], [1, 3], [0, 3])
    # terms of the same components add up
    assert path.dense == [[[3.0, 0.0], [0.0, 0.5]], [[-1.0, 0.0], [0.0, 0.0]]]
    assert path.scaling is None


@pytest.mark.parametrize(
    ("entries", "scaling"),
    [
        ([Entry(0, m, 0, 1 + m, 0.5) for m in range(3)], 0.5),
        ([Entry(0, -1, 2, 0, 2.0)], 2.0),
        ([Entry(0, 0, 0, 0, 1.0), Entry(0, 1, 0, 1, 2.0)], None),
        ([Entry(0, 0, 0, 1), Entry(0, 1, 0, 0)], None),
        ([Entry(0, 0, 0, 0), Entry(0, 0, 1, 0)], None),
        ([Entry(0, -1, 0, 0), Entry(0, -1, 0, 1)], None),
    ],
)
def test_a_path_that_only_scales_is_known_as_such(entries: list[Entry], scaling: float | None):
    assert Couplings(tuple(entries), **SIZES).by_path[0].scaling == scaling


def test_a_path_may_send_its_filter_alone():
    couplings = Couplings((Entry(0, -1, 0, 0), Entry(1, 2, 0, 0)), **SIZES)
    assert couplings.paths == 2
    assert [path.only_filter for path in couplings.by_path] == [True, False]


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (Entry(0, 3, 0, 0), "Entry(path=0, inp=3, ang=0, out=0, coefficient=1.0): there are 3 inputs"),
        (Entry(0, -2, 0, 0), "inp=-2"),
        (Entry(0, 0, 4, 0), "4 angulars"),
        (Entry(0, 0, -1, 0), "ang=-1"),
        (Entry(0, 0, 0, 4), "4 outputs"),
        (Entry(0, 0, 0, -1), "out=-1"),
        (Entry(1, 0, 0, 0), "the paths of the entries are [1], not 0, 1, 2"),
        (Entry(-1, 0, 0, 0), "the paths of the entries are [-1]"),
    ],
)
def test_a_term_that_cannot_be_is_refused(entry: Entry, said: str):
    with pytest.raises(ValueError, match=r"there are|the paths") as refused:
        Couplings((entry,), **SIZES)
    assert said in str(refused.value)


def test_no_terms_are_refused():
    with pytest.raises(ValueError, match=r"the paths of the entries are \[\]"):
        Couplings((), **SIZES)


def test_a_path_cannot_send_its_filter_alone_and_with_an_input():
    with pytest.raises(
        ValueError, match=r"path 0 sends its filter alone .* and with inputs \[1\]: make it two"
    ):
        Couplings((Entry(0, -1, 0, 0), Entry(0, 1, 0, 0)), **SIZES)
