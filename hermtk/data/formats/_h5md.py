"""Trajectories in H5MD: ``particles/GROUP`` with positions, elements and box, labels there and in ``observables``.

de Buyl, Colberg and Hoefling, Comput. Phys. Commun. 185, 1546 (2014), version 1.1 of the format.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hermtk.data.assemble import assemble
from hermtk.data.elements import number_of
from hermtk.data.formats._hdf5 import dataset, group, library
from hermtk.data.structure import Structure
from hermtk.errors import DataError, UnknownName
from hermtk.units import Units

if TYPE_CHECKING:
    import h5py

# numbers that are read at once
BLOCK = 1 << 20
ENERGY, FORCES, STRESS = ("potential_energy", "energy"), ("force", "forces"), ("stress",)


@dataclass(frozen=True)
class Element:
    """Values along a trajectory, or the same for all of it where ``steps`` is absent and ``fixed``."""

    name: str
    values: "h5py.Dataset"
    steps: "h5py.Dataset | None"
    fixed: bool

    @property
    def unit(self) -> str:
        """What the file says of its unit; empty if nothing."""
        return _text(self.values.attrs.get("unit", ""))


def read(path: Path, file: "h5py.File", units: Units | None) -> Iterator[Structure]:
    """The frames of every group of particles, group after group.

    Raises:
        DataError: units that nobody declares, labels of other steps than the positions, elements that are not said.
    """
    names = sorted(group(file, "particles") or ())
    if not names:
        raise DataError(f"{path} is H5MD without a group of particles")
    start = 0
    for name in names:
        for structure in _group(path, file, name, units, start):
            yield structure
            start += 1


def _group(path: Path, file: "h5py.File", name: str, given: Units | None, start: int) -> Iterator[Structure]:
    place = f"particles/{name}"
    position, species = _element(file, f"{place}/position"), _element(file, f"{place}/species")
    if position is None or species is None:
        raise DataError(f"{path}: {place} needs positions and species")
    shape = position.values.shape[-2:]
    if position.values.ndim != (2 if position.fixed else 3) or shape[1] != 3:
        raise DataError(f"{path}: {position.name} should have shape (T, N, 3), found {position.values.shape}")
    labels = {
        "energy": _first(file, [f"observables/{within}{n}" for within in (f"{name}/", "") for n in ENERGY]),
        "forces": _first(file, [f"{place}/{n}" for n in FORCES]),
        "stress": _first(file, [f"observables/{within}{n}" for within in (f"{name}/", "") for n in STRESS]),
    }
    for label in filter(None, labels.values()):
        _check_steps(path, position, label)
    measured = {"position": position, "edges": _element(file, f"{place}/box/edges"), **labels}
    units = _units(path, measured, given)
    flags = _periodic(path, file, place)
    known = _numbers_of(path, species)
    frames = 1 if position.fixed else len(position.values)
    block = max(1, BLOCK // max(1, 3 * shape[0]))
    for first in range(0, frames, block):
        end = min(first + block, frames)
        rows = {
            key: _rows(path, element, first, end, frames)
            for key, element in {**measured, "species": species}.items()
            if element is not None
        }
        for k in range(end - first):
            row = {key: values[k] for key, values in rows.items()}
            yield _structure(f"{path}:{start + first + k}", row, known, flags, units)


def _structure(
    source: str, row: dict[str, np.ndarray], known: dict[int, int], flags: np.ndarray, units: Units
) -> Structure:
    positions, species, cell, forces = (row.get(key) for key in ("position", "species", "edges", "forces"))
    assert positions is not None
    assert species is not None
    if species.shape != positions.shape[:1]:
        raise DataError(f"{source}: {len(positions)} positions, but the species have shape {species.shape}")
    # frames of fewer atoms than others are filled up
    present = ~(np.isnan(positions).any(axis=1) & ~(species > 0))
    numbers = species[present]
    if known:
        numbers = np.array([known.get(int(value), -1) for value in numbers], dtype=np.int64)
    return assemble(
        source,
        numbers,
        positions[present],
        cell=np.diag(cell) if cell is not None and cell.ndim == 1 else cell,
        pbc=flags,
        energy=row.get("energy"),
        forces=None if forces is None else forces[present],
        stress=row.get("stress"),
        units=units,
    )


def _element(file: "h5py.File", place: str) -> Element | None:
    """What is at a place: a dataset that holds for all frames, or a group with ``value`` and ``step``."""
    if (fixed := dataset(file, place)) is not None:
        return Element(place, fixed, None, fixed=True)
    values = dataset(file, f"{place}/value")
    if values is None or values.ndim == 0:
        return None
    return Element(place, values, dataset(file, f"{place}/step"), fixed=False)


def _first(file: "h5py.File", places: list[str]) -> Element | None:
    return next((element for place in places if (element := _element(file, place)) is not None), None)


def _check_steps(path: Path, position: Element, label: Element) -> None:
    """Refuse labels that are not those of the positions, row by row."""
    frames = 1 if position.fixed else len(position.values)
    if label.fixed != position.fixed or (not label.fixed and len(label.values) != frames):
        raise DataError(
            f"{path}: {frames} frames of {position.name}, but {label.name} has shape {label.values.shape}; "
            "which value belongs to which frame is not clear"
        )
    a, b = position.steps, label.steps
    if a is None or b is None:
        return
    if (
        a.shape != b.shape
        or not np.array_equal(a[()], b[()])
        or a.attrs.get("offset", 0) != b.attrs.get("offset", 0)
    ):
        raise DataError(f"{path}: {label.name} was sampled at other steps than {position.name}")


def _rows(path: Path, element: Element, first: int, end: int, frames: int) -> np.ndarray:
    """A row of values for each frame from ``first`` to ``end``."""
    if element.fixed:
        values = np.asarray(element.values[()])
        return np.broadcast_to(values, (end - first, *values.shape))
    if len(element.values) != frames:
        raise DataError(
            f"{path}: {frames} frames of positions, but {element.name} has shape {element.values.shape}"
        )
    return element.values[first:end]


def _periodic(path: Path, file: "h5py.File", place: str) -> np.ndarray:
    """The periodic flags of a group; without a box nothing repeats."""
    box = group(file, f"{place}/box")
    if box is None:
        return np.zeros(3, dtype=bool)
    pbc = _element(file, f"{place}/box/pbc")
    if pbc is not None and "boundary" not in box.attrs:
        rows = np.asarray(pbc.values[()], dtype=bool).reshape(-1, 3)
        if (rows != rows[0]).any():
            raise DataError(f"{path}: the periodic flags of {place} change along the trajectory")
        return rows[0]
    words = [_text(word) for word in np.ravel(box.attrs.get("boundary", []))]
    if len(words) != 3 or not set(words) <= {"periodic", "none"}:
        raise DataError(
            f"{path}: the boundary of {place}/box should be three of 'periodic' and 'none', found {words}"
        )
    return np.array([word == "periodic" for word in words])


def _numbers_of(path: Path, species: Element) -> dict[int, int]:
    """Atomic numbers by species where these are named; nothing where they are atomic numbers already.

    Raises:
        DataError: numbers 1, 2, 3 ... without a gap: the types of a simulation far more often than hydrogen, helium and lithium.
    """
    names = library().check_enum_dtype(species.values.dtype)
    if names:
        try:
            return {value: number_of(name) for name, value in names.items()}
        except UnknownName as unknown:
            raise DataError(f"{path}: {species.name}: {unknown}") from None
    present: set[float] = set()
    data = species.values
    block = max(1, BLOCK // max(1, math.prod(data.shape[1:])))
    for first in range(0, len(data) if data.ndim else 0, block):
        rows = data[first : first + block]
        present |= set(np.unique(rows[rows > 0]).tolist())
    if present == set(range(1, len(present) + 1)):
        raise DataError(
            f"{path}: {species.name} holds the numbers 1 to {len(present)}, which look like the types of a simulation and not "
            "like atomic numbers; write atomic numbers, or an enumeration whose names are the symbols of elements"
        )
    return {}


def _units(path: Path, elements: dict[str, Element | None], given: Units | None) -> Units:
    """What the file's numbers are in, from its ``unit`` attributes or as declared.

    Raises:
        DataError: a unit that nobody says or declares, or two that contradict each other.
    """
    said: dict[str, dict[str, str]] = {"length": {}, "energy": {}, "stress": {}}
    for kind, name, word in _words(elements):
        said[kind][name] = _known(path, name, kind, word, given)
    for element in filter(None, elements.values()):
        if not element.unit and given is None:
            raise DataError(
                f"{path} does not say the unit of {element.name}; declare the units, for example energy: eV and length: Angstrom"
            )
    chosen = {}
    for kind, named in said.items():
        words = set(named.values())
        declared = getattr(given or Units(), kind)
        if len(words) > 1:
            raise DataError(f"{path} says two units of {kind}: {named}; convert them to one")
        if words and given is not None and declared not in words:
            raise DataError(f"{path} says that its {kind} is in {words.pop()}, but {declared} is declared")
        chosen[kind] = next(iter(words), declared)
    return Units(**chosen)


def _words(elements: dict[str, Element | None]) -> Iterator[tuple[str, str, str]]:
    """Every unit that the file says: of what kind, of which element, in which word."""
    kinds = {"position": "length", "edges": "length", "energy": "energy", "stress": "stress"}
    for key, element in elements.items():
        if element is None or not element.unit:
            continue
        word = _slashed(element.unit)
        if key == "forces":
            energy, _, length = word.rpartition("/")
            yield "energy", element.name, energy
            yield "length", element.name, length
        else:
            yield kinds[key], element.name, word


def _known(path: Path, name: str, kind: str, word: str, given: Units | None) -> str:
    try:
        return getattr(Units(**{kind: word}), kind)
    except UnknownName as unknown:
        if given is None:
            raise DataError(
                f"{path} says the unit of {name} in words not known here, declare it: {unknown}"
            ) from None
        return getattr(given, kind)


def _slashed(unit: str) -> str:
    """``kJ mol-1 nm-1`` as ``kJ/mol/nm``."""
    return re.sub(
        r"[ *]*([^\s/*]+?)\^?-1\b", r"/\1", re.sub(r"[ *]*([^\s/*]+?)\^?-3\b", r"/\1^3", unit)
    ).strip()


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
