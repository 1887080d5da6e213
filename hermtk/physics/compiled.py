"""Energies and their slopes traced into one graph and compiled, for any number of atoms and edges; checked against eager."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from hermtk.graph.graph import Graph, edge_vectors
from hermtk.kernels.library import compiler_missing, library
from hermtk.models.looped import one_by_one
from hermtk.models.potential import Potential
from hermtk.physics.derivatives import Prediction, energy_and_slopes, predict, prediction
from hermtk.relations.union import UnionGraph

Kernel = Callable[[Graph, UnionGraph, Tensor], tuple[Tensor, Tensor | None]]

# how far compiled may be from eager, as a share of the largest value: other orders of the same sums. Seen: 1e-6 to 3e-6 in
# float32, 1e-15 in float64; a wrong kernel is off by far more
AGREES = {torch.float32: 2e-5, torch.float64: 1e-11}


def make_kernel(potential: Potential, differentiate: bool, training: bool) -> Kernel:
    """Energies of the atoms and dE/d(edge vectors) as a function of graph, union and edge vectors."""

    def kernel(graph: Graph, union: UnionGraph, vectors: Tensor) -> tuple[Tensor, Tensor | None]:
        energies, slopes = energy_and_slopes(potential, graph, vectors, union, differentiate, training)
        return (energies if training else energies.detach()), slopes

    return kernel


def not_compiled(potential: Potential) -> str:
    """Why a potential runs as it is; empty where it can be compiled."""
    if one_by_one(potential):
        return "a subnet that knows nothing of relations runs once for each, in numbers that a compiled graph cannot hold"
    return compiler_missing()


def compiled(kernel: Kernel, note: Callable[[str], None], *, training: bool) -> Kernel:
    """The kernel compiled at its first call, where it is checked; the plain kernel if compiling or the check fails.

    Args:
        kernel: of ``make_kernel``.
        note: told in one line if the plain kernel is used.
        training: whether derivatives of the result are wanted and have to agree as well.
    """
    chosen: list[Kernel] = []

    def run(graph: Graph, union: UnionGraph, vectors: Tensor) -> tuple[Tensor, Tensor | None]:
        if not chosen:
            fast, problem = _try(kernel, graph, union, vectors, training)
            if problem:
                note(f"{problem}; it goes on without compiling")
            chosen.append(fast)
        return chosen[0](graph, union, vectors)

    return run


class CompiledPotential:
    """Predictions of a fixed potential by the compiled graph: for many evaluations, as compiling takes about a minute."""

    def __init__(self, potential: Potential, note: Callable[[str], None]) -> None:
        """``potential``: its weights must not want gradients; ``note``: told in one line if compiling fails."""
        self.potential = potential
        if reason := not_compiled(potential):
            note(f"{reason}; it goes on without compiling")
            self._kernel = None
        else:
            self._kernel = compiled(make_kernel(potential, True, False), note, training=False)

    def predict(self, graph: Graph, *, stress: bool = False) -> Prediction:
        """As ``hermtk.physics.derivatives.predict``, with forces."""
        if self._kernel is None or graph.n_edges == 0:
            return predict(self.potential, graph, stress=stress)
        union = self.potential.relate(graph.numbers, graph.center, graph.neighbor)
        vectors = edge_vectors(graph).to(self.potential.dtype).requires_grad_()
        energies, slopes = self._kernel(graph, union, vectors)
        return prediction(graph, energies, slopes, vectors.detach(), forces=True, stress=stress)


def _try(
    kernel: Kernel, graph: Graph, union: UnionGraph, vectors: Tensor, training: bool
) -> tuple[Kernel, str]:
    """The compiled kernel, or the plain one and why."""
    import torch._dynamo
    import torch.fx.experimental._config

    library()
    # off by default in torch: lets autograd.grad stand inside the compiled graph
    torch._dynamo.config.trace_autograd_ops = True
    if union.shares is not None:
        # parts of a mixed model have equal sizes now and then: torch would take it for a rule and compile again
        torch.fx.experimental._config.use_duck_shape = False
    fast: Kernel = torch.compile(kernel, fullgraph=True, dynamic=True)
    try:
        found = _values(fast, graph, union, vectors, training)
    except Exception as problem:
        reason = next((line for line in str(problem).splitlines() if line.strip()), "")
        return kernel, f"compiling failed ({type(problem).__name__}: {reason[:200]})"
    worst = max(
        _deviation(a, b) for a, b in zip(found, _values(kernel, graph, union, vectors, training), strict=True)
    )
    if not worst <= AGREES[vectors.dtype]:
        return kernel, f"compiled and eager differ by {worst:.1e} of the largest value"
    return fast, ""


def _values(kernel: Kernel, graph: Graph, union: UnionGraph, vectors: Tensor, training: bool) -> list[Tensor]:
    """Energies, slopes and, in training, a derivative of them that runs through both."""
    vectors = vectors.detach().requires_grad_(vectors.requires_grad)
    energies, slopes = kernel(replace(graph), union, vectors)
    found = [energies.detach()] + ([] if slopes is None else [slopes.detach()])
    if training and slopes is not None:
        (change,) = torch.autograd.grad(slopes.square().sum(), vectors, retain_graph=False)
        found.append(change)
    return found


def _deviation(found: Tensor, expected: Tensor) -> float:
    if not expected.numel():
        return 0.0
    scale = expected.abs().max().clamp(min=1e-30)
    return float((found - expected).abs().max() / scale)
