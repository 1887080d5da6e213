"""What a study compares, as one file: variants, subnets, seeds, sizes, and the run that they share."""

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, field_validator, model_validator

from hermtk import registry
from hermtk.errors import ConfigError, UnknownName
from hermtk.models.variants import VARIANTS, variant
from hermtk.training.config import RunConfig, Section, checked, make_config, read_config


class StudyConfig(Section):
    """A study: every variant with every subnet, at every size, with every seed."""

    variants: list[str] = Field(
        default_factory=lambda: list(VARIANTS),
        min_length=1,
        description="homogeneous, hvnet, hpnet, htnet, or relation schemes by name",
    )
    subnets: list[str] = Field(default_factory=lambda: ["painn"], min_length=1, description="sub-networks")
    options: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="options of the subnets, by name, e.g. {unite: {l_max: 1}}"
    )
    control: str = Field(
        default="homogeneous", description="the variant that the others of a subnet are compared with"
    )
    seeds: list[int] = Field(
        default_factory=lambda: list(range(5)),
        min_length=1,
        description="a seed decides split, batch order and fresh weights of a run; a number of them stands for 0, 1, ...",
    )
    sizes: list[int] | None = Field(
        default=None,
        description="numbers of training structures, for learning curves; one, the run's, if absent",
    )
    match: Literal["none", "params", "time"] = Field(
        default="none",
        description="what arms have in common: width and steps; params: width solved for equal parameters; time: steps for equal "
        "training time",
    )
    budget: float | None = Field(
        default=None, gt=0, description="minutes that all runs together may take; decides the number of steps"
    )
    run: RunConfig = Field(default_factory=RunConfig, description="what all runs share: see `hermtk init`")

    @field_validator("seeds", mode="before")
    @classmethod
    def _number_of_seeds(cls, value: Any) -> Any:
        return list(range(value)) if isinstance(value, int) and not isinstance(value, bool) else value

    @model_validator(mode="after")
    def _makes_sense(self) -> "StudyConfig":
        for name in ("variants", "subnets", "seeds", "sizes"):
            values = getattr(self, name) or []
            twice = [value for value in values if values.count(value) > 1]
            if twice:
                raise ValueError(f"{name} holds {twice[0]} twice")
        if any(number < 0 for number in self.seeds):
            raise ValueError("seeds are 0 or larger")
        if any(number < 1 for number in self.sizes or []):
            raise ValueError("sizes are 1 or larger")
        return self


def make_study(values: dict[str, Any]) -> StudyConfig:
    """A checked study from nested values.

    Raises:
        ConfigError: an unknown key (with the nearest name), a value that cannot be, or a run that a study cannot share.
        UnknownName: a variant or a subnet that does not exist.
    """
    study = checked(StudyConfig, {**values, "run": make_config(values.get("run") or {})})
    for name in study.variants:
        variant(name)
    if study.control not in study.variants:
        known = ", ".join(study.variants)
        raise ConfigError(
            f"the control {study.control} is not among the variants ({known}): add it, or choose another control"
        )
    for name in study.subnets:
        registry.find("subnet", name)
    for name in study.options:
        if name not in study.subnets:
            raise UnknownName("subnet of the study", name, study.subnets)
    _check_run(study)
    return study


def read_study(path: Path) -> dict[str, Any]:
    """The nested values of a study file.

    Raises:
        ConfigError: the file is missing, is not YAML of nested keys, or is the file of a run.
    """
    values = read_config(path)
    own = set(values) & set(StudyConfig.model_fields)
    if values and not own and set(values) & set(RunConfig.model_fields):
        raise ConfigError(f"{path} is the configuration of a run: in a study it stands under `run:`")
    return values


def dump_study(study: StudyConfig) -> str:
    """The complete study as YAML."""
    return yaml.safe_dump(study.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _check_run(study: StudyConfig) -> None:
    """Refuse what the study decides itself, and what would make its arms differ in more than they say."""
    run = study.run
    for key, value in (("seed", run.seed), ("data.seed", run.data.seed)):
        if value:
            raise ConfigError(f"run.{key} is {value}: the study's `seeds` take its place, leave it out")
    if run.start.model is not None:
        raise ConfigError("run.start.model: a study compares models that begin with fresh weights")
    if run.model.subnet_overrides:
        raise ConfigError("run.model.subnet_overrides: the arms of a study have one subnet each")
    if run.training.max_minutes is not None:
        raise ConfigError(
            "run.training.max_minutes ends runs at steps that depend on what else the machine does: use `match: time`, which "
            "gives every arm steps for the same time"
        )
    if study.sizes:
        if run.data.n_train is not None:
            raise ConfigError("run.data.n_train and sizes say the same: leave one out")
        if not isinstance(run.data.train, str):
            raise ConfigError(
                "sizes: a study of several sizes trains on one file, run.data.train names several"
            )
