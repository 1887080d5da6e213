"""The same function in single precision and when compiled."""

import warnings
from collections.abc import Iterator
from dataclasses import replace

import torch
import torch._dynamo
from jaxtyping import config
from torch import Tensor

from hermtk.graph.graph import edge_vectors
from hermtk.kernels.library import library
from hermtk.models.looped import one_by_one
from hermtk.models.potential import Potential
from hermtk.physics.compiled import Kernel, make_kernel
from hermtk.subnets.base import Geometry
from hermtk.testing import structures
from hermtk.testing.law import Case, law_of_doubles, slow_law
from hermtk.testing.measure import apart
from hermtk.testing.structures import ORGANIC
from hermtk.testing.subject import Subject


@law_of_doubles
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


@law_of_doubles
def everything_moves_with_the_model(subject: Subject) -> Iterator[Case]:
    """On torch's device `meta`, where tensors have shapes and no values: all there is is moved there, and no value is looked at.

    A tensor that is no buffer stays behind; Python that branches on data has nothing to go by. Not for one module per relation.
    """
    potential, graph = subject.make(ORGANIC), subject.graph(structures.molecule())
    if one_by_one(potential):
        return
    union = potential.relate(graph.numbers, graph.center, graph.neighbor).to("meta")
    numbers, center, neighbor = (x.to("meta") for x in (graph.numbers, graph.center, graph.neighbor))
    vectors = edge_vectors(graph).to("meta").requires_grad_()
    energies = potential.to("meta")(numbers, vectors, center, neighbor, union, graph.n_atoms)
    yield Case("a molecule: energies", float(energies.shape != (graph.n_atoms,)), 0.5)
    (slopes,) = torch.autograd.grad(energies.sum(), vectors)
    yield Case("a molecule: slopes", float(slopes.shape != vectors.shape), 0.5)


@slow_law
def compiled_equals_eager(subject: Subject) -> Iterator[Case]:
    """Energies and slopes compiled as one graph for any size are those of eager mode. A single layer.

    Nothing that breaks the graph is allowed, such as Python that branches on data (unless shapes are checked, as in a test run
    with jaxtyping's hook). Not for one module per relation.
    """
    potential = replace(subject, layers=1).make(ORGANIC).requires_grad_(False)
    if one_by_one(potential):
        return
    # checks of shapes, where a test run has them on, cannot be traced; the compiler's own warnings are not ours
    checks = config.jaxtyping_disable
    config.update("jaxtyping_disable", True)
    library()
    try:
        with warnings.catch_warnings(), torch._dynamo.config.patch(trace_autograd_ops=True):
            warnings.simplefilter("ignore")
            yield from _compiled_cases(subject, make_kernel(potential, True, False), potential)
    finally:
        config.update("jaxtyping_disable", checks)


def _compiled_cases(subject: Subject, eager: Kernel, potential: Potential) -> Iterator[Case]:
    # where a test run checks shapes, making a dataclass breaks the graph even while the checks are off
    checked = hasattr(Geometry.__init__, "__wrapped__")
    compiled = torch.compile(eager, fullgraph=not checked, dynamic=True)
    # not the smallest first: a graph made for three atoms would take their number for that of the axes, and be made again
    for structure, name in (
        (structures.molecule((6, 8, 1, 1, 6)), "five atoms"),
        (structures.molecule((6, 8, 1)), "three atoms"),
        (structures.crystal(), "a crystal"),
    ):
        graph = subject.graph(structure)
        union = potential.relate(graph.numbers, graph.center, graph.neighbor)
        found: list[Tensor] = []
        for kernel in (eager, compiled):
            energies, slopes = kernel(graph, union, edge_vectors(graph).requires_grad_())
            assert slopes is not None
            found += [energies, slopes]
        yield Case(f"{name}: energies", apart(found[0], found[2]), 1e-10)
        yield Case(f"{name}: slopes", apart(found[1], found[3]), 1e-9)
