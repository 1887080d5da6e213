"""The arms of a study: what is compared."""

from dataclasses import asdict, dataclass
from typing import Any

from hermtk.ablation.study import StudyConfig
from hermtk.training.config import RunConfig, of_kind


@dataclass(frozen=True)
class Arm:
    """One kind of model, at one number of training structures.

    Attributes:
        subnet, variant: of the model.
        size: training structures; None where the study has one size.
        config: of its runs, complete but for the seeds.
        parameters: weights of the model; 0 before they are counted.
        step_seconds: of a training step with a batch of mean size; None where it was not measured.
        run_seconds: of a whole run, alone on its threads; None where it was not measured.
        peak: bytes of a run's process; None where it was not measured.
    """

    subnet: str
    variant: str
    size: int | None
    config: RunConfig
    parameters: int = 0
    step_seconds: float | None = None
    run_seconds: float | None = None
    peak: int | None = None

    @property
    def name(self) -> str:
        """``painn-hvnet``, or ``painn-hvnet-200`` of a study with several sizes."""
        parts = [self.subnet, self.variant, *([str(self.size)] if self.size else [])]
        return "-".join(parts)

    def facts(self) -> dict[str, Any]:
        """Everything as plain values."""
        return {**asdict(self), "config": self.config.model_dump(mode="json")}

    @classmethod
    def from_facts(cls, facts: dict[str, Any]) -> "Arm":
        """The arm that ``facts`` were made of."""
        return cls(**{**facts, "config": RunConfig.model_validate(facts["config"])})


def arms_of(study: StudyConfig) -> list[Arm]:
    """Every arm as the study file has it, not yet matched: sizes outermost, the variants of a subnet together."""
    return [
        Arm(subnet, variant, size, _config(study, subnet, variant, size))
        for size in study.sizes or [None]
        for subnet in study.subnets
        for variant in study.variants
    ]


def control_of(arm: Arm, study: StudyConfig) -> str:
    """The name of the arm that another one is compared with: the control of its subnet, at its size."""
    return Arm(arm.subnet, study.control, arm.size, arm.config).name


def changed(config: RunConfig, section: str, **values: Any) -> RunConfig:
    """A configuration with other values in one of its sections."""
    return config.model_copy(update={section: getattr(config, section).model_copy(update=values)})


def _config(study: StudyConfig, subnet: str, variant: str, size: int | None) -> RunConfig:
    config = of_kind(study.run, subnet, variant)
    options = {**config.model.subnet_options, **study.options.get(subnet, {})}
    config = changed(config, "model", subnet_options=options)
    # whatever the machine: threads decide how sums are rounded
    config = config.model_copy(update={"threads": study.run.threads or 1})
    return config if size is None else changed(config, "data", n_train=size)
