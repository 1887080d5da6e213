"""The edges of what can be asked: one atom, no atom, no neighbour, an element that is not there, a perfect lattice."""

from collections.abc import Iterator

import numpy as np
import torch
from ase.build import bulk

from hermtk.data.structure import Structure
from hermtk.errors import UnknownElement
from hermtk.graph.graph import edge_vectors
from hermtk.testing import structures
from hermtk.testing.law import Case, law, law_of_doubles
from hermtk.testing.laws.derivatives import force_loss
from hermtk.testing.measure import apart
from hermtk.testing.structures import ORGANIC
from hermtk.testing.subject import Result, Subject

_EXACT = 1e-12


@law
def answers_to_its_surroundings(subject: Subject) -> Iterator[Case]:
    """Forces are not all zero and an element matters: otherwise every other law would hold for nothing."""
    potential = subject.make(ORGANIC)
    here = subject.result(potential, structures.molecule((6, 8, 1)))
    yield Case("forces on three atoms", _times_too_small(float(here.forces.abs().max())), 1.0)
    there = subject.result(potential, structures.molecule((6, 1, 8)))
    yield Case("two elements exchanged", _times_too_small(apart(here.forces, there.forces)), 1.0)


@law
def a_lone_atom_has_an_energy_and_no_force(subject: Subject) -> Iterator[Case]:
    """One atom without neighbours: right shapes, its own energy wherever it is, no force, no stress."""
    potential = subject.make(ORGANIC)
    graph = subject.graph(structures.lone(6))
    union = potential.relate(graph.numbers, graph.center, graph.neighbor)
    share = potential.network(
        potential.element_index(graph.numbers), edge_vectors(graph).to(potential.dtype), union, 1
    )
    yield Case("the share of one atom: shape", float(share.shape != (1,)), 0.5)
    for number in ORGANIC:
        here = subject.result(potential, structures.lone(number))
        yield from _shapes(here, 1, 1, f"element {number}")
        there = subject.result(potential, [structures.lone(number), structures.lone(number)])
        yield Case(f"element {number}: twice", apart(here.energy.repeat(2), there.energy), _EXACT)
        yield Case(f"element {number}: force", float(here.forces.abs().max()), 0.0)
    far = subject.result(potential, structures.line((6, 8, 1), (30.0, 30.0)))
    yield from _shapes(far, 1, 3, "three atoms far apart")
    yield Case("three atoms far apart: force", float(far.forces.abs().max()), 0.0)


@law
def nothing_has_no_energy(subject: Subject) -> Iterator[Case]:
    """A structure without atoms, alone and amid others; the loss can still be differentiated."""
    potential = subject.make(ORGANIC)
    none = subject.result(potential, structures.nothing())
    yield from _shapes(none, 1, 0, "no atoms")
    yield Case("no atoms: energy", float(none.energy.abs().max()), 0.0)
    molecule = structures.molecule()
    amid = subject.result(potential, [molecule, structures.nothing(), molecule])
    alone = subject.result(potential, molecule).energy
    expected = torch.cat([alone, torch.zeros_like(alone), alone])
    yield Case("no atoms between two molecules", apart(expected, amid.energy), _EXACT)
    yield Case("a loss without edges", _undefined(subject, potential, structures.lone(6)), 0.0)
    yield Case("a loss without atoms", _undefined(subject, potential, structures.nothing()), 0.0)


@law
def elements_may_be_absent(subject: Subject) -> Iterator[Case]:
    """Structures with some of the model's elements: finite results, finite gradients of a loss, strangers refused by name."""
    potential = subject.make(ORGANIC)
    for numbers in ((6, 6), (1, 6, 1), (8, 8, 8)):
        result = subject.result(potential, structures.molecule(numbers))
        yield from _shapes(result, 1, len(numbers), f"elements {numbers}")
        lost = _undefined(subject, potential, structures.molecule(numbers))
        yield Case(f"a loss on elements {numbers}", lost, 0.0)
    try:
        subject.result(potential, structures.molecule((6, 79)))
    except UnknownElement as refusal:
        yield Case("gold is refused by name", float("Au" not in str(refusal)), 0.5)
    else:
        yield Case("gold is refused", 1.0, 0.5)


@law_of_doubles
def symmetric_places_are_harmless(subject: Subject) -> Iterator[Case]:
    """Where vectors cancel (a perfect crystal, the middle of three) forces vanish, and grow in proportion to a displacement.

    In single precision too; and a loss on forces has finite gradients there.
    """
    potential = subject.make(ORGANIC)
    single = subject.make(ORGANIC, dtype=torch.float32)
    perfect = bulk("NaCl", "rocksalt", a=4.4)
    lattice = Structure(np.array([6, 8]), perfect.positions, perfect.cell.array, perfect.pbc)
    typical = float(subject.result(potential, structures.crystal()).forces.abs().max())
    for structure, name in (
        (structures.line((6, 1, 6), (1.1, 1.1)), "three atoms"),
        (lattice, "a perfect crystal"),
    ):
        small, twice = np.zeros((len(structure), 3)), np.zeros((len(structure), 3))
        small[1], twice[1] = 2e-4, 4e-4
        at_rest, pushed, further, rough = (
            subject.result(model, structures.moved(structure, by)).forces[1]
            for model, by in (
                (potential, 0 * small),
                (potential, small),
                (potential, twice),
                (single, 0 * small),
            )
        )
        yield Case(f"{name}: force", float(at_rest.abs().max()) / typical, 1e-10)
        yield Case(f"{name}: force in single precision", float(rough.abs().max()) / typical, 1e-4)
        yield Case(f"{name}: displaced", float((further - 2 * pushed).abs().max()) / typical, 1e-2)
        yield Case(f"{name}: a loss", _undefined(subject, potential, structure), 0.0)


def _times_too_small(value: float, least: float = 1e-3) -> float:
    return least / value if value else float("inf")


def _shapes(result: Result, n_structures: int, n_atoms: int, name: str) -> Iterator[Case]:
    expected = ((n_structures,), (n_atoms,), (n_atoms, 3), (n_structures, 3, 3))
    wrong = [tuple(value.shape) != shape for value, shape in zip(result, expected, strict=True)]
    yield Case(f"{name}: shapes", float(any(wrong)), 0.5)
    undefined = [not bool(torch.isfinite(value).all()) for value in result]
    yield Case(f"{name}: finite", float(any(undefined)), 0.5)


def _undefined(subject: Subject, potential, structure: Structure) -> float:
    """How many weights get a gradient that is not a number from a loss on forces."""
    weights = list(potential.parameters())
    loss = force_loss(subject, potential, subject.graph(structure))
    gradients = torch.autograd.grad(loss, weights, allow_unused=True)
    return float(sum(g is not None and not bool(torch.isfinite(g).all()) for g in gradients))
