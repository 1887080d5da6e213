"""A potential on structures: how far it is from their labels, or new labels for them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from hermtk.data.elements import symbols
from hermtk.data.structure import Structure
from hermtk.errors import DataError, HermtkError, UnknownElement
from hermtk.evaluation.comparison import Compared, Evaluation
from hermtk.graph.build import build_graph
from hermtk.models.model import Model
from hermtk.models.potential import Potential
from hermtk.physics.derivatives import Prediction, predict

Array = np.ndarray

# how a batch is computed, if not by ``predict``: a compiled potential's ``predict``
Predictor = Callable[..., Prediction]

# batches that fit the caches of a CPU are two to three times faster than large ones; accelerators want work
_MOST_ATOMS = {"cpu": 256}
_MOST_ATOMS_ELSEWHERE = 4096


def evaluate(
    potential: Potential,
    structures: Sequence[Structure],
    *,
    batch_size: int = 64,
    most_atoms: int | None = None,
    on_batch: Callable[[int], None] | None = None,
    predictor: Predictor | None = None,
) -> Evaluation:
    """Predict every structure and set the result beside its labels.

    Args:
        potential: the model.
        structures: with or without labels.
        batch_size: the most structures of a batch.
        most_atoms: the most atoms of a batch, chosen by device if absent; a larger structure is a batch of its own.
        on_batch: called after each batch with the number of structures that it held.
        predictor: ``CompiledPotential(potential, note).predict`` for large sets; from a graph and ``stress`` to a prediction.

    Raises:
        DataError: there are no structures.
        UnknownElement: a structure holds an element the model was not made for; said before anything is computed.
        HermtkError: a prediction is not finite.
    """
    if not structures:
        raise DataError("there are no structures to evaluate")
    check_elements(potential, structures)
    stress = any(s.stress is not None for s in structures)
    parts = []
    for chunk in batches(structures, batch_size, most_atoms or most_atoms_of(potential)):
        parts.append(_predicted(potential, chunk, stress, predictor))
        if on_batch is not None:
            on_batch(len(chunk))
    return _compared(structures, parts)


def predict_structures(
    potential: Potential,
    structures: Sequence[Structure],
    *,
    batch_size: int = 64,
    most_atoms: int | None = None,
    predictor: Predictor | None = None,
) -> Iterator[Structure]:
    """The structures labelled by the model: energy, forces and, where a cell repeats, stress. Other labels are replaced.

    Raises:
        UnknownElement: as ``evaluate``, at once.
        HermtkError: a prediction is not finite.
    """
    check_elements(potential, structures)
    return (
        labelled
        for chunk in batches(structures, batch_size, most_atoms or most_atoms_of(potential))
        for labelled in _labelled(potential, chunk, predictor)
    )


def check_elements(potential: Model, structures: Sequence[Structure]) -> None:
    """Refuse structures with elements that the model was not made for.

    Raises:
        UnknownElement: names the elements, the first structure and how many there are.
    """
    known = set(potential.elements)
    strange = [set(map(int, np.unique(s.numbers))) - known for s in structures]
    bad = [(s, more) for s, more in zip(structures, strange, strict=True) if more]
    if bad:
        first, more = bad[0]
        others = f" (and {len(bad) - 1} more of {len(structures)} structures)" if len(bad) > 1 else ""
        raise UnknownElement(
            f"{first.source or 'a structure'} holds {', '.join(symbols(sorted(more)))}{others}; "
            f"the model knows {', '.join(symbols(potential.elements))}"
        )


def batches(structures: Sequence[Structure], batch_size: int, most_atoms: int) -> Iterator[list[Structure]]:
    """The structures in order, cut where a batch would hold more than ``batch_size`` of them or ``most_atoms`` atoms."""
    chunk: list[Structure] = []
    atoms = 0
    for structure in structures:
        if chunk and (len(chunk) == batch_size or atoms + len(structure) > most_atoms):
            yield chunk
            chunk, atoms = [], 0
        chunk.append(structure)
        atoms += len(structure)
    if chunk:
        yield chunk


def most_atoms_of(potential: Model) -> int:
    """How many atoms a batch may hold if nobody says."""
    if potential.network.readout.whole:
        return 1
    return _MOST_ATOMS.get(potential.device.type, _MOST_ATOMS_ELSEWHERE)


@dataclass(frozen=True)
class _Part:
    """Predictions of a batch as arrays."""

    energy: Float[Array, " structures"]
    forces: Float[Array, "atoms 3"]
    stress: Float[Array, "structures 3 3"]


def _predicted(
    potential: Potential, chunk: list[Structure], stress: bool, predictor: Predictor | None
) -> _Part:
    graph = build_graph(chunk, potential.cutoff).to(potential.device)
    found = predictor(graph, stress=stress) if predictor else predict(potential, graph, stress=stress)
    part = _arrays(found)
    starts = np.cumsum([0, *(len(s) for s in chunk[:-1])])
    finite = np.isfinite(part.energy) & np.logical_and.reduceat(np.isfinite(part.forces).all(axis=1), starts)
    if not finite.all():
        source = chunk[int(np.argmin(finite))].source or "a structure"
        raise HermtkError(f"the model gives no finite energy and forces for {source}")
    return part


def _arrays(prediction: Prediction) -> _Part:
    def array(values: Any) -> np.ndarray:
        return values.detach().cpu().double().numpy()

    structures = prediction.energy.shape[0]
    nothing = np.full((structures, 3, 3), np.nan)
    stress = nothing if prediction.stress is None else array(prediction.stress)
    return _Part(array(prediction.energy), array(prediction.forces), stress)


def _labelled(
    potential: Potential, chunk: list[Structure], predictor: Predictor | None
) -> Iterator[Structure]:
    part = _predicted(potential, chunk, any(_repeats(s) for s in chunk), predictor)
    forces = np.split(part.forces, np.cumsum([len(s) for s in chunk])[:-1])
    for k, structure in enumerate(chunk):
        yield replace(
            structure,
            energy=float(part.energy[k]),
            forces=forces[k],
            stress=part.stress[k] if _repeats(structure) else None,
        )


def _repeats(structure: Structure) -> bool:
    return bool(structure.pbc.any()) and structure.volume > 0


def _compared(structures: Sequence[Structure], parts: Sequence[_Part]) -> Evaluation:
    def labels(name: str, shape: Callable[[Structure], tuple[int, ...]]) -> list[np.ndarray]:
        values = [(getattr(s, name), shape(s)) for s in structures]
        return [np.full(size, np.nan) if v is None else np.reshape(v, size) for v, size in values]

    def predictions(name: str) -> np.ndarray:
        return np.concatenate([getattr(part, name) for part in parts])

    energy = np.array([np.nan if s.energy is None else s.energy for s in structures], dtype=np.float64)
    forces = np.concatenate(labels("forces", lambda s: (len(s), 3)))
    stress = np.stack(labels("stress", lambda _: (3, 3)))
    return Evaluation(
        numbers=np.concatenate([s.numbers for s in structures]),
        atoms=np.array([len(s) for s in structures]),
        sources=tuple(s.source for s in structures),
        energy=Compared(energy, predictions("energy")),
        forces=Compared(forces, predictions("forces")),
        stress=Compared(stress, predictions("stress")),
    )
