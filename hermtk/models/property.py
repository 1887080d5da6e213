"""A model of one number per structure that is no energy to be differentiated: a dipole, a gap, a heat capacity."""

import torch
from jaxtyping import Float
from torch import Tensor

from hermtk.data.targets import Target
from hermtk.errors import HermtkError
from hermtk.graph.graph import Graph, edge_vectors
from hermtk.models.model import Model
from hermtk.models.network import Network
from hermtk.nn.segment import segment_sum
from hermtk.readouts.base import Readout, StructureReadout
from hermtk.relations.union import UnionGraph


class Property(Model):
    """The target of each structure, in its unit and float64.

    A readout that gives shares makes their sum, sum_i (reference(element) + scale x share_i); one that reads structures says
    itself how values follow from its rows.
    """

    def __init__(
        self, network: Network, target: Target, reference: dict[int, float], scale: float = 1.0
    ) -> None:
        """``reference`` and ``scale`` in what the readout makes the target's unit of."""
        super().__init__(network, reference, scale)
        self.target = target

    def forward(self, graph: Graph, union: UnionGraph | None = None) -> Float[Tensor, " structures"]:
        """The value of every structure.

        Args:
            graph: built with the model's cut-off.
            union: the graph's edges by relation, if already known.

        Raises:
            HermtkError: several structures for a readout that reads a structure as a whole.
        """
        if self.network.readout.whole and graph.n_structures > 1:
            raise HermtkError(
                "this model reads each structure as a whole: give it one at a time (a batch size of 1)"
            )
        union = union or self.relate(graph.numbers, graph.center, graph.neighbor)
        elements = self.index[graph.numbers]
        rows = self.network(elements, edge_vectors(graph).to(self.dtype), union, graph.n_atoms)
        rows = rows.to(torch.float64)
        return gather(self.network.readout, rows, self.reference[elements], self.scale, graph)


def gather(
    readout: Readout,
    rows: Float[Tensor, "atoms *rest"],
    reference: Float[Tensor, " atoms"],
    scale: Float[Tensor, ""],
    graph: Graph,
) -> Float[Tensor, " structures"]:
    """The values of structures from the rows of a readout and the references of their atoms."""
    if isinstance(readout, StructureReadout):
        return readout.gather(rows, reference, scale, graph)
    return segment_sum(reference + scale * rows, graph.structure, graph.n_structures)
