"""What a run will need before it is begun: parameters, memory, time, disk, and whether its data feed its relations."""

import shutil
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import ceil
from pathlib import Path
from typing import Any

import torch

from hermtk.audit.coverage import SEEN_ENOUGH, Coverage, in_words, relation_table, starving
from hermtk.data.targets import find_target
from hermtk.memory import gib
from hermtk.models.build import build_for
from hermtk.models.variants import VARIANTS, variant
from hermtk.planning.trial import Trial
from hermtk.planning.trials import Trials
from hermtk.training.config import RunConfig

# of the memory that there is, what a run should not ask for
_SPARE = 0.1
_DAY = 86400.0
# samples whose slopes are compared with each other
_COMPARED = 40


@dataclass(frozen=True)
class Plan:
    """What a run will need; seconds and bytes.

    Attributes:
        config: complete, as training would write it.
        trial: what was seen of its first steps.
    """

    config: RunConfig
    trial: Trial

    @property
    def parameters(self) -> int:
        """Weights of the model."""
        return self.trial.parameters

    @property
    def steps(self) -> int:
        """Of the whole run."""
        return self.trial.steps

    @property
    def starving(self) -> dict[str, int]:
        """Relations that training shows, but fewer than ``SEEN_ENOUGH`` times, and how often; the poorest first."""
        return starving(self.trial.relations, self.trial.relations)

    @property
    def unseen(self) -> list[str]:
        """Relations of the model that training never shows."""
        return [name for name, count in self.trial.relations.items() if not count]

    @property
    def fed(self) -> int:
        """How many relations training shows often enough."""
        return len(self.trial.relations) - len(self.starving) - len(self.unseen)

    @property
    def step_seconds(self) -> float:
        """Of a step with a batch of mean size."""
        return at_size(self.trial.samples, self.trial.mean_edges)

    @property
    def epoch_seconds(self) -> float:
        """Of a pass over the data and its share of a validation."""
        return self.trial.batches * self.step_seconds + self._validation / self._every

    @property
    def run_seconds(self) -> float:
        """Of all steps with their validations, reading the data before and testing after them.

        Compiling is in it where it was measured; a time limit of the config is not.
        """
        return self.seconds_of(self.steps)

    def seconds_of(self, steps: int) -> float:
        """The same of a run with another number of steps."""
        validations = max(ceil(steps / self.trial.batches / self._every), 1)
        return self._once + steps * self.step_seconds + validations * self._validation

    def steps_in(self, minutes: float) -> int:
        """How many steps fit into a time, everything else that a run does counted."""
        left = 60 * minutes - self._once
        return max(int(left / (self.epoch_seconds / self.trial.batches)), 0)

    @property
    def peak(self) -> int:
        """The most memory where the steps are computed: the device's, else that of the process."""
        return self.trial.device_peak or self.trial.peak

    @property
    def bytes_per_edge(self) -> float | None:
        """How memory grows with the edges of a batch; None where it did not grow."""
        if len(self.trial.growth) < 2:
            return None
        (fewer, less), (edges, more) = self.trial.growth[-2:]
        return (more - less) / (edges - fewer) if more > less and edges > fewer else None

    @property
    def largest_batch_edges(self) -> int | None:
        """The edges of a batch that nine tenths of the memory hold; None where it cannot be told."""
        slope, limit = self.bytes_per_edge, self.trial.limit
        if slope is None or limit is None:
            return None
        edges, peak = self.trial.growth[-1]
        return max(int(edges + ((1 - _SPARE) * limit - peak) / slope), 0)

    @property
    def largest_batch(self) -> int | None:
        """The same in structures of mean size."""
        edges = self.largest_batch_edges
        per_structure = self.trial.mean_edges / self.trial.structures_per_batch
        return None if edges is None or not per_structure else int(edges / per_structure)

    @property
    def warnings(self) -> list[str]:
        """What speaks against the run as it is planned, a sentence each."""
        found = [self._hunger(), self._absence(), self._shortage(), self._length(), self._disk()]
        return [text for text in found if text] + self.trial.notes

    def summary(self) -> dict[str, Any]:
        """Everything as plain values, for JSON."""
        trial = self.trial
        return {
            "subnet": self.config.model.subnet,
            "variant": self.config.model.variant,
            "parameters": trial.parameters,
            "relations": {
                "number": len(trial.relations),
                "fed": self.fed,
                "starving": self.starving,
                "unseen": self.unseen,
                "enough": SEEN_ENOUGH,
            },
            "steps": trial.steps,
            "batches_per_epoch": trial.batches,
            "epochs": trial.steps / trial.batches,
            "edges_per_batch": trial.mean_edges,
            "structures": trial.structures,
            "seconds": {
                "clock": trial.clock,
                "step": self.step_seconds,
                "validation": self._validation,
                "epoch": self.epoch_seconds,
                "preparation": trial.preparation,
                "compiling": trial.compiling,
                "run": self.run_seconds,
            },
            "compile": {"planned": bool(self.config.training.compile), "measured": self.compiled},
            "bytes": {
                "peak": trial.peak,
                "device_peak": trial.device_peak,
                "states": trial.states,
                "data": trial.data,
                "per_edge": self.bytes_per_edge,
                "limit": trial.limit,
                "checkpoint": trial.checkpoint,
                "model": trial.model,
            },
            "largest_batch": {"edges": self.largest_batch_edges, "structures": self.largest_batch},
            "warnings": self.warnings,
        }

    @property
    def compiled(self) -> bool:
        """Whether what was measured was compiled."""
        return self.trial.compiling is not None

    @property
    def _every(self) -> int:
        return self.config.training.validate_every

    @property
    def _validation(self) -> float:
        return self.trial.structures["validation"] * self.trial.evaluation

    @property
    def _once(self) -> float:
        """Before the first step and after the last: what is tested is the test set, else the validation set."""
        counts = self.trial.structures
        tested = counts["test"] or counts["validation"]
        return self.trial.preparation + (self.trial.compiling or 0.0) + tested * self.trial.evaluation

    def _hunger(self) -> str:
        rare = self.starving
        if not rare:
            return ""
        other = self._fed_variant()
        return (
            f"{self._share_of(len(rare))} seen fewer than {SEEN_ENOUGH} times in training: {in_words(rare)}. Their weights stay "
            f"mostly what they were at the start. Consider {f'{other}, or ' if other else ''}data that hold more of them "
            "(`hermtk data audit` shows what is rare)"
        )

    def _absence(self) -> str:
        if not self.unseen:
            return ""
        named = in_words(dict.fromkeys(self.unseen, 0)).replace(" (0)", "")
        return (
            f"{self._share_of(len(self.unseen))} never seen in training: {named}. The model will be wrong about structures that "
            "hold them"
        )

    def _share_of(self, n: int) -> str:
        """``3 of 18 triads are``."""
        kind = f"{variant(self.config.model.variant).relation}s"
        return f"{n} of {len(self.trial.relations)} {kind} {'is' if n == 1 else 'are'}"

    def _fed_variant(self) -> str:
        """The variant with the most relations, fewer than here, of which none starves; empty where there is none."""
        seen = Coverage.from_facts(self.trial.seen)
        found = {}
        for name in VARIANTS:
            counts = seen.relations(relation_table(name, self.trial.elements))
            if len(counts) < len(self.trial.relations) and not starving(counts, counts):
                found[name] = len(counts)
        return max(found, key=found.__getitem__, default="")

    def _shortage(self) -> str:
        limit = self.trial.limit
        if limit is None or self.peak < (1 - _SPARE) * limit:
            return ""
        data = self.trial.data or 0
        where = "the device" if self.trial.device_peak else "this machine"
        cure = (
            "most of it are the data: `hermtk convert DATA NAME.store` makes a store of them, which stays on disk"
            if data > self.peak / 2 and not self.trial.device_peak
            else "smaller batches (training.batch_edges), fewer channels or layers need less"
        )
        return f"a step needs {gib(self.peak)} of the {gib(limit)} that {where} has left; {cure}"

    def _length(self) -> str:
        if self.run_seconds <= _DAY:
            return ""
        return (
            f"the run would take {self.run_seconds / _DAY:.1f} days: fewer steps (training.steps), a smaller model or a time "
            "limit (training.max_minutes) make it shorter"
        )

    def _disk(self) -> str:
        place = Path("runs") if Path("runs").is_dir() else Path()
        free = shutil.disk_usage(place).free
        # a checkpoint is written beside the last one and the one before it, which are kept
        needed = 3 * self.trial.checkpoint + self.trial.model
        return f"the disk has {gib(free)} left; the run writes {gib(needed)}" if needed > free else ""


def measure(config: RunConfig, *, compiled: bool = False, trials: Trials | None = None) -> Plan:
    """The plan of a run, from its first steps in a process of their own; leaves no files.

    Args:
        config: as it would be given to the run.
        compiled: measure the compiled model where the run would compile it: one to three minutes.
        trials: the process, where several runs are planned: it reads data once that they share.

    Raises:
        HermtkError: the run could not be begun, or needs more memory than there is.
    """
    if trials is None:
        with Trials() as own:
            return measure(config, compiled=compiled, trials=own)
    trial = trials.ask(config, compiled)
    return Plan(RunConfig.model_validate(trial.config), trial)


def parameters_of(config: RunConfig, elements: Sequence[int]) -> int:
    """The number of weights of a run's model for some elements, by building it; no data are read.

    Raises:
        HermtkError: there is no such model.
    """
    with torch.random.fork_rng(devices=[]):
        model = build_for(find_target(config.data.target), config.model, tuple(sorted(set(elements))))
    return sum(weight.numel() for weight in model.parameters())


def at_size(samples: Sequence[tuple[float, int]], edges: int | float) -> float:
    """The median time of steps, each moved to a batch of so many edges along their common slope (Theil and Sen).

    Args:
        samples: seconds and edges of each step.
        edges: of the batch that is asked for.
    """
    few = samples[-_COMPARED:]
    slopes = [(t - s) / (n - m) for (s, m), (t, n) in combinations(few, 2) if n != m]
    slope = max(statistics.median(slopes), 0.0) if slopes else 0.0
    return statistics.median(seconds + slope * (edges - n) for seconds, n in samples)
