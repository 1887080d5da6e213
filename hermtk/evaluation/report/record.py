"""What the folder of a run says of it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hermtk.data.targets import ENERGY, Target, find_target
from hermtk.errors import DataError, RunError
from hermtk.evaluation.metrics import Metrics, NoValidation, read_metrics
from hermtk.models.layers import subnets_in_words
from hermtk.training.config import RunConfig, make_config, read_config


@dataclass(frozen=True)
class RunRecord:
    """A run, finished or not.

    Attributes:
        folder: where it is.
        config: complete.
        text: the same as YAML.
        facts: provenance, statistics, coverage: run.json.
        metrics: None before the first validation.
        ended: why it is over; empty where it is not.
        cpu_seconds, peak_bytes: what training took of the processor and of memory; None where the run does not say.
    """

    folder: Path
    config: RunConfig
    text: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    metrics: Metrics | None = None
    ended: str = ""
    cpu_seconds: float | None = None
    peak_bytes: int | None = None

    @property
    def target(self) -> Target:
        """What is learned."""
        return find_target(self.config.data.target)

    @property
    def title(self) -> str:
        """Subnets, variant and data in a few words."""
        model = self.config.model
        names = [Path(one.file).name for one in self.config.data.sets]
        source = "the embedded ethanol set" if names == ["builtin"] else " and ".join(names)
        target = "" if self.target == ENERGY else f" for {self.target.name}"
        return f"{subnets_in_words(model)} × {model.variant}{target} on {source}"

    @property
    def total_steps(self) -> int | None:
        """How many the run was to have."""
        return self.config.training.steps


def read_run(folder: Path) -> RunRecord:
    """The record of the run in a folder.

    Raises:
        RunError: there is no run, or a file of it is damaged.
        ConfigError: its configuration cannot be read.
    """
    if not (folder / "config.yaml").is_file():
        raise RunError(
            f"{folder} holds no run (there is no config.yaml in it); give the folder of `hermtk train`"
        )
    path = folder / "metrics.csv"
    try:
        metrics = read_metrics(path) if path.is_file() else None
    except NoValidation:
        metrics = None
    except DataError as problem:
        raise RunError(str(problem)) from None
    results = _values(folder / "results.json")
    return RunRecord(
        folder,
        make_config(read_config(folder / "config.yaml")),
        (folder / "config.yaml").read_text(encoding="utf-8"),
        _values(folder / "run.json"),
        metrics,
        str(results.get("ended", "")),
        results.get("cpu_seconds"),
        results.get("peak_bytes"),
    )


def _values(path: Path) -> dict[str, Any]:
    """The content of a JSON file; nothing where there is none."""
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise RunError(f"{path} cannot be read: {problem}") from None
    return found if isinstance(found, dict) else {}
