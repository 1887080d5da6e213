"""The errors of a study's finished runs: sums over every test structure, from which any mean follows."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from hermtk.ablation.findings import Metric
from hermtk.ablation.jobs import Job
from hermtk.audit.coverage import Coverage, relation_table
from hermtk.data.elements import symbols
from hermtk.data.structure import Structure
from hermtk.data.targets import ENERGY, find_target
from hermtk.evaluation.comparison import Compared, Evaluation
from hermtk.evaluation.properties import PropertyEvaluation
from hermtk.evaluation.sharing import Sharing
from hermtk.evaluation.stored import read_predictions
from hermtk.nn.cutoff import ENVELOPES
from hermtk.training.config import DataConfig, RunConfig
from hermtk.training.data.sets import read_split

Array = np.ndarray
# (quantity, part), as in ``Metric``
Key = tuple[str, str]

# errors are shared out among these relations whatever the arm's own are, so that all arms can be compared
_VARIANT = "hpnet"


@dataclass(frozen=True)
class RunErrors:
    """The errors of one run on its test set of S structures.

    Attributes:
        sources: where each structure comes from.
        sums: of each quantity and part [3, S]: absolute errors, square errors, and how many (or how much weight) they are.
    """

    sources: tuple[str, ...]
    sums: dict[Key, Float[Array, "3 structures"]]


class Recorder:
    """Reads finished runs; test structures are read once for all runs that share them."""

    def __init__(self) -> None:
        self._tests: dict[str, _Test] = {}

    def errors(self, job: Job) -> RunErrors:
        """Of a finished run.

        Raises:
            DataError: its predictions are missing or damaged.
        """
        found = read_predictions(job.folder / "predictions.npz")
        if isinstance(found, PropertyEvaluation):
            return RunErrors(found.sources, {(found.target.name, ""): _sums(found.values)})
        return RunErrors(found.sources, dict(self._quantities(job, found)))

    def seen(self, job: Job) -> dict[str, int]:
        """How often a run's training saw each relation between pairs of elements."""
        table = relation_table(_VARIANT, self._test(job.config).elements)
        return Coverage.from_facts(job.facts["seen"]).relations(table)

    def _quantities(self, job: Job, found: Evaluation) -> Iterator[tuple[Key, Array]]:
        yield ("energy", ""), _sums(found.energy_per_atom)
        if not found.forces.known.any():
            return
        per_atom = _per_row(found.forces)
        number = len(found.atoms)
        yield ("forces", ""), _gathered(found.structure, per_atom, number)
        for z in np.unique(found.numbers):
            chosen = found.numbers == z
            sums = _gathered(found.structure[chosen], per_atom[:, chosen], number)
            yield ("forces", f"element {symbols([int(z)])[0]}"), sums
        if found.stress.known.any():
            yield ("stress", ""), _sums(found.stress)
        test = self._test(job.config)
        for relation, name in enumerate(test.labels):
            chosen = test.relation == relation
            atom = test.atom[chosen]
            sums = _gathered(found.structure[atom], test.weight[chosen] * per_atom[:, atom] / 3, number)
            if sums[2].any():
                yield ("forces", f"relation {name}"), sums

    def _test(self, config: RunConfig) -> "_Test":
        key = json.dumps([config.data.model_dump(mode="json"), config.model.cutoff])
        if key not in self._tests:
            self._tests[key] = _Test.of(tested(config.data), config)
        return self._tests[key]


def tested(data: DataConfig) -> Sequence[Structure]:
    """The test structures of a run."""
    split, _, _ = read_split(data)
    return split.test


def metrics_of(keys: Sequence[Key]) -> list[Metric]:
    """What is shown of these quantities: whole test sets first, energies and forces before all else."""
    order = {"energy": 0, "forces": 1, "stress": 2}
    whole = sorted((key for key in keys if not key[1]), key=lambda key: order.get(key[0], 3))
    parts = sorted(key for key in keys if key[1])
    made = []
    for kind in ("mae", "rmse"):
        made += [Metric(quantity, kind, "", *_shown(quantity)) for quantity, _ in whole]
    return made + [Metric(quantity, "mae", part, *_shown(quantity)) for quantity, part in parts]


def _shown(quantity: str) -> tuple[float, str]:
    known = {"energy": (1e3, "meV/atom"), "forces": (1e3, "meV/Å"), "stress": (1e3, "meV/Å³")}
    return known[quantity] if quantity in known else find_target(quantity).shown


@dataclass(frozen=True)
class _Test:
    """What the atoms of a test set, end to end, are of: relations with shares."""

    elements: tuple[int, ...]
    labels: tuple[str, ...]
    atom: Array
    relation: Array
    weight: Array

    @classmethod
    def of(cls, structures: Sequence[Structure], config: RunConfig) -> "_Test":
        elements = tuple(sorted({int(z) for s in structures for z in np.unique(s.numbers)}))
        table = relation_table(_VARIANT, elements)
        if find_target(config.data.target) != ENERGY:
            nothing = np.empty(0)
            return cls(elements, (), nothing, nothing, nothing)
        sharing = Sharing(table, config.model.cutoff, ENVELOPES[config.model.envelope])
        atoms, relations, weights, first = [], [], [], 0
        for structure in structures:
            found = sharing.of(structure)
            atoms.append(found.atom + first)
            relations.append(found.relation)
            weights.append(found.weight)
            first += len(structure)
        return cls(
            elements, tuple(table.labels), *(np.concatenate(part) for part in (atoms, relations, weights))
        )


def _sums(compared: Compared) -> Float[Array, "3 structures"]:
    """Of a quantity that each structure has."""
    errors = _per_row(compared)
    return _gathered(np.arange(errors.shape[1]), errors, errors.shape[1])


def _per_row(compared: Compared) -> Float[Array, "3 rows"]:
    """Absolute errors, square errors and their number, summed over the components of each row that have a reference."""
    error = np.where(compared.known, compared.predicted - compared.true, 0.0)
    rows = len(error)
    parts = (np.abs(error), np.square(error), compared.known.astype(np.float64))
    return np.stack([part.reshape(rows, -1).sum(axis=1) for part in parts])


def _gathered(structure: Array, columns: Float[Array, "3 rows"], number: int) -> Float[Array, "3 structures"]:
    return np.stack([np.bincount(structure, column, minlength=number) for column in columns])
