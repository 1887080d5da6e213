"""The structures of a run, of one file or of several sets end to end, divided into training, validation and test."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
from jaxtyping import Int

from hermtk.data.dataset import file_digest, open_structures
from hermtk.data.sources import data_path
from hermtk.data.splits import Split, split_random
from hermtk.data.store import Store, picked
from hermtk.data.structure import Structure
from hermtk.data.targets import ENERGY, find_target, targeted, with_target
from hermtk.errors import DataError
from hermtk.training.config import DataConfig, SetConfig
from hermtk.training.data.batches import Items, Labelled, sizes_of, together
from hermtk.units import Units

# of a file that has to serve for everything
_VALIDATION_SHARE = 0.1
_TEST_SHARE = 0.1

Array = np.ndarray


class Several(Sequence[Structure]):
    """Structures of several sets end to end; those of a store stay on disk."""

    def __init__(self, parts: Sequence[Sequence[Structure]]) -> None:
        self.parts = tuple(parts)
        self._ends = np.cumsum([len(part) for part in parts])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __iter__(self) -> Iterator[Structure]:
        for part in self.parts:
            yield from part

    @overload
    def __getitem__(self, place: int) -> Structure: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Structure]: ...
    def __getitem__(self, place: int | slice) -> "Structure | Sequence[Structure]":
        if isinstance(place, slice):
            return [self[k] for k in range(len(self))[place]]
        part, within = _place(self._ends, range(len(self))[place])
        return self.parts[part][within]


class SeveralItems(Items):
    """Graphs with labels of several sets end to end, each knowing its set."""

    def __init__(self, parts: Sequence[Sequence[Labelled]]) -> None:
        self.parts = tuple(parts)
        self._ends = np.cumsum([len(part) for part in parts])
        self._atoms, self._edges = (
            np.concatenate(sizes) for sizes in zip(*map(sizes_of, parts), strict=True)
        )

    def __len__(self) -> int:
        return int(self._ends[-1])

    @overload
    def __getitem__(self, place: int) -> Labelled: ...
    @overload
    def __getitem__(self, place: slice) -> list[Labelled]: ...
    def __getitem__(self, place: int | slice) -> "Labelled | list[Labelled]":
        if isinstance(place, slice):
            return [self[k] for k in range(len(self))[place]]
        part, within = _place(self._ends, range(len(self))[place])
        return replace(self.parts[part][within], group=torch.tensor([part]))

    @property
    def atoms(self) -> Int[Array, " structures"]:
        return self._atoms

    @property
    def edges(self) -> Int[Array, " structures"]:
        return self._edges

    def together(self, places: Int[Array, " some"]) -> Labelled:
        return together([self[int(place)] for place in places], np.arange(len(places)))


@dataclass(frozen=True)
class DataSet:
    """One of several sets: what it is called in tables, its file, and what the losses of its structures are multiplied by."""

    name: str
    file: str
    weight: float


def read_split(config: DataConfig) -> tuple[Split, dict[str, str], tuple[DataSet, ...]]:
    """The three parts with the target in the place of the energy, the digest of every file they come from, and the sets.

    Each of several sets is divided for itself. There are no sets where ``train`` is one file.

    Raises:
        DataError: a file that cannot be used, a split that cannot be, one set given twice.
    """
    digests: dict[str, str] = {}
    main = [_divided(one, config, digests) for one in config.sets]
    _refuse_twice(config.sets, digests)
    others = {
        name: _some(_read(file, config, config.target, digests), wanted, config.seed)
        for name, file, wanted in (
            ("validation", config.validation, config.n_validation),
            ("test", config.test, config.n_test),
        )
        if file
    }
    parts = {name: [getattr(split, name) for split in main] for name in ("train", "validation", "test")}
    if isinstance(config.train, str):
        whole = {name: part[0] for name, part in parts.items()}
        return Split(**{**whole, **others}), digests, ()
    whole = {name: Several(part) for name, part in parts.items()}
    sets = (
        DataSet(name, one.file, one.weight)
        for name, one in zip(names_of(config.sets), config.sets, strict=True)
    )
    return Split(**{**whole, **others}), digests, tuple(sets)


def _divided(one: SetConfig, config: DataConfig, digests: dict[str, str]) -> Split:
    """A set in three parts, those that have a file of their own empty."""
    structures = _read(one.file, one, config.target, digests)
    sizes = _sizes(one, len(structures), config.validation is None, config.test is None)
    train, validation, test = (
        picked(structures, part) for part in split_random(len(structures), sizes, config.seed)
    )
    return Split(train, validation, test)


def _read(
    file: str, one: SetConfig | DataConfig, target_name: str, digests: dict[str, str]
) -> Sequence[Structure]:
    units = _units(one)
    target = find_target(target_name)
    # numbers in info have no unit of their own but by their name
    factor = units.energy_factor if units and target.unit == "eV" else 1.0
    path = data_path(file)
    structures = open_structures(path, format=one.format, units=units)
    digests[file] = file_digest(path)
    if isinstance(structures, Store) and target != ENERGY:
        found = (with_target(s, target, factor).energy for s in structures)
        return structures.with_energies(np.array([np.nan if value is None else value for value in found]))
    return targeted(structures, target, factor)


def _refuse_twice(sets: Sequence[SetConfig], digests: dict[str, str]) -> None:
    """What is trained on as a part of one set must not be tested on as a part of another."""
    seen: dict[str, str] = {}
    for one in sets:
        if (before := seen.get(digests[one.file])) is not None:
            what = "is given twice" if before == one.file else f"holds the same as {before}"
            raise DataError(
                f"data.train: {one.file} {what}: each set is divided for itself, so that structures trained on here would be "
                "tested on there. To have a set count more, give it a weight"
            )
        seen[digests[one.file]] = one.file


def names_of(sets: Sequence[SetConfig]) -> list[str]:
    """The files' names without folder and suffix; the whole file where two would be alike."""
    short = [Path(one.file).stem for one in sets]
    return [name if short.count(name) == 1 else one.file for name, one in zip(short, sets, strict=True)]


def _sizes(one: SetConfig, n: int, validation_inside: bool, test_inside: bool) -> tuple[int, int, int]:
    """How many of a set's ``n`` structures go where."""
    validation = one.n_validation or max(1, round(_VALIDATION_SHARE * n)) if validation_inside else 0
    if not test_inside:
        test = 0
    elif one.n_test is not None:
        test = one.n_test
    elif one.n_train is not None:
        test = max(n - one.n_train - validation, 0)
    else:
        test = round(_TEST_SHARE * n)
    train = one.n_train if one.n_train is not None else n - validation - test
    if train < 1:
        raise DataError(
            f"{one.file} has {n} structures: {validation} for validation and {test} for test leave none to train on"
        )
    return train, validation, test


def _some(structures: Sequence[Structure], n: int | None, seed: int) -> Sequence[Structure]:
    if n is None:
        return picked(structures, np.arange(len(structures)))
    chosen, _, _ = split_random(len(structures), (n, 0, 0), seed)
    return picked(structures, np.sort(chosen))


def _place(ends: Int[Array, " parts"], place: int) -> tuple[int, int]:
    """In which part a structure is, and where there."""
    part = int(np.searchsorted(ends, place, side="right"))
    return part, place - (int(ends[part - 1]) if part else 0)


def _units(one: SetConfig | DataConfig) -> Units | None:
    declared: dict[str, Any] = {
        "energy": one.energy_unit,
        "length": one.length_unit,
        "stress": one.stress_unit,
    }
    given = {name: unit for name, unit in declared.items() if unit}
    return Units(**given) if given else None
