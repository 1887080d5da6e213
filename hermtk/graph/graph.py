"""The atomic graph: always a batch, of one structure if need be."""

from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Graph:
    """Structures and the directed edges between atoms closer than a cut-off, sorted by centre.

    Letters: S structures, A atoms, E edges. Periodic images are explicit edges, so cells smaller than the cut-off are exact.

    Attributes:
        numbers: atomic numbers [A].
        positions: [A, 3] Angstrom.
        structure: index of each atom's structure [A], ascending.
        cell: [S, 3, 3] Angstrom, rows are lattice vectors; zeros where there is none.
        center: atom that receives [E], ascending.
        neighbor: atom that sends [E].
        shift: [E, 3] whole numbers of lattice vectors added to the neighbour.
    """

    numbers: Int[Tensor, " atoms"]
    positions: Float[Tensor, "atoms 3"]
    structure: Int[Tensor, " atoms"]
    cell: Float[Tensor, "structures 3 3"]
    center: Int[Tensor, " edges"]
    neighbor: Int[Tensor, " edges"]
    shift: Float[Tensor, "edges 3"]

    @property
    def n_structures(self) -> int:
        """How many structures the batch holds."""
        return self.cell.shape[0]

    @property
    def n_atoms(self) -> int:
        """How many atoms the batch holds."""
        return self.positions.shape[0]

    @property
    def n_edges(self) -> int:
        """How many directed edges the batch holds."""
        return self.center.shape[0]

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> "Graph":
        """The same graph on a device, positions, cells and shifts in ``dtype``."""
        moved = {}
        for entry in fields(self):
            value: Tensor = getattr(self, entry.name)
            moved[entry.name] = value.to(device, dtype if value.is_floating_point() else None)
        return replace(self, **moved)


def edge_vectors(graph: Graph) -> Float[Tensor, "edges 3"]:
    """From centre to neighbour, x_j + shift . cell - x_i, Angstrom; differentiable in positions and cell."""
    offset = torch.bmm(graph.shift.unsqueeze(1), graph.cell[graph.structure[graph.center]]).squeeze(1)
    return graph.positions[graph.neighbor] - graph.positions[graph.center] + offset


def volumes(graph: Graph) -> Float[Tensor, " structures"]:
    """|det cell| of each structure, Angstrom^3."""
    return torch.linalg.det(graph.cell).abs()


def batch(graphs: list[Graph]) -> Graph:
    """Graphs side by side as one."""
    atoms, structures, shifted = 0, 0, []
    for graph in graphs:
        shifted.append(
            replace(
                graph,
                structure=graph.structure + structures,
                center=graph.center + atoms,
                neighbor=graph.neighbor + atoms,
            )
        )
        atoms += graph.n_atoms
        structures += graph.n_structures
    return Graph(**{f.name: torch.cat([getattr(g, f.name) for g in shifted]) for f in fields(Graph)})
