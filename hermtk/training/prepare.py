"""From a run's configuration to its data: read, divided, measured."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hermtk.data.checks import require_labels
from hermtk.data.dataset import builtin_path, file_digest, read_structures
from hermtk.data.splits import Split, split_random
from hermtk.data.statistics import (
    ReferenceEnergies,
    elements_of,
    energy_sd_per_atom,
    force_rms,
    given_references,
    reference_energies,
)
from hermtk.data.structure import Structure
from hermtk.errors import DataError
from hermtk.training.batches import Labelled, mean_neighbors, prepare
from hermtk.training.config import DataConfig, RunConfig
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
        references: energy per element, eV.
        scale: eV, the size of an atom's share of the energy: rms force x 1 Angstrom.
        mean_neighbors: edges per atom.
        items, validation_items: graphs with labels.
        stress: whether every training and validation structure has a stress.
        digests: SHA-256 of every file read.
    """

    split: Split
    elements: tuple[int, ...]
    references: ReferenceEnergies
    scale: float
    mean_neighbors: float
    items: list[Labelled]
    validation_items: list[Labelled]
    stress: bool
    digests: dict[str, str] = field(default_factory=dict)

    @property
    def train(self) -> list[Structure]:
        """Structures trained on."""
        return self.split.train

    @property
    def validation(self) -> list[Structure]:
        """Structures that decide which weights are kept."""
        return self.split.validation

    @property
    def test(self) -> list[Structure]:
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
    loss = config.training.loss
    for part in (split.train, split.validation):
        require_labels(part, forces=loss.forces > 0, stress=bool(loss.stress))
    elements = elements_of([*split.train, *split.validation])
    if config.data.references:
        references = given_references(config.data.references, elements)
    else:
        references = reference_energies(split.train, elements)
    scale = force_rms(split.train) or energy_sd_per_atom(split.train, references) or 1.0
    items = prepare(split.train, config.model.cutoff)
    return Prepared(
        split,
        elements,
        references,
        scale,
        mean_neighbors(items),
        items,
        prepare(split.validation, config.model.cutoff),
        all(s.stress is not None for s in (*split.train, *split.validation)),
        digests,
    )


def read_split(config: DataConfig) -> tuple[Split, dict[str, str]]:
    """The three sets, and the digest of every file they come from."""
    units = _units(config)
    digests: dict[str, str] = {}

    def read(name: str) -> list[Structure]:
        path = builtin_path() if name == "builtin" else Path(name)
        structures = read_structures(path, format=config.format, units=units)
        digests[name] = file_digest(path)
        return structures

    main = read(config.train)
    validation = read(config.validation) if config.validation else None
    test = read(config.test) if config.test else None
    sizes = _sizes(config, len(main), validation is None, test is None)
    chosen = [[main[i] for i in part] for part in split_random(len(main), sizes, config.seed)]
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


def _some(structures: list[Structure], n: int | None, seed: int) -> list[Structure]:
    if n is None:
        return structures
    chosen, _, _ = split_random(len(structures), (n, 0, 0), seed)
    return [structures[i] for i in np.sort(chosen)]


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
