"""The runs of a study: each an arm with a seed, in a folder named by what decides its result."""

import json
from dataclasses import dataclass
from pathlib import Path

from hermtk.ablation.arms import Arm
from hermtk.training.config import RunConfig

CONFIG, RESULTS = "config.yaml", "results.json"


@dataclass(frozen=True)
class Job:
    """One run of a study.

    Attributes:
        arm: whose run it is.
        seed: of split, weights and batch order.
        config: complete, as `hermtk train` takes it.
        folder: of the run; its name ends with a hash of all that decides the result.
        given: the file beside the runs that holds ``config``.
    """

    arm: Arm
    seed: int
    config: RunConfig
    folder: Path
    given: Path

    @property
    def name(self) -> str:
        """``painn-hvnet-200 seed 3``."""
        return f"{self.arm.name} seed {self.seed}"

    @property
    def arguments(self) -> list[str]:
        """Of ``hermtk``: begins the run, or goes on with it; a finished one is left alone. `hermtk report` makes its report."""
        return ["train", str(self.given), "--out", str(self.folder), "--resume", "auto", "--no-report"]

    @property
    def finished(self) -> bool:
        """Whether its results are there."""
        return (self.folder / RESULTS).is_file()

    @property
    def results(self) -> dict:
        """What the run wrote of its test."""
        return json.loads((self.folder / RESULTS).read_text(encoding="utf-8"))

    @property
    def facts(self) -> dict:
        """What the run wrote of its data, versions and machine."""
        return json.loads((self.folder / "run.json").read_text(encoding="utf-8"))
