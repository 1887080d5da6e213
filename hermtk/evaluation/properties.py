"""A property model on structures: how far it is from their values, or values for them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int

from hermtk.data.structure import Structure
from hermtk.data.targets import Target, having_predicted
from hermtk.errors import DataError, HermtkError
from hermtk.evaluation.comparison import Compared, error_statistics
from hermtk.evaluation.evaluate import batches, check_elements, most_atoms_of
from hermtk.graph.build import build_graph
from hermtk.models.property import Property

Array = np.ndarray


@dataclass(frozen=True)
class PropertyEvaluation:
    """Reference and predictions of a target, in the order of the data.

    Attributes:
        target: what was predicted.
        atoms: how many atoms each structure has [S].
        sources: where each structure comes from [S].
        values: [S] in the target's unit.
    """

    target: Target
    atoms: Int[Array, " structures"]
    sources: tuple[str, ...]
    values: Compared

    def part(self, first: int, last: int) -> "PropertyEvaluation":
        """The structures ``first`` to ``last`` (without it) only."""
        some = slice(first, last)
        return PropertyEvaluation(self.target, self.atoms[some], self.sources[some], self.values.rows(some))

    def summary(self) -> dict[str, Any]:
        """Errors, ready for JSON, under ``target``; all in its ``unit``.

        Besides what ``Evaluation.summary`` says of a quantity: the standard deviation ``sd`` of the references and ``mad``, their
        mean absolute deviation from their mean: the error of a model that knows nothing but the mean.
        """
        known = self.values.known
        labelled = self.values.true[known]
        error = np.abs(self.values.predicted - self.values.true)
        any_known = bool(known.any())
        return {
            "structures": len(self.atoms),
            "atoms": int(self.atoms.sum()),
            "target": {
                "name": self.target.name,
                "unit": self.target.unit,
                **error_statistics(self.values.errors),
                "sd": float(labelled.std()) if any_known else None,
                "mad": float(np.abs(labelled - labelled.mean()).mean()) if any_known else None,
                "structures": int(known.sum()),
                "missing": int((~known).sum()),
                "worst": self.sources[int(np.nanargmax(error))] if any_known else None,
            },
        }


def evaluate_property(
    model: Property,
    structures: Sequence[Structure],
    *,
    batch_size: int = 64,
    on_batch: Callable[[int], None] | None = None,
) -> PropertyEvaluation:
    """Predict every structure and set the result beside its value.

    Args:
        model: the model.
        structures: with the target in the place of the energy (``with_target``); None where it is missing.
        batch_size: the most structures of a batch.
        on_batch: called after each batch with the number of structures that it held.

    Raises:
        DataError: there are no structures.
        UnknownElement: a structure holds an element the model was not made for; said before anything is computed.
        HermtkError: a prediction is not finite.
    """
    if not structures:
        raise DataError("there are no structures to evaluate")
    predicted = []
    for value in predict_values(model, structures, batch_size=batch_size):
        predicted.append(value)
        if on_batch is not None:
            on_batch(1)
    true = np.array([np.nan if s.energy is None else s.energy for s in structures], dtype=np.float64)
    return PropertyEvaluation(
        model.target,
        np.array([len(s) for s in structures]),
        tuple(s.source for s in structures),
        Compared(true, np.array(predicted, dtype=np.float64)),
    )


def predict_property(
    model: Property, structures: Sequence[Structure], *, batch_size: int = 64
) -> Iterator[Structure]:
    """The structures with the model's value in ``info``; what they had of the same target is replaced.

    Raises:
        UnknownElement: as ``evaluate_property``, at once.
        HermtkError: a prediction is not finite.
    """
    values = predict_values(model, structures, batch_size=batch_size)
    return (
        having_predicted(structure, model.target, value)
        for structure, value in zip(structures, values, strict=True)
    )


def predict_values(
    model: Property, structures: Sequence[Structure], *, batch_size: int = 64
) -> Iterator[float]:
    """The target of each structure, in its unit.

    Raises:
        UnknownElement: as ``evaluate_property``, at once.
        HermtkError: a prediction is not finite.
    """
    check_elements(model, structures)
    return _values(model, structures, batch_size)


def _values(model: Property, structures: Sequence[Structure], batch_size: int) -> Iterator[float]:
    for chunk in batches(structures, batch_size, most_atoms_of(model)):
        graph = build_graph(chunk, model.cutoff).to(model.device)
        with torch.no_grad():
            found: Float[Array, " structures"] = model(graph).cpu().numpy()
        for structure, value in zip(chunk, found.tolist(), strict=True):
            if not np.isfinite(value):
                raise HermtkError(
                    f"the model gives no finite {model.target.name} for {structure.source or 'a structure'}"
                )
            yield value
