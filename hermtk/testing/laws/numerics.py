"""The same function in single precision and when compiled."""

import warnings
from collections.abc import Iterator
from dataclasses import replace

import torch
from jaxtyping import config
from torch import Tensor

from hermtk.graph.graph import edge_vectors
from hermtk.models.potential import Potential
from hermtk.testing import structures
from hermtk.testing.law import Case, law, slow_law
from hermtk.testing.measure import apart
from hermtk.testing.structures import ORGANIC
from hermtk.testing.subject import Subject


@law
def single_precision_is_close(subject: Subject) -> Iterator[Case]:
    """The same weights in float32: the results agree to what float32 can hold, sums of energies stay float64."""
    double, single = subject.make(ORGANIC), subject.make(ORGANIC, dtype=torch.float32)
    for structure, name in (
        (structures.molecule((6, 8, 1)), "three atoms"),
        (structures.molecule(), "a molecule"),
        (structures.crystal(), "a crystal"),
    ):
        here, there = subject.result(double, structure), subject.result(single, structure)
        yield Case(f"{name}: energy", apart(here.energy, there.energy), 1e-4)
        yield Case(f"{name}: forces", apart(here.forces, there.forces), 1e-3)
        yield Case(f"{name}: stress", apart(here.stress, there.stress), 1e-3)
        yield Case(f"{name}: precision of the energy", float(there.energy.dtype != torch.float64), 0.5)


@slow_law
def compiled_equals_eager(subject: Subject) -> Iterator[Case]:
    """torch.compile gives the same energies and slopes, for several sizes with one compilation. A single layer."""
    potential = replace(subject, layers=1).make(ORGANIC)
    # checks of shapes, where a test run has them on, cannot be traced; the compiler's own warnings are not ours
    checks = config.jaxtyping_disable
    config.update("jaxtyping_disable", True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield from _compiled_cases(subject, potential)
    finally:
        config.update("jaxtyping_disable", checks)


def _compiled_cases(subject: Subject, potential: Potential) -> Iterator[Case]:
    compiled = torch.compile(potential, dynamic=True)
    for structure, name in (
        (structures.molecule((6, 8, 1)), "three atoms"),
        (structures.molecule(), "a molecule"),
        (structures.crystal(), "a crystal"),
    ):
        graph = subject.graph(structure)
        union = potential.relate(graph.numbers, graph.center, graph.neighbor)
        found: list[Tensor] = []
        for model in (potential, compiled):
            vectors = edge_vectors(graph).requires_grad_()
            energies = model(graph.numbers, vectors, graph.center, graph.neighbor, union, graph.n_atoms)
            found += [energies.detach(), *torch.autograd.grad(energies.sum(), vectors)]
        yield Case(f"{name}: energies", apart(found[0], found[2]), 1e-10)
        yield Case(f"{name}: slopes", apart(found[1], found[3]), 1e-9)
