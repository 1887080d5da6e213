"""Energy, forces and stress of a training batch, eager or compiled into one graph with their derivatives."""

from collections.abc import Callable

from hermtk.graph.graph import edge_vectors
from hermtk.models.potential import Potential
from hermtk.models.property import Property
from hermtk.physics.compiled import compiled as compiled_kernel
from hermtk.physics.compiled import make_kernel, not_compiled
from hermtk.physics.derivatives import Prediction, prediction
from hermtk.training.data.batches import Batch

Step = Callable[[Batch], Prediction]


def make_step(
    potential: Potential, *, forces: bool, stress: bool, compiled: bool, note: Callable[[str], None]
) -> Step:
    """A function from a batch to a prediction that a loss can be differentiated through.

    Args:
        potential: the model in training.
        forces: whether the loss asks for forces.
        stress: whether it asks for the stress.
        compiled: trace energy and first derivatives into one graph with free numbers of atoms and edges.
        note: told in one line if compiling fails or gives other numbers; the run then goes on without.
    """
    wanted = forces or stress
    kernel = make_kernel(potential, wanted, training=True)
    if compiled and (reason := not_compiled(potential)):
        note(f"{reason}; it goes on without compiling")
    elif compiled:
        kernel = compiled_kernel(kernel, note, training=True)

    def step(batch: Batch) -> Prediction:
        vectors = edge_vectors(batch.graph).to(potential.dtype).requires_grad_(wanted)
        energies, slopes = kernel(batch.graph, batch.union, vectors)
        return prediction(batch.graph, energies, slopes, vectors, forces=forces, stress=stress)

    return step


def property_step(model: Property) -> Step:
    """The same for a property: its values, to be differentiated by weights only."""

    def step(batch: Batch) -> Prediction:
        return Prediction(model(batch.graph, batch.union), None)

    return step
