"""Structures with their distances, computed once for all checks of geometry."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from hermtk.audit.findings import Sets
from hermtk.data.structure import Structure
from hermtk.graph.neighbors import neighbor_pairs

Array = np.ndarray

# atoms/Angstrom^3; diamond has 0.18, hydrogen at the pressures of planets' cores some 1
MOST_DENSE = 2.0
# in a cube of the cut-off, where a structure is denser
_MOST_NEIGHBORS = 25


@dataclass(frozen=True)
class View:
    """A structure and its directed edges within a cut-off.

    Attributes:
        structure: the structure.
        center, neighbor: atoms [E].
        distance: [E] Angstrom.
        cutoff: Angstrom; smaller than asked for where the structure is impossibly dense, so that its edges can be counted.
    """

    structure: Structure
    center: Int[Array, " edges"]
    neighbor: Int[Array, " edges"]
    distance: Float[Array, " edges"]
    cutoff: float


def view(structure: Structure, cutoff: float) -> View:
    """A structure with its edges shorter than ``cutoff`` (Angstrom)."""
    packed = density(structure)
    reach = min(cutoff, (_MOST_NEIGHBORS / packed) ** (1 / 3)) if packed > MOST_DENSE else cutoff
    pairs = neighbor_pairs(structure.positions, structure.cell, structure.pbc, reach)
    vectors = structure.positions[pairs.neighbor] - structure.positions[pairs.center]
    if structure.pbc.any():
        vectors = vectors + pairs.shift @ structure.cell
    return View(
        structure, pairs.center, pairs.neighbor, np.sqrt(np.einsum("ij,ij->i", vectors, vectors)), reach
    )


def density(structure: Structure) -> float:
    """Atoms per Angstrom^3; 0 without three cell vectors that repeat."""
    return len(structure) / structure.volume if structure.pbc.all() and structure.volume else 0.0


def views(
    sets: Sets, cutoff: float, advance: Callable[[int], None] | None = None
) -> Iterator[tuple[str, int, View]]:
    """Every structure of every set, one after the other: name of the set, index, view; ``advance`` is told of each."""
    for name, structures in sets.items():
        # not by index: a store reads ahead
        for index, structure in enumerate(structures):
            yield name, index, view(structure, cutoff)
            if advance is not None:
                advance(1)
