"""Energy, forces and stress of a training batch, eager or compiled into one graph with their derivatives."""

import os
import shutil
from collections.abc import Callable

from torch import Tensor

from hermtk.graph.graph import edge_vectors
from hermtk.models.potential import Potential
from hermtk.nn.segment import segment_sum
from hermtk.physics.derivatives import Prediction, energy_and_slopes, forces_from, stress_from
from hermtk.training.batches import Batch

Step = Callable[[Batch], Prediction]
Energies = tuple[Tensor, Tensor, Tensor | None]
Kernel = Callable[[Batch, Tensor], Energies]


def make_step(
    potential: Potential, *, forces: bool, stress: bool, compiled: bool, note: Callable[[str], None]
) -> Step:
    """A function from a batch to a prediction that a loss can be differentiated through.

    Args:
        potential: the model in training.
        forces: whether the loss asks for forces.
        stress: whether it asks for the stress.
        compiled: trace energy and first derivatives into one graph with free numbers of atoms and edges.
        note: told in one line if compiling fails; the run then goes on without.
    """

    def kernel(batch: Batch, vectors: Tensor) -> Energies:
        graph = batch.graph
        energies, slopes = energy_and_slopes(potential, graph, vectors, batch.union, forces or stress, True)
        return segment_sum(energies, graph.structure, graph.n_structures), energies, slopes

    run = _compiled(kernel, note) if compiled else kernel

    def step(batch: Batch) -> Prediction:
        vectors = edge_vectors(batch.graph).to(potential.dtype).requires_grad_(forces or stress)
        energy, energies, slopes = run(batch, vectors)
        return Prediction(
            energy,
            energies,
            forces_from(slopes, batch.graph) if forces and slopes is not None else None,
            stress_from(slopes, vectors, batch.graph) if stress and slopes is not None else None,
        )

    return step


def _compiled(kernel: Kernel, note: Callable[[str], None]) -> Kernel:
    """The kernel compiled at its first call; the plain kernel from then on if that fails."""
    import torch._dynamo

    # off by default in torch: lets autograd.grad stand inside the compiled graph
    torch._dynamo.config.trace_autograd_ops = True
    chosen: list[Kernel] = []

    def run(batch: Batch, vectors: Tensor) -> Energies:
        if chosen:
            return chosen[0](batch, vectors)
        fast: Kernel = torch.compile(kernel, fullgraph=True, dynamic=True)
        try:
            result = fast(batch, vectors)
        except Exception as problem:
            reason = next((line for line in str(problem).splitlines() if line.strip()), "")
            note(f"compiling failed ({type(problem).__name__}: {reason[:200]}); the run goes on without it")
            fast, result = kernel, kernel(batch, vectors)
        chosen.append(fast)
        return result

    return run


def compiler_missing() -> str:
    """Why models cannot be compiled here; empty where they can."""
    chosen = os.environ.get("CXX")
    candidates = [chosen] if chosen else ["g++", "clang++"]
    if any(shutil.which(name) for name in candidates):
        return ""
    return f"no C++ compiler was found (looked for {', '.join(candidates)})"
