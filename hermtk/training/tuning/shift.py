"""What the labels of new data differ by from a model's predictions, as a shift of each element's reference."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from hermtk.data.statistics import ReferenceEnergies
from hermtk.models.potential import Potential
from hermtk.physics.derivatives import predict
from hermtk.training.data.batches import Labelled, sizes_of, together
from hermtk.training.data.order import Budget, Order

_CHUNK, _ATOMS = 32, 4096

Array = np.ndarray


def shifted(references: ReferenceEnergies, model: Potential, items: Sequence[Labelled]) -> ReferenceEnergies:
    """References moved by what labels differ from predictions, per element: least squares over the labelled structures.

    Where compositions leave the shifts open, the solution nearest to one shift of all atoms is taken.
    """
    counts, left = _residuals(model, items)
    present = counts.any(axis=0)
    size = counts.sum(axis=1)
    alike = (left @ size) / (size @ size)
    found, _, rank, _ = np.linalg.lstsq(counts[:, present], left - alike * size, rcond=None)
    values = dict(references.values)
    for z, shift in zip(np.array(model.elements)[present].tolist(), found, strict=True):
        values[z] += float(alike + shift)
    absent = int((~present).sum())
    how = f"{references.how}, shifted by least squares over {len(left)} structures"
    return ReferenceEnergies(values, int(rank) + absent, how)


def _residuals(
    model: Potential, items: Sequence[Labelled]
) -> tuple[Float[Array, "structures elements"], Float[Array, " structures"]]:
    """Atoms of each element, and label minus prediction, of every structure with a label."""
    budget = Budget(1 if model.network.readout.whole else _CHUNK, _ATOMS)
    counts, left = [], []
    for places in Order(*sizes_of(items), budget, 0).in_order:
        labelled = together(items, places)
        graph = labelled.graph
        energies = predict(model, graph.to(model.device), forces=False).energy.cpu()
        element = model.element_index(graph.numbers).numpy()
        width = len(model.elements)
        cell = graph.structure.numpy() * width + element
        counts.append(np.bincount(cell, minlength=len(places) * width).reshape(-1, width).astype(np.float64))
        left.append((labelled.energy - energies).numpy())
    every, found = np.concatenate(counts), np.concatenate(left)
    known = ~np.isnan(found)
    return every[known], found[known]
