"""What is taken off a target before learning, and how large what is left is."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from hermtk import registry
from hermtk.data.statistics import ReferenceEnergies
from hermtk.data.structure import Structure
from hermtk.data.targets import Target
from hermtk.errors import DataError
from hermtk.graph.graph import Graph
from hermtk.models.build import readout_of
from hermtk.models.config import ModelConfig
from hermtk.models.property import gather
from hermtk.readouts.base import Readout, StructureReadout

_CHUNK = 1000
_CHANNELS = 4

Array = np.ndarray


@dataclass(frozen=True)
class Fitted:
    """References of a target and the sizes that go with them.

    Attributes:
        references: per element; what of them a structure has is the readout's matter.
        scale: what a share of order one stands for.
        spread: the size of an error in the loss: the standard deviation of what the references leave, in the target's unit
            (per atom where the target grows with the structure).
    """

    references: ReferenceEnergies
    scale: float
    spread: float


def fit_target(
    config: ModelConfig,
    target: Target,
    structures: Sequence[Structure],
    elements: Sequence[int],
    given: ReferenceEnergies | None = None,
) -> Fitted:
    """References by least squares over the training set, with the target in the place of the energy.

    A readout says how references make values: a sum over atoms for extensive targets, a mean for intensive ones, a second moment
    for an extent, nothing for a dipole. Free atoms that the target knows are taken off first, so that an element which the set
    hardly has still has a sensible reference. Where compositions leave references open, the solution nearest to all being
    alike is taken.

    Args:
        config: names the readout.
        target: what is learned.
        structures: the training set.
        elements: atomic numbers, of the references in their order.
        given: references to use instead.

    Raises:
        ConfigError, UnknownName: a readout that cannot give this target.
        DataError: no structure has the target.
    """
    labelled = [s for s in structures if s.energy is not None]
    if not labelled:
        raise DataError(f"no structure has the target {target.name}")
    name = readout_of(config, target)
    with torch.random.fork_rng(devices=[]):
        options = registry.checked_options("readout", name, config.readout_options)
        readout = registry.find("readout", name)(_CHANNELS, **options)
    counts = _counts(readout, labelled, elements)
    values = np.array([s.energy for s in labelled], dtype=np.float64)
    references = given or _least_squares(counts, values, elements, _free(target, readout, elements))
    left = values - counts @ np.array([references.values[z] for z in elements])
    size = counts.sum(axis=1)
    per_size = left / np.where(size > 0, size, 1.0)
    atoms = np.array([len(s) for s in labelled])
    return Fitted(references, _sd(per_size), _sd(left / atoms if target.kind == "extensive" else left))


def _counts(
    readout: Readout, structures: Sequence[Structure], elements: Sequence[int]
) -> Float[Array, "structures elements"]:
    """How often each element's reference counts in each structure's value, while the network says nothing."""
    parts = []
    for first in range(0, len(structures), _CHUNK):
        graph = _without_edges(structures[first : first + _CHUNK])
        with torch.no_grad():
            nothing = torch.zeros(graph.n_atoms, 1, _CHANNELS), torch.zeros(graph.n_atoms, 3, _CHANNELS)
            rows = torch.zeros_like(readout(nothing), dtype=torch.float64)
            columns = [
                gather(readout, rows, (graph.numbers == z).double(), rows.new_ones(()), graph)
                for z in elements
            ]
        parts.append(torch.stack(columns, dim=1).numpy())
    return np.concatenate(parts)


def _without_edges(structures: Sequence[Structure]) -> Graph:
    numbers = np.concatenate([s.numbers for s in structures])
    nothing = torch.zeros(0, dtype=torch.long)
    return Graph(
        torch.as_tensor(numbers.astype(np.int64)),
        torch.as_tensor(np.concatenate([s.positions for s in structures]), dtype=torch.float64),
        torch.repeat_interleave(torch.tensor([len(s) for s in structures])),
        torch.zeros(len(structures), 3, 3, dtype=torch.float64),
        nothing,
        nothing,
        torch.zeros(0, 3, dtype=torch.float64),
    )


def _free(target: Target, readout: Readout, elements: Sequence[int]) -> Float[Array, " elements"] | None:
    """Values of free atoms, where the target knows those of all elements and the readout adds atoms up."""
    if isinstance(readout, StructureReadout) or not set(elements) <= set(target.atoms):
        return None
    return np.array([target.atoms[z] for z in elements])


def _least_squares(
    counts: Float[Array, "structures elements"],
    values: Float[Array, " structures"],
    elements: Sequence[int],
    free: Float[Array, " elements"] | None,
) -> ReferenceEnergies:
    if not counts.any():
        return ReferenceEnergies(
            dict.fromkeys(map(int, elements), 0.0), 0, "none: the readout has no place for them"
        )
    start = np.zeros(len(elements)) if free is None else free
    left, size = values - counts @ start, counts.sum(axis=1)
    alike = (left @ size) / (size @ size)
    shifts, _, rank, _ = np.linalg.lstsq(counts, left - alike * size, rcond=None)
    found = start + alike + shifts
    how = f"least squares over {len(values)} structures"
    if free is not None:
        how = f"free atoms (QM9, B3LYP/6-31G(2df,p)), and {how} of what they leave"
    return ReferenceEnergies(dict(zip(map(int, elements), found.tolist(), strict=True)), int(rank), how)


def _sd(values: Float[Array, " structures"]) -> float:
    sd = float(values.std())
    return sd if np.isfinite(sd) and sd > 1e-12 * max(1.0, float(np.abs(values).max())) else 1.0
