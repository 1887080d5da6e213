"""Energy counts atoms: twice the matter, twice the energy, and images are atoms like others."""

from collections.abc import Iterator

import torch

from hermtk.testing import structures
from hermtk.testing.law import Case, law
from hermtk.testing.measure import apart
from hermtk.testing.structures import ALLOY, ORGANIC
from hermtk.testing.subject import Subject

_EXACT = 1e-10


@law
def far_copies_add_up(subject: Subject) -> Iterator[Case]:
    """Two structures far apart: the sum of their energies, the forces of each."""
    potential = subject.make(ORGANIC)
    for first, second, name in (
        (structures.lone(6), structures.lone(6), "two carbon atoms"),
        (structures.lone(6), structures.lone(8), "carbon and oxygen"),
        (structures.molecule(), structures.lone(1), "a molecule and an atom"),
        (structures.molecule(), structures.molecule(), "a molecule and its copy"),
        (structures.molecule(), structures.molecule((1, 6, 1), seed=2), "two molecules"),
    ):
        alone = [subject.result(potential, one) for one in (first, second)]
        both = subject.result(potential, structures.joined(first, second))
        yield Case(f"{name}: energy", apart(alone[0].energy + alone[1].energy, both.energy), _EXACT)
        forces = torch.cat([alone[0].forces, alone[1].forces])
        yield Case(f"{name}: forces", apart(forces, both.forces), 1e-9)


@law
def supercells_repeat(subject: Subject) -> Iterator[Case]:
    """A cell smaller than the cut-off gives the energy per atom, forces and stress of its supercell."""
    for elements, cell, repeats, name in (
        ((6,), structures.crystal((6,)), (2, 2, 2), "one atom, 2 x 2 x 2"),
        (
            ORGANIC,
            structures.sheared(structures.crystal()),
            (1, 2, 3),
            "three atoms in a sheared cell, 1 x 2 x 3",
        ),
        (ALLOY, structures.crystal(ALLOY), (3, 3, 3), "CoCrFeMnNi, five atoms, 3 x 3 x 3"),
    ):
        potential = subject.make(elements)
        copies = repeats[0] * repeats[1] * repeats[2]
        small = subject.result(potential, cell)
        large = subject.result(potential, structures.supercell(cell, repeats))
        yield Case(f"{name}: energy", apart(copies * small.energy, large.energy), _EXACT)
        yield Case(f"{name}: forces", apart(small.forces.repeat(copies, 1), large.forces), 1e-9)
        yield Case(f"{name}: stress", apart(small.stress, large.stress), 1e-9)
