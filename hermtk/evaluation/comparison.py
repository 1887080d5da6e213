"""Predictions beside the reference, and what their differences amount to."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from hermtk.data.elements import symbols

Array = np.ndarray


@dataclass(frozen=True)
class Compared:
    """One quantity, by the reference and by the model; the reference is NaN where the data have no label."""

    true: Float[Array, "*shape"]
    predicted: Float[Array, "*shape"]

    @property
    def known(self) -> Bool[Array, "*shape"]:
        """Where there is a reference."""
        return ~np.isnan(self.true)

    @property
    def errors(self) -> Float[Array, " known"]:
        """Predicted minus true, of every component that has a reference."""
        return (self.predicted - self.true)[self.known]

    def rows(self, chosen: Bool[Array, " rows"] | slice) -> "Compared":
        """The chosen structures or atoms only."""
        return Compared(self.true[chosen], self.predicted[chosen])


@dataclass(frozen=True)
class Evaluation:
    """Reference and predictions of a set of structures, in the order of the data.

    Letters: S structures, A atoms of all of them, end to end.

    Attributes:
        numbers: atomic numbers [A].
        atoms: how many atoms each structure has [S].
        sources: where each structure comes from [S].
        energy: [S] eV.
        forces: [A, 3] eV/Angstrom.
        stress: [S, 3, 3] eV/Angstrom^3, positive under tension.
    """

    numbers: Int[Array, " atoms"]
    atoms: Int[Array, " structures"]
    sources: tuple[str, ...]
    energy: Compared
    forces: Compared
    stress: Compared

    @property
    def energy_per_atom(self) -> Compared:
        """[S] eV."""
        return Compared(self.energy.true / self.atoms, self.energy.predicted / self.atoms)

    @property
    def structure(self) -> Int[Array, " atoms"]:
        """The index of each atom's structure."""
        return np.repeat(np.arange(len(self.atoms)), self.atoms)

    def part(self, first: int, last: int) -> "Evaluation":
        """The structures ``first`` to ``last`` (without it) only."""
        some, rows = slice(first, last), slice(int(self.atoms[:first].sum()), int(self.atoms[:last].sum()))
        return Evaluation(
            self.numbers[rows],
            self.atoms[some],
            self.sources[some],
            self.energy.rows(some),
            self.forces.rows(rows),
            self.stress.rows(some),
        )

    def summary(self) -> dict[str, Any]:
        """Errors of each quantity and of the forces on each element, ready for JSON.

        Each holds the mean absolute error ``mae``, the root mean square error ``rmse``, the largest absolute error ``max``
        and the mean of predicted minus true ``mean`` over all components (None where no structure has the label), the
        ``unit``, how many ``structures`` have the label and in how many it is ``missing`` and not counted, and the
        structure with the largest error, ``worst``.
        """
        per_structure = np.arange(len(self.atoms))
        return {
            "structures": len(self.atoms),
            "atoms": len(self.numbers),
            "energy": self._errors(self.energy, per_structure, "eV"),
            "energy_per_atom": self._errors(self.energy_per_atom, per_structure, "eV"),
            "forces": self._errors(self.forces, self.structure, "eV/Angstrom"),
            "stress": self._errors(self.stress, per_structure, "eV/Angstrom^3"),
            "elements": self._by_element(),
        }

    def _by_element(self) -> dict[str, Any]:
        found = {}
        for number in np.unique(self.numbers):
            chosen = self.numbers == number
            found[symbols([int(number)])[0]] = {
                "atoms": int(chosen.sum()),
                **error_statistics(self.forces.rows(chosen).errors),
                "unit": "eV/Angstrom",
            }
        return found

    def _errors(self, compared: Compared, structure: Int[Array, " rows"], unit: str) -> dict[str, Any]:
        known = compared.known.reshape(len(structure), -1).all(axis=1)
        labelled = len(np.unique(structure[known]))
        error = np.abs(compared.predicted - compared.true).reshape(len(structure), -1).max(axis=1)
        return {
            **error_statistics(compared.errors),
            "unit": unit,
            "structures": labelled,
            "missing": len(self.atoms) - labelled,
            "worst": self.sources[structure[np.nanargmax(error)]] if labelled else None,
        }


def error_statistics(errors: Float[Array, " known"]) -> dict[str, float | None]:
    """Mean absolute, root mean square, largest and mean error; None of no errors."""
    if not errors.size:
        return dict.fromkeys(("mae", "rmse", "max", "mean"))
    size = np.abs(errors)
    return {
        "mae": float(size.mean()),
        "rmse": float(np.sqrt(np.square(errors).mean())),
        "max": float(size.max()),
        "mean": float(errors.mean()),
    }
