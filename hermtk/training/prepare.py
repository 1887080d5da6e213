"""From a run's configuration to its data: read, divided, measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hermtk.data.checks import require_labels
from hermtk.data.dataset import file_digest, open_structures
from hermtk.data.sources import data_path
from hermtk.data.splits import Split, split_random
from hermtk.data.statistics import (
    ReferenceEnergies,
    elements_of,
    energy_sd_per_atom,
    force_rms,
    given_references,
    isolated_references,
    reference_energies,
)
from hermtk.data.store import Store, labelled, picked
from hermtk.data.structure import Structure
from hermtk.data.targets import (
    ENERGY,
    Target,
    find_target,
    numbers_of,
    require_targets,
    targeted,
    with_target,
)
from hermtk.errors import ConfigError, DataError
from hermtk.training.batches import Labelled, mean_neighbors, prepare, sizes_of
from hermtk.training.config import DataConfig, RunConfig
from hermtk.training.order import Budget
from hermtk.training.stored import prepare_store
from hermtk.training.targets import fit_target
from hermtk.units import Units

# of a file that has to serve for everything
_VALIDATION_SHARE = 0.1
_TEST_SHARE = 0.1


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
    def reference(self) -> dict[int, float]:
        """Energy per element, eV."""
        return self.references.values


def prepare_run(config: RunConfig) -> Prepared:
    """Read, check, divide and measure the data of a run.

    Raises:
        DataError: data that cannot be trusted, labels that are trained on but missing, a split that cannot be.
        UnknownName: an unknown format, unit or element.
    """
    split, digests = read_split(config.data)
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
    elements = tuple(sorted({*elements_of(split.train), *elements_of(split.validation)}))
    given = _given_references(config.data.references, split.train, elements)
    spread = 1.0
    if target == ENERGY:
        references = given or reference_energies(split.train, elements)
        scale = force_rms(split.train) or energy_sd_per_atom(split.train, references) or 1.0
    else:
        fitted = fit_target(config.model, target, split.train, elements, given)
        references, scale, spread = fitted.references, fitted.scale, fitted.spread
    every = np.any if config.data.allow_missing else np.all
    items, validation_items = (_items(part, config) for part in (split.train, split.validation))
    return Prepared(
        split,
        elements,
        references,
        scale,
        mean_neighbors(items),
        items,
        validation_items,
        bool(every(np.concatenate([labelled(part, "stress") for part in (split.train, split.validation)]))),
        digests,
        target,
        spread,
        missing,
    )


def _items(structures: Sequence[Structure], config: RunConfig) -> Sequence[Labelled]:
    """Graphs with labels: of a store on disk, else in memory; none larger than a batch may be."""
    training, cutoff = config.training, config.model.cutoff
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


def _given_references(
    given: Mapping[Any, float] | str | None, train: Sequence[Structure], elements: Sequence[int]
) -> ReferenceEnergies | None:
    if not given:
        return None
    return (
        isolated_references(train, elements) if isinstance(given, str) else given_references(given, elements)
    )


def read_split(config: DataConfig) -> tuple[Split, dict[str, str]]:
    """The three sets with the target in the place of the energy, and the digest of every file they come from."""
    units = _units(config)
    target = find_target(config.target)
    # numbers in info have no unit of their own but by their name
    factor = units.energy_factor if units and target.unit == "eV" else 1.0
    digests: dict[str, str] = {}

    def read(name: str) -> Sequence[Structure]:
        path = data_path(name)
        structures = open_structures(path, format=config.format, units=units)
        digests[name] = file_digest(path)
        if isinstance(structures, Store) and target != ENERGY:
            found = (with_target(s, target, factor).energy for s in structures)
            return structures.with_energies(np.array([np.nan if value is None else value for value in found]))
        return targeted(structures, target, factor)

    main = read(config.train)
    validation = read(config.validation) if config.validation else None
    test = read(config.test) if config.test else None
    sizes = _sizes(config, len(main), validation is None, test is None)
    chosen = [picked(main, part) for part in split_random(len(main), sizes, config.seed)]
    return (
        Split(
            chosen[0],
            chosen[1] if validation is None else _some(validation, config.n_validation, config.seed),
            chosen[2] if test is None else _some(test, config.n_test, config.seed),
        ),
        digests,
    )


def _sizes(config: DataConfig, n: int, validation_inside: bool, test_inside: bool) -> tuple[int, int, int]:
    """How many of the main file's ``n`` structures go where."""
    validation = config.n_validation or max(1, round(_VALIDATION_SHARE * n)) if validation_inside else 0
    if not test_inside:
        test = 0
    elif config.n_test is not None:
        test = config.n_test
    elif config.n_train is not None:
        test = max(n - config.n_train - validation, 0)
    else:
        test = round(_TEST_SHARE * n)
    train = config.n_train if config.n_train is not None else n - validation - test
    if train < 1:
        raise DataError(
            f"{config.train} has {n} structures: {validation} for validation and {test} for test leave none to train on"
        )
    return train, validation, test


def _some(structures: Sequence[Structure], n: int | None, seed: int) -> Sequence[Structure]:
    if n is None:
        return picked(structures, np.arange(len(structures)))
    chosen, _, _ = split_random(len(structures), (n, 0, 0), seed)
    return picked(structures, np.sort(chosen))


def _suggest_targets(structures: Sequence[Structure]) -> None:
    """Of data without any energy but with other numbers, say how to learn those."""
    if any(s.energy is not None for s in structures):
        return
    if numbers := sorted({name for s in structures for name in numbers_of(s)}):
        raise DataError(
            f"the structures have no energy, which is trained on by default; they have {', '.join(numbers)}: "
            f"choose one with --target (data.target)"
        )


def _units(config: DataConfig) -> Units | None:
    declared = (config.energy_unit, config.length_unit, config.stress_unit)
    if not any(declared):
        return None
    standard = Units()
    return Units(
        config.energy_unit or standard.energy,
        config.length_unit or standard.length,
        config.stress_unit or standard.stress,
    )
