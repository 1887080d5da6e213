"""From a run's configuration to its data: read, divided, measured."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hermtk.data.checks import require_labels
from hermtk.data.splits import Split
from hermtk.data.statistics import (
    ReferenceEnergies,
    elements_of,
    energy_sd_per_atom,
    force_rms,
    given_references,
    isolated_references,
    reference_energies,
)
from hermtk.data.store import Store, labelled
from hermtk.data.structure import Structure
from hermtk.data.targets import (
    ENERGY,
    Target,
    find_target,
    numbers_of,
    require_targets,
)
from hermtk.errors import ConfigError, DataError
from hermtk.training.config import RunConfig
from hermtk.training.data.batches import Labelled, mean_neighbors, prepare, sizes_of
from hermtk.training.data.order import Budget
from hermtk.training.data.sets import DataSet, Several, SeveralItems, read_split
from hermtk.training.data.stored import prepare_store
from hermtk.training.data.targets import fit_target


@dataclass(frozen=True)
class Statistics:
    """What a model takes from the data it is trained on first; see ``Prepared``."""

    elements: tuple[int, ...]
    references: ReferenceEnergies
    scale: float
    mean_neighbors: float
    spread: float = 1.0


# from the target, the division and the training items to the statistics
Measure = Callable[[RunConfig, Target, Split, Sequence[Labelled]], Statistics]


@dataclass(frozen=True)
class Prepared:
    """The data of a run and what was measured on the training set.

    Attributes:
        split: structures to train, validate and test on.
        elements: atomic numbers, ascending: the element order of the model.
        references: energy per element, eV; of another target in its unit.
        scale: eV, the size of an atom's share of the energy: rms force x 1 Angstrom; of another target see ``Fitted``.
        mean_neighbors: edges per atom.
        items, validation_items: graphs with labels.
        stress: whether every training and validation structure has a stress.
        digests: SHA-256 of every file read.
        target: what is learned; its values stand in the place of the structures' energies.
        spread: size of an error in a target's loss.
        missing: how many training and validation structures lack a label, by label.
        sets: of several sets that are trained on together, which they are; the structures of each part stand in this order.
    """

    split: Split
    elements: tuple[int, ...]
    references: ReferenceEnergies
    scale: float
    mean_neighbors: float
    items: Sequence[Labelled]
    validation_items: Sequence[Labelled]
    stress: bool
    digests: dict[str, str] = field(default_factory=dict)
    target: Target = ENERGY
    spread: float = 1.0
    missing: dict[str, int] = field(default_factory=dict)
    sets: tuple[DataSet, ...] = ()

    @property
    def train(self) -> Sequence[Structure]:
        """Structures trained on."""
        return self.split.train

    @property
    def validation(self) -> Sequence[Structure]:
        """Structures that decide which weights are kept."""
        return self.split.validation

    @property
    def test(self) -> Sequence[Structure]:
        """Structures that decide nothing."""
        return self.split.test

    @property
    def weights(self) -> tuple[float, ...]:
        """What the losses of each of several sets are multiplied by."""
        return tuple(one.weight for one in self.sets)

    @property
    def reference(self) -> dict[int, float]:
        """Energy per element, eV."""
        return self.references.values


def prepare_run(config: RunConfig, measure: Measure | None = None) -> Prepared:
    """Read, check, divide and measure the data of a run.

    Args:
        config: of the run.
        measure: gives the statistics; from the training set if absent.

    Raises:
        DataError: data that cannot be trusted, labels that are trained on but missing, a split that cannot be.
        UnknownName: an unknown format, unit or element.
    """
    split, digests, sets = read_split(config.data)
    target = find_target(config.data.target)
    loss = config.training.loss
    missing: dict[str, int] = {}
    allow = config.data.allow_missing
    for part in (split.train, split.validation):
        if target == ENERGY:
            _suggest_targets(part)
            wanted = {"forces": loss.forces > 0, "stress": bool(loss.stress)}
            lacking = require_labels(part, **wanted, allow_missing=allow)
        else:
            lacking = require_targets(part, target, allow_missing=allow)
        for label, count in lacking.items():
            missing[label] = missing.get(label, 0) + count
    every = np.any if config.data.allow_missing else np.all
    items, validation_items = (_items(part, config) for part in (split.train, split.validation))
    found = (measure or _measured)(config, target, split, items)
    return Prepared(
        split,
        found.elements,
        found.references,
        found.scale,
        found.mean_neighbors,
        items,
        validation_items,
        bool(every(np.concatenate([labelled(part, "stress") for part in (split.train, split.validation)]))),
        digests,
        target,
        found.spread,
        missing,
        sets,
    )


def _measured(config: RunConfig, target: Target, split: Split, items: Sequence[Labelled]) -> Statistics:
    """The statistics of the training set."""
    elements = tuple(sorted({*elements_of(split.train), *elements_of(split.validation)}))
    given = references_from(config.data.references, split.train, elements)
    if target == ENERGY:
        references = given or reference_energies(split.train, elements)
        scale = force_rms(split.train) or energy_sd_per_atom(split.train, references) or 1.0
        return Statistics(elements, references, scale, mean_neighbors(items))
    fitted = fit_target(config.model, target, split.train, elements, given)
    return Statistics(elements, fitted.references, fitted.scale, mean_neighbors(items), fitted.spread)


def _items(structures: Sequence[Structure], config: RunConfig) -> Sequence[Labelled]:
    """Graphs with labels: of a store on disk, else in memory; none larger than a batch may be."""
    training, cutoff = config.training, config.model.cutoff
    if isinstance(structures, Several):
        return SeveralItems([_items(part, config) for part in structures.parts])
    if isinstance(structures, Store):
        items: Sequence[Labelled] = prepare_store(structures, cutoff)
    elif training.workers:
        raise ConfigError(
            f"training.workers is {training.workers}, but these structures are in memory, where other processes do not help: "
            "set it to 0, or make a store of them with `hermtk convert DATA NAME.store`"
        )
    else:
        items = prepare(structures, cutoff)
    Budget.of(training.batch_size, training.batch_atoms, training.batch_edges).check(*sizes_of(items))
    return items


def references_from(
    given: Mapping[Any, float] | str | None, train: Sequence[Structure], elements: Sequence[int]
) -> ReferenceEnergies | None:
    """What ``data.references`` gives; None where it gives nothing.

    Raises:
        DataError, UnknownName: a value or an isolated atom is missing; an element does not exist.
    """
    if not given:
        return None
    return (
        isolated_references(train, elements) if isinstance(given, str) else given_references(given, elements)
    )


def _suggest_targets(structures: Sequence[Structure]) -> None:
    """Of data without any energy but with other numbers, say how to learn those."""
    if any(s.energy is not None for s in structures):
        return
    if numbers := sorted({name for s in structures for name in numbers_of(s)}):
        raise DataError(
            f"the structures have no energy, which is trained on by default; they have {', '.join(numbers)}: "
            f"choose one with --target (data.target)"
        )
