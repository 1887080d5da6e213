"""A loss that is no number or has exploded: when training stops for it, and what it leaves behind."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

from hermtk.data.dataset import write_structures
from hermtk.data.structure import Structure
from hermtk.data.targets import ENERGY, Target
from hermtk.physics.derivatives import Prediction
from hermtk.training.data.batches import Batch

# losses that are remembered; before there are as many, nothing is far from usual
WINDOW = 100
# times the median of those, and times that of the first ones, from which on a loss is far from usual
FAR, FROM_START = 100.0, 10.0
# steps in a row that are, from which on it has exploded: single jumps come back by themselves
PATIENCE = 20
_NAMED = 3


@dataclass
class Watch:
    """Losses of a run so far, as far as they tell a loss that has exploded from one that jumps.

    Attributes:
        recent: the last ``WINDOW`` losses that were not far from usual.
        start: median of the first ``WINDOW``; zero until they are there.
        far: how many of the last losses, in a row, were.
    """

    recent: list[float] = field(default_factory=list)
    start: float = 0.0
    far: int = 0

    def is_far(self, loss: float) -> bool:
        """Whether it is 100 times the median of the last hundred usual losses, and 10 times that of the first hundred.

        The second holds back where a model is nearly done: its loss may jump far, and comes back.
        """
        return self.start > 0 and loss > max(FAR * median(self.recent), FROM_START * self.start)

    def sees(self, loss: float) -> int:
        """Count a loss; returns how many in a row have been far from usual."""
        if self.is_far(loss):
            self.far += 1
            return self.far
        self.far = 0
        self.recent = [*self.recent[-WINDOW + 1 :], loss]
        if not self.start and len(self.recent) == WINDOW:
            self.start = median(self.recent)
        return 0


@dataclass(frozen=True)
class Suspects:
    """The structures of a batch, with what the model made of them.

    Attributes:
        step: the optimiser step they were meant for.
        structures: with ``source``, ``energy_error`` (eV/atom, or the target's unit) and ``forces_error`` (largest component,
            eV/Angstrom) in their info; an error that is no number is infinite.
    """

    step: int
    structures: Sequence[Structure]

    def write(self, path: Path) -> str:
        """Write them as extended XYZ, worst first; returns where they are and which are worst, in words."""
        worst = sorted(self.structures, key=_badness, reverse=True)
        write_structures(path, worst)
        named = ", ".join(f"{s.info['source']} ({_in_words(s)})" for s in worst[:_NAMED])
        return f"{path} holds the {len(worst)} structures of its batch; the largest errors have {named}"


def suspects(
    step: int,
    structures: Sequence[Structure],
    batches: Sequence[Batch],
    predict: Callable[[Batch], Prediction],
    target: Target,
) -> Suspects:
    """Ask the model for each structure of a batch by itself; ``batches`` holds one of each."""
    found = []
    for structure, batch in zip(structures, batches, strict=True):
        errors = _errors(predict(batch), batch, target)
        info: dict[str, Any] = {**structure.info, "source": structure.source, "step": step, **errors}
        if target == ENERGY:
            found.append(replace(structure, info=info))
        else:
            # the value of the target stands in the place of the energy
            found.append(replace(structure, energy=None, info={**info, target.name: structure.energy}))
    return Suspects(step, found)


def _errors(prediction: Prediction, batch: Batch, target: Target) -> dict[str, float]:
    size = batch.graph.n_atoms if target == ENERGY else 1
    pairs = {"energy_error": (prediction.energy / size, batch.energy / size)}
    if prediction.forces is not None:
        pairs["forces_error"] = (prediction.forces, batch.forces)
    found = {}
    for name, (predicted, label) in pairs.items():
        error = (predicted.detach() - label).abs()[~label.isnan()].double()
        if error.numel():
            found[name] = error.nan_to_num(nan=math.inf).max().item()
    return found


def _badness(structure: Structure) -> tuple[float, float]:
    errors = structure.info
    return errors.get("forces_error", 0.0), errors.get("energy_error", 0.0)


def _in_words(structure: Structure) -> str:
    names = {"forces_error": "forces", "energy_error": "energy"}
    said = [f"{word} {structure.info[name]:.3g}" for name, word in names.items() if name in structure.info]
    return ", ".join(said) or "no labels"
