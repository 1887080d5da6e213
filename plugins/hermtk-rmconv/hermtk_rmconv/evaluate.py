"""The published networks on structures: energies, forces and each layer's features; and reference files reproduced."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from hermtk.errors import DataError
from hermtk_rmconv.original import ROWS, Features, Network
from hermtk_rmconv.pairs import edge_vectors, find_pairs, wrapped
from hermtk_rmconv.weights import network_of, read_weights


@dataclass(frozen=True)
class Evaluation:
    """What a network says of a batch: S structures, A atoms, F features.

    Attributes:
        energies: [S] eV, relative to the mean of the training set, which the weights do not hold.
        forces: [A, 3] eV/Angstrom.
        features: s [A, F] and v [A, F, 3] after each layer.
        pool: [S, F], what the energy is read from.
    """

    energies: Float[Tensor, " structures"]
    forces: Float[Tensor, "atoms 3"]
    features: list[Features]
    pool: Float[Tensor, "structures f"]


class Reference(NamedTuple):
    """A reference file: what its ``meta`` says, and its arrays by name."""

    meta: dict[str, Any]
    arrays: dict[str, np.ndarray]


def evaluate(
    network: Network,
    positions: Float[Tensor, "atoms 3"],
    numbers: Int[Tensor, " atoms"],
    cell: Float[Tensor, "*structures 3 3"] | None = None,
    batch: Int[Tensor, " atoms"] | None = None,
    edges: tuple[Int[Tensor, " edges"], Int[Tensor, " edges"]] | None = None,
) -> Evaluation:
    """Energies, forces and features in the network's precision.

    Args:
        network: HVNet or HTNet.
        positions: Angstrom.
        numbers: atomic numbers. Elements without relations of their own are accepted, as in the published code.
        cell: lattice vectors as rows, Angstrom; without it the structures are molecules.
        batch: each atom's structure, ascending; all in one if absent.
        edges: sources and destinations; searched as the published code does if absent.

    Raises:
        DataError: a number that the embedding has no row for.
    """
    if len(numbers) and not 0 <= int(numbers.min()) <= int(numbers.max()) < ROWS:
        raise DataError(f"atomic numbers run from 0 to {ROWS - 1}; given are {numbers.unique().tolist()}")
    batch = torch.zeros_like(numbers) if batch is None else batch
    dtype = network.embed.weight.dtype
    cell = None if cell is None else cell.to(dtype).reshape(-1, 3, 3)
    structures = len(cell) if cell is not None else int(batch.max()) + 1 if len(batch) else 0
    x = positions.detach().to(dtype)
    if edges is None:
        # the published data sets wrap crystals before anything else
        x = x if cell is None else torch.cat([wrapped(x[batch == k], box) for k, box in enumerate(cell)])
        edges = find_pairs(x, batch, cell, network.cutoff)
    x = x.requires_grad_()
    found = network(numbers, edge_vectors(x, *edges, batch, cell), *edges, batch, structures)
    (slopes,) = torch.autograd.grad(found.energy.sum(), x, materialize_grads=True, allow_unused=True)
    features = [(s.detach(), v.detach()) for s, v in found.features]
    return Evaluation(found.energy.detach(), -slopes, features, found.pool.detach())


def read_reference(path: Path | str) -> Reference:
    """A reference file of inputs, weights (perhaps) and outputs; numbers only, nothing in it is run.

    Keys: ``meta`` (JSON), ``pos``, ``numbers``, ``batch``, ``cell`` if periodic, ``src``, ``dst``, ``sd/NAME``, ``out64/NAME``.
    """
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files if name != "meta"}
        return Reference(json.loads(str(file["meta"])), arrays)


def reproduce(path: Path | str, weights: Path | str | None = None) -> Evaluation:
    """The input of a reference file, evaluated in float64 on its own edges; with its own weights or another file's."""
    meta, arrays = read_reference(path)
    network = network_of(
        read_weights(weights or path),
        cutoff=meta.get("rc", 5.0),
        intensive=meta.get("intensive", False),
        eps=meta.get("eps", 1e-5),
    ).double()
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items() if "/" not in name}
    return evaluate(
        network,
        tensors["pos"],
        tensors["numbers"].long(),
        None if meta.get("molecule", "cell" not in tensors) else tensors["cell"],
        tensors["batch"].long() if "batch" in tensors else None,
        (tensors["src"].long(), tensors["dst"].long()) if "src" in tensors else None,
    )
