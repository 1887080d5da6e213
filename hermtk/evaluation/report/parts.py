"""Force errors by element, and by how large the force is."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Int

from hermtk.data.elements import symbols
from hermtk.evaluation.report.predicted import Predicted

Array = np.ndarray

# eV/Angstrom: 1, 2, 5 ... of every decade
_EDGES = tuple(d * 10.0**e for e in range(-3, 4) for d in (1.0, 2.0, 5.0))
# atoms that a range of forces needs; smaller ones join their neighbour
_FEWEST = 20


@dataclass(frozen=True)
class Part:
    """Errors of the force components on the atoms of an element, or on those that a relation is about; eV/Angstrom.

    Attributes:
        name: the element or relation.
        count: atoms of the element in this set; occurrences of the relation, as ``seen``.
        seen: the same in the training set; None where nothing is known of it. A relation of two kinds of neighbour occurs in
            angles, any other in edges.
        mae, rmse: mean absolute and root mean square error.
        size: the mean absolute reference component: what an error is to be held against.
        expected: of a relation: the mean absolute error if that of an atom followed from its element alone.
    """

    name: str
    count: int
    seen: int | None
    mae: float | None
    rmse: float | None
    size: float | None
    expected: float | None = None


@dataclass(frozen=True)
class Magnitude:
    """Errors on the atoms with a reference force of ``low`` to ``high`` eV/Angstrom.

    Attributes:
        low, high: eV/Angstrom.
        atoms: how many.
        mae: of the components, eV/Angstrom.
        relative: sum of the lengths of the error vectors over the sum of the lengths of the forces.
        angle: mean angle between predicted and reference force, degrees.
    """

    low: float
    high: float
    atoms: int
    mae: float
    relative: float
    angle: float


def by_element(
    tested: Predicted, numbers: Int[Array, " atoms"], facts: Mapping[str, object]
) -> tuple[Part, ...]:
    """Of the forces on each element, by rising atomic number."""
    if tested.forces is None:
        return ()
    seen = facts.get("seen")
    seen = seen["elements"] if isinstance(seen, Mapping) else {}
    parts = []
    for z in np.unique(numbers):
        error, true = tested.force_error[numbers == z], tested.forces.true[numbers == z]
        known = ~np.isnan(error)
        if known.any():
            name = symbols([int(z)])[0]
            e, t = error[known], true[known]
            figures = (np.abs(e).mean(), np.sqrt(np.square(e).mean()), np.abs(t).mean())
            shown = int(seen[name][0]) if name in seen else None
            parts.append(Part(name, len(error), shown, *map(float, figures)))
    return tuple(parts)


def by_magnitude(tested: Predicted) -> tuple[Magnitude, ...]:
    """By the length of the reference force, in ranges of at least 20 atoms (all in one where there are fewer)."""
    if tested.forces is None:
        return ()
    known = tested.forces.known.all(axis=1)
    true, predicted = tested.forces.true[known], tested.forces.predicted[known]
    if not len(true):
        return ()
    error = tested.force_error[known]
    length = np.linalg.norm(true, axis=1)
    return tuple(
        _magnitude(low, high, true[chosen], predicted[chosen], error[chosen])
        for low, high in _ranges(length)
        for chosen in [(length >= low) & (length < high)]
    )


def _ranges(length: Float[Array, " atoms"]) -> list[tuple[float, float]]:
    """Bounds of ranges: every one but the last begins where the one before ends."""
    edges = [0.0]
    for edge in _EDGES:
        if ((length >= edges[-1]) & (length < edge)).sum() >= _FEWEST <= (length >= edge).sum():
            edges.append(edge)
    top = next((edge for edge in _EDGES if edge > length.max()), 2 * float(length.max()))
    return list(pairwise([*edges, top]))


def _magnitude(
    low: float,
    high: float,
    true: Float[Array, "atoms 3"],
    predicted: Float[Array, "atoms 3"],
    error: Float[Array, "atoms 3"],
) -> Magnitude:
    lengths = np.linalg.norm(true, axis=1), np.linalg.norm(predicted, axis=1)
    cosine = (true * predicted).sum(1) / np.maximum(lengths[0] * lengths[1], 1e-30)
    total = float(lengths[0].sum())
    return Magnitude(
        low,
        high,
        len(true),
        float(np.abs(error).mean()),
        float(np.linalg.norm(error, axis=1).sum()) / total if total else float("nan"),
        float(np.degrees(np.arccos(np.clip(cosine, -1, 1))).mean()),
    )
