"""Errors of parts of a set: of structures of one composition, size or kind."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase.formula import Formula
from jaxtyping import Bool, Float

from hermtk.data.elements import symbols
from hermtk.data.structure import Structure
from hermtk.evaluation.report.predicted import Predicted

Array = np.ndarray

# where data sets say what kind of structure they show, last the file that it is from; the first that tells them apart counts
KINDS = ("config_type", "group", "subset", "molecule", "name", "file")
# more kinds than this are names of single structures
_MOST_KINDS = 40
# more formulas than this are put together by their elements
_MOST_FORMULAS = 12
# sizes in as many ranges at most
_RANGES = 6


@dataclass(frozen=True)
class Group:
    """Errors of some structures; None where none of them has a label.

    Attributes:
        name: what they have in common.
        structures, atoms: how many.
        value_mae, value_rmse: of the energy per atom, eV, or of the target in its unit.
        forces_mae, forces_rmse: of the force components, eV/Angstrom.
    """

    name: str
    structures: int
    atoms: int
    value_mae: float | None
    value_rmse: float | None
    forces_mae: float | None
    forces_rmse: float | None


@dataclass(frozen=True)
class Labels:
    """What each structure of a set is called, one entry per structure.

    Attributes:
        formula: reduced where the structure is periodic, so that cells of any size go together.
        system: its elements.
        elements: the same as a set.
        kind: what the data say of it; empty where they do not.
        key: where they say it.
    """

    formula: tuple[str, ...]
    system: tuple[str, ...]
    elements: tuple[frozenset[str], ...]
    kind: tuple[str, ...]
    key: str


class Labelling:
    """Collects the labels of structures one after the other."""

    def __init__(self) -> None:
        self.formulas: list[str] = []
        self.elements: list[frozenset[str]] = []
        self.kinds: dict[str, list[str]] = {key: [] for key in KINDS}

    def add(self, structure: Structure) -> None:
        """One more structure."""
        self.formulas.append(formula_of(structure))
        self.elements.append(frozenset(symbols(np.unique(structure.numbers).tolist())))
        for key, kinds in self.kinds.items():
            value = structure.source.rpartition(":")[0] if key == "file" else structure.info.get(key)
            kinds.append(value if isinstance(value, str) else "")

    def labels(self) -> Labels:
        """What they are called."""
        telling = (key for key, kinds in self.kinds.items() if 1 < len(set(kinds)) <= _MOST_KINDS)
        key = next(telling, "")
        return Labels(
            tuple(self.formulas),
            tuple("-".join(sorted(elements)) for elements in self.elements),
            tuple(self.elements),
            tuple(self.kinds[key]) if key else (),
            key,
        )


def formula_of(structure: Structure) -> str:
    """In Hill's order; of a periodic structure the smallest whole numbers."""
    formula = Formula.from_list(symbols(structure.numbers.tolist()))
    return (formula.reduce()[0] if structure.pbc.any() else formula).format("hill")


def by_composition(tested: Predicted, labels: Labels) -> tuple[Group, ...]:
    """By formula, or by the elements where there are many formulas; nothing where all are alike, or as ``by_kind``."""
    few = len(set(labels.formula)) <= _MOST_FORMULAS
    names = labels.formula if few else labels.system
    if labels.kind and len(set(zip(names, labels.kind, strict=True))) == len(set(names)) == len(
        set(labels.kind)
    ):
        return ()
    return _groups(tested, names)


def by_kind(tested: Predicted, labels: Labels) -> tuple[Group, ...]:
    """By what the data themselves call their structures."""
    return _groups(tested, [kind or "not said" for kind in labels.kind])


def by_element(tested: Predicted, labels: Labels) -> tuple[Group, ...]:
    """Of each element the structures that hold it: these overlap. Nothing where all hold the same."""
    if len(set(labels.elements)) < 2:
        return ()
    every = sorted(set().union(*labels.elements))
    return tuple(
        group_of(f"with {name}", tested, np.array([name in elements for elements in labels.elements]))
        for name in every
    )


def by_size(tested: Predicted) -> tuple[Group, ...]:
    """By number of atoms, in ranges that hold about equally many structures; nothing where all are alike."""
    sizes = np.unique(tested.atoms)
    if len(sizes) < 2:
        return ()
    lower = sizes
    if len(sizes) > _RANGES:
        lower = np.unique(np.quantile(tested.atoms, np.arange(_RANGES) / _RANGES, method="lower"))
    groups = []
    for first, after in zip(lower, [*lower[1:], np.inf], strict=True):
        chosen = (tested.atoms >= first) & (tested.atoms < after)
        low, high = tested.atoms[chosen].min(), tested.atoms[chosen].max()
        groups.append(group_of(f"{low}" if low == high else f"{low} to {high}", tested, chosen))
    return tuple(groups)


def group_of(name: str, tested: Predicted, chosen: Bool[Array, " structures"]) -> Group:
    """The errors of some structures."""
    value = (tested.value.predicted - tested.value.true)[chosen]
    force = tested.force_error[chosen[tested.structure]]
    return Group(
        name, int(chosen.sum()), int(tested.atoms[chosen].sum()), *_mae_rmse(value), *_mae_rmse(force)
    )


def _groups(tested: Predicted, names: Sequence[str]) -> tuple[Group, ...]:
    """The most frequent first; nothing where all have one name."""
    counted = Counter(names)
    if len(counted) < 2:
        return ()
    column = np.array(names)
    return tuple(group_of(name, tested, column == name) for name, _ in counted.most_common())


def _mae_rmse(errors: Float[Array, "*shape"]) -> tuple[float | None, float | None]:
    known = errors[~np.isnan(errors)]
    return (
        (float(np.abs(known).mean()), float(np.sqrt(np.square(known).mean()))) if known.size else (None, None)
    )
