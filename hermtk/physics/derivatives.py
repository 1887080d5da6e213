"""Forces and stress from the energy: a thin shell around the kernel.

With g = dE/d(edge vector): F_i += g at the centre, F_j -= g at the neighbour, stress = sum r (x) g / V.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from hermtk.errors import HermtkError
from hermtk.graph.graph import Graph, edge_vectors, volumes
from hermtk.models.potential import Potential
from hermtk.nn.segment import segment_sum
from hermtk.relations.union import UnionGraph


@dataclass(frozen=True)
class Prediction:
    """What a model says of a batch.

    Attributes:
        energy: [S] eV, float64; of a property its value in the target's unit.
        energies: each atom's share [A] eV, float64; None of a property that is no sum of shares.
        forces: [A, 3] eV/Angstrom; None if not asked for.
        stress: [S, 3, 3] eV/Angstrom^3, positive under tension; zeros without a cell; None if not asked for.
    """

    energy: Float[Tensor, " structures"]
    energies: Float[Tensor, " atoms"] | None
    forces: Float[Tensor, "atoms 3"] | None = None
    stress: Float[Tensor, "structures 3 3"] | None = None


def predict(
    potential: Potential,
    graph: Graph,
    union: UnionGraph | None = None,
    *,
    forces: bool = True,
    stress: bool = False,
    training: bool = False,
) -> Prediction:
    """Energy, forces and stress of every structure of the batch.

    Args:
        potential: the model.
        graph: built with the model's cut-off.
        union: the graph's edges by relation, if already known.
        forces: whether to differentiate.
        stress: whether to give the stress too.
        training: keep the graph of the derivatives, so that a loss on forces can be differentiated.
    """
    union = union or potential.relate(graph.numbers, graph.center, graph.neighbor)
    wanted = forces or stress
    with torch.set_grad_enabled(wanted or training):
        vectors = edge_vectors(graph).to(potential.dtype)
        if wanted:
            vectors.requires_grad_()
        energies, slopes = energy_and_slopes(potential, graph, vectors, union, wanted, training)
    if not training:
        energies, vectors = energies.detach(), vectors.detach()
    return prediction(graph, energies, slopes, vectors, forces=forces, stress=stress)


def prediction(
    graph: Graph,
    energies: Float[Tensor, " atoms"],
    slopes: Float[Tensor, "edges 3"] | None,
    vectors: Float[Tensor, "edges 3"],
    *,
    forces: bool,
    stress: bool,
) -> Prediction:
    """What follows from the atoms' energies and their derivatives by the edge vectors."""
    return Prediction(
        segment_sum(energies, graph.structure, graph.n_structures),
        energies,
        forces_from(slopes, graph) if forces and slopes is not None else None,
        stress_from(slopes, vectors, graph) if stress and slopes is not None else None,
    )


def energy_and_slopes(
    potential: Potential,
    graph: Graph,
    vectors: Float[Tensor, "edges 3"],
    union: UnionGraph,
    differentiate: bool,
    training: bool,
) -> tuple[Float[Tensor, " atoms"], Float[Tensor, "edges 3"] | None]:
    """Energies of the atoms and dE/d(edge vectors).

    Raises:
        HermtkError: several structures for a readout that reads a structure as a whole.
    """
    if potential.network.readout.whole and graph.n_structures > 1:
        raise HermtkError(
            "this model reads each structure as a whole: give it one at a time (a batch size of 1)"
        )
    energies = potential(graph.numbers, vectors, graph.center, graph.neighbor, union, graph.n_atoms)
    if not differentiate:
        return energies, None
    (slopes,) = torch.autograd.grad(energies.sum(), vectors, create_graph=training, materialize_grads=True)
    return energies, slopes


def forces_from(slopes: Float[Tensor, "edges 3"], graph: Graph) -> Float[Tensor, "atoms 3"]:
    """F_i = sum of the slopes of the edges into i minus those of the edges out of it."""
    received = segment_sum(slopes, graph.center, graph.n_atoms)
    return received - segment_sum(slopes, graph.neighbor, graph.n_atoms)


def stress_from(
    slopes: Float[Tensor, "edges 3"], vectors: Float[Tensor, "edges 3"], graph: Graph
) -> Float[Tensor, "structures 3 3"]:
    """(1/V) sum r (x) dE/dr, symmetric; zeros for a structure without a cell."""
    outer = vectors.unsqueeze(2) * slopes.unsqueeze(1)
    virial = segment_sum(outer, graph.structure[graph.center], graph.n_structures)
    volume = volumes(graph).to(virial.dtype).reshape(-1, 1, 1)
    symmetric = 0.5 * (virial + virial.transpose(1, 2))
    return torch.where(volume > 0, symmetric / volume.clamp(min=1e-30), torch.zeros_like(symmetric))
