"""Generated structures for property tests of the data layer, and what it means that two are the same.

``structures()`` draws single structures: one to a few atoms of any of the 118 elements, molecules, slabs, wires and crystals,
skewed and left-handed cells, every label or none. ``data_sets()`` draws ragged lists of them. All pass ``check_structure``.
"""

import string
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from hypothesis import strategies as st

from hermtk.data.checks import check_structure
from hermtk.data.structure import Structure

LABELS = ("energy", "forces", "stress")
Labels = Literal["all", "any", "shared"]

_NAMES = st.text(string.ascii_lowercase + "_", min_size=1, max_size=8).map("x_{}".format)
_NUMBERS = st.integers(-(2**31), 2**31) | st.floats(allow_nan=False, allow_infinity=False)
# a letter first, for text formats take what looks like a number or a truth value for one
_WORDS = (
    st.text(string.ascii_letters + string.digits + " _-+.:", max_size=12).map("w{}".format).map(str.strip)
)


@st.composite
def structures(
    draw: st.DrawFn,
    *,
    labels: frozenset[str] | None = None,
    info: bool = True,
    periodic: Sequence[tuple[bool, bool, bool]] | None = None,
    cell_without_pbc: bool = True,
    max_atoms: int = 5,
) -> Structure:
    """One structure that passes every check.

    Args:
        labels: which of ``LABELS`` it has; any of them if None. The stress is symmetric, and there is one only with a cell.
        info: whether it carries numbers and words.
        periodic: the periodic flags to choose from; all eight if None.
        cell_without_pbc: whether vectors of directions that do not repeat may be there all the same.
        max_atoms: of the structure, from 1 on.
    """
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.integers(1, max_atoms))
    flags = st.booleans()
    pbc = np.array(draw(st.sampled_from(list(periodic)) if periodic else st.tuples(flags, flags, flags)))
    full = _cell(rng, draw(flags))
    kept = cell_without_pbc and draw(flags)
    cell = np.where(pbc[:, None] | kept, full, 0.0)
    # one atom in each of the layers across the first vector, well apart from the next one
    fractional = np.column_stack([(np.arange(n) + rng.uniform(0.2, 0.6, n)) / n, rng.uniform(size=(n, 2))])
    # atoms outside the cell are allowed and have to stay where they are
    fractional += rng.integers(-1, 2, (n, 3)) * pbc
    positions = fractional @ (full * np.array([[n], [1], [1]]))
    cell = cell * np.array([[n], [1], [1]])
    has = {name for name in LABELS if (draw(flags) if labels is None else name in labels)}
    virial = rng.normal(size=(3, 3))
    structure = Structure(
        numbers=np.array(draw(st.lists(st.integers(1, 118), min_size=n, max_size=n)), dtype=np.int64),
        positions=positions,
        cell=cell,
        pbc=pbc,
        energy=draw(st.floats(-1e6, 1e6)) if "energy" in has else None,
        forces=rng.normal(scale=10.0 ** draw(st.integers(-6, 2)), size=(n, 3)) if "forces" in has else None,
        stress=0.01 * (virial + virial.T) if "stress" in has and abs(np.linalg.det(cell)) > 0 else None,
        source="generated",
        info=draw(st.dictionaries(_NAMES, _NUMBERS | _WORDS, max_size=3)) if info else {},
    )
    check_structure(structure)
    return structure


@st.composite
def data_sets(
    draw: st.DrawFn, *, labels: Labels = "any", max_structures: int = 5, **options: Any
) -> list[Structure]:
    """A list of at least one structure; ``options`` are those of ``structures``.

    ``labels`` says which they have: ``all`` every one where there is a cell, ``shared`` the same for all structures, ``any``
    each its own. With ``shared`` there is a stress only where all have a cell, so where ``periodic`` is the full one.
    """
    chosen: frozenset[str] | None = None
    if labels == "all":
        chosen = frozenset(LABELS)
    if labels == "shared":
        chosen = draw(st.frozensets(st.sampled_from(LABELS)))
        if "stress" in chosen:
            options["periodic"] = [(True, True, True)]
    one = structures(labels=chosen, **options)
    return draw(st.lists(one, min_size=1, max_size=max_structures))


def assert_same(
    before: Sequence[Structure],
    after: Sequence[Structure],
    *,
    positions: float = 0.0,
    forces: float = 0.0,
    stress: float = 0.0,
    info: bool = True,
) -> None:
    """The same structures in the same order, labels missing where they were; exact unless an absolute error is allowed."""
    assert len(after) == len(before)
    for old, new in zip(before, after, strict=True):
        assert new.numbers.tolist() == old.numbers.tolist()
        assert new.pbc.tolist() == old.pbc.tolist()
        np.testing.assert_allclose(new.positions, old.positions, rtol=0, atol=positions)
        np.testing.assert_allclose(new.cell, old.cell, rtol=0, atol=positions and 1e-15)
        assert new.energy == old.energy
        for name, error in (("forces", forces), ("stress", stress)):
            left, right = getattr(old, name), getattr(new, name)
            assert (left is None) == (right is None), name
            if left is not None and right is not None:
                np.testing.assert_allclose(right, left, rtol=0, atol=error)
        if info:
            assert dict(new.info) == dict(old.info)


def _cell(rng: np.random.Generator, mirrored: bool) -> np.ndarray:
    """A skewed cell with vectors of 3 to 6 Angstrom and a volume."""
    cell = np.diag(rng.uniform(3.0, 6.0, 3)) + np.tril(rng.uniform(-1.0, 1.0, (3, 3)), -1)
    rotated = cell @ np.linalg.qr(rng.normal(size=(3, 3)))[0]
    return rotated[::-1].copy() if mirrored else rotated
