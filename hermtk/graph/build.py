"""From structures to graphs."""

from collections.abc import Sequence

import numpy as np
import torch

from hermtk.data.structure import Structure
from hermtk.graph.graph import Graph, batch
from hermtk.graph.neighbors import neighbor_pairs


def build_graph(
    structures: Structure | Sequence[Structure], cutoff: float, dtype: torch.dtype = torch.float64
) -> Graph:
    """The batch of one or several structures with every edge shorter than ``cutoff`` (Angstrom)."""
    several = [structures] if isinstance(structures, Structure) else list(structures)
    return batch([_single(structure, cutoff, dtype) for structure in several])


def _single(structure: Structure, cutoff: float, dtype: torch.dtype) -> Graph:
    pairs = neighbor_pairs(structure.positions, structure.cell, structure.pbc, cutoff)
    return Graph(
        numbers=torch.as_tensor(np.asarray(structure.numbers, dtype=np.int64)),
        positions=torch.as_tensor(structure.positions, dtype=dtype),
        structure=torch.zeros(len(structure), dtype=torch.long),
        cell=torch.as_tensor(structure.cell, dtype=dtype).reshape(1, 3, 3),
        center=torch.from_numpy(pairs.center),
        neighbor=torch.from_numpy(pairs.neighbor),
        shift=torch.as_tensor(pairs.shift, dtype=dtype),
    )
