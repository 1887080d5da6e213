"""Edges as the published code finds and measures them: each ordered pair of atoms at most once, no atom with itself.

Not what hermtk does (every image is an edge): boxes below twice the cut-off lose neighbours here.
"""

from itertools import product

import torch
from jaxtyping import Float, Int
from torch import Tensor

# molecules are searched in a cubic box of this edge that nobody sees, Angstrom
HIDDEN_BOX = 20.0


def find_pairs(
    positions: Float[Tensor, "atoms 3"],
    batch: Int[Tensor, " atoms"],
    cell: Float[Tensor, "structures 3 3"] | None,
    cutoff: float,
) -> tuple[Int[Tensor, " edges"], Int[Tensor, " edges"]]:
    """Sources and destinations of all pairs nearer than ``cutoff`` in one of the 27 images around the home cell.

    Without a cell the images are those of ``HIDDEN_BOX``.
    """
    positions = positions.detach()
    structures = int(batch.max()) + 1 if len(batch) else 0
    found = [torch.zeros(2, 0, dtype=torch.long, device=batch.device)]
    for number in range(structures):
        atoms = (batch == number).nonzero().squeeze(-1)
        box = HIDDEN_BOX * torch.eye(3).to(positions) if cell is None else cell[number]
        home = wrapped(positions[atoms], box)
        apart = home.unsqueeze(1) - home  # (n, n, 3)
        near = (_images(box).reshape(-1, 1, 1, 3) + apart).norm(dim=-1).amin(0) < cutoff
        near.fill_diagonal_(False)
        found.append(atoms[near.nonzero().T])
    source, destination = torch.cat(found, dim=1)
    return source, destination


def edge_vectors(
    positions: Float[Tensor, "atoms 3"],
    source: Int[Tensor, " edges"],
    destination: Int[Tensor, " edges"],
    batch: Int[Tensor, " atoms"],
    cell: Float[Tensor, "structures 3 3"] | None,
) -> Float[Tensor, "edges 3"]:
    """x_source - x_destination in empty space; in a crystal x_destination - x_source + T, T the nearest of the 27 images.

    Vectors, and with them the features v, change sign between the two; scalars, energies and forces do not.
    """
    if cell is None:
        return positions[source] - positions[destination]
    apart = positions[destination] - positions[source]
    images = torch.stack([_images(box) for box in cell])[batch[source]]  # (E, 27, 3)
    nearest = (apart.unsqueeze(1) + images).detach().norm(dim=-1).argmin(1)
    return apart + images.gather(1, nearest.reshape(-1, 1, 1).expand(-1, 1, 3)).squeeze(1)


def wrapped(positions: Float[Tensor, "atoms 3"], box: Float[Tensor, "3 3"]) -> Float[Tensor, "atoms 3"]:
    """The same atoms inside the home cell; rows of ``box`` are lattice vectors."""
    return positions - (positions @ torch.linalg.inv(box)).floor() @ box


def _images(box: Float[Tensor, "3 3"]) -> Float[Tensor, "images 3"]:
    return torch.tensor(list(product((-1, 0, 1), repeat=3))).to(box) @ box
