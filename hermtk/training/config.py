"""The run configuration: everything that influences the result, in one file that alone reproduces the run."""

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from hermtk.errors import ConfigError, UnknownName
from hermtk.models.build import ModelConfig


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DataConfig(_Section):
    """Where structures come from and how they are divided."""

    train: str = Field(
        default="builtin",
        description="file of structures; 'builtin' is the embedded ethanol set, 'qm9' that of the package qm9pack",
    )
    validation: str | None = Field(default=None, description="file; if absent, taken from train")
    test: str | None = Field(
        default=None, description="file; if absent, what train and validation leave over"
    )
    target: str = Field(
        default="energy",
        description="what is learned: energy (with forces and stress), mu, alpha, homo, lumo, gap, r2, zpve, U0, U, H, G, cv, "
        "or another number of each structure",
    )
    format: str | None = Field(default=None, description="see `hermtk list`; recognised if absent")
    energy_unit: str | None = Field(default=None, description="eV, meV, Ha, Ry, kcal/mol, kJ/mol")
    length_unit: str | None = Field(default=None, description="Angstrom, Bohr, nm")
    stress_unit: str | None = Field(default=None, description="eV/Angstrom^3, GPa, kbar, Ha/Bohr^3")
    n_train: int | None = Field(default=None, ge=1, description="structures to train on")
    n_validation: int | None = Field(default=None, ge=1, description="structures to validate on")
    n_test: int | None = Field(default=None, ge=0, description="structures to test on")
    seed: int = Field(default=0, ge=0, description="seed of the split")
    allow_missing: bool = Field(
        default=False, description="train on structures that lack some labels; those are left out of the loss"
    )
    references: dict[str | int, float] | Literal["isolated"] | None = Field(
        default=None,
        description="energy (or target) per element, eV, e.g. {H: -13.6}; 'isolated': from the single atoms in train; "
        "least squares over train if absent",
    )


class LossConfig(_Section):
    """Weights of the terms; energies and stresses per atom."""

    kind: Literal["mse", "mae", "huber"] = Field(default="huber", description="how an error becomes a loss")
    delta: float = Field(
        default=0.01, gt=0, description="where huber turns from square to linear, eV, eV/Angstrom"
    )
    energy: float = Field(default=1.0, ge=0, description="weight of the energy per atom")
    forces: float = Field(default=1.0, ge=0, description="weight of the force components")
    stress: float | None = Field(
        default=None,
        ge=0,
        description="if absent: 1 where every structure has a stress (with allow_missing: any), else 0",
    )


class TrainingConfig(_Section):
    """How the weights are found."""

    steps: int | None = Field(
        default=None,
        ge=1,
        description="optimiser steps of the whole run; if absent 30000 (2000 on the embedded set)",
    )
    epochs: int | None = Field(default=None, ge=1, description="passes over the data; instead of steps")
    batch_size: int | None = Field(
        default=None, ge=1, description="structures per step; if absent 8, or what the next two allow"
    )
    batch_atoms: int | None = Field(default=None, ge=1, description="most atoms of a step")
    batch_edges: int | None = Field(
        default=None, ge=1, description="most edges of a step: they decide its memory"
    )
    workers: int = Field(
        default=0, ge=0, description="processes that make the batches of a store ahead; none if 0"
    )
    learning_rate: float = Field(default=1e-3, gt=0, description="highest learning rate")
    weight_decay: float = Field(default=0.0, ge=0, description="of AdamW; biases do not decay")
    schedule: Literal["cosine", "plateau", "constant"] = Field(
        default="cosine",
        description="how the learning rate falls: to zero over the run, when nothing improves, never",
    )
    warmup_steps: int = Field(default=200, ge=0, description="steps of linear growth of the learning rate")
    plateau_factor: float = Field(
        default=0.5, gt=0, lt=1, description="plateau: what the rate is multiplied by"
    )
    plateau_patience: int = Field(
        default=20, ge=1, description="plateau: validations without improvement before it"
    )
    clip: float | None = Field(default=10.0, gt=0, description="largest norm of the gradient; null for none")
    ema: float = Field(
        default=0.999, ge=0, lt=1, description="decay of the average of the weights; 0 for none"
    )
    early_stop: int | None = Field(
        default=None, ge=1, description="validations without improvement before the end"
    )
    max_minutes: float | None = Field(
        default=None, gt=0, description="end after this time, whatever is left to do"
    )
    validate_every: int = Field(default=1, ge=1, description="epochs between validations")
    checkpoint_minutes: float = Field(
        default=1.0, ge=0, description="time between checkpoints; 0 for every step"
    )
    compile: bool | None = Field(
        default=None, description="compile the model; if absent, where the run is long enough to pay"
    )
    loss: LossConfig = Field(default_factory=LossConfig)

    @model_validator(mode="after")
    def _validation_is_reachable(self) -> "TrainingConfig":
        if self.epochs is not None and self.validate_every > self.epochs:
            raise ValueError("validate_every is larger than epochs: the run would never be validated")
        return self


class RunConfig(_Section):
    """One training run."""

    data: DataConfig = Field(default_factory=DataConfig)
    model: ModelConfig = Field(default_factory=ModelConfig)
    training: TrainingConfig = Field(default_factory=TrainingConfig)
    seed: int = Field(default=0, ge=0, description="seed of weights and batch order")
    device: str = Field(default="cpu", description="cpu, cuda or mps")
    threads: int | None = Field(
        default=None,
        ge=1,
        description="CPU threads; OMP_NUM_THREADS or 1 if absent: more pay for large structures only",
    )


def make_config(values: dict[str, Any]) -> RunConfig:
    """A checked configuration from nested values.

    Raises:
        ConfigError: an unknown key (with the nearest name) or a value that cannot be; names the key.
    """
    try:
        return RunConfig.model_validate(values)
    except ValidationError as problem:
        raise ConfigError("; ".join(_explain(error) for error in problem.errors())) from None


def read_config(path: Path) -> dict[str, Any]:
    """The nested values of a YAML file, to be completed and given to ``make_config``.

    Raises:
        ConfigError: the file is missing or is not YAML of nested keys.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"there is no config file {path}") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as problem:
        raise ConfigError(f"{path} cannot be read as YAML: {' '.join(str(problem).split())}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path} must hold keys and values, it holds a {type(values).__name__}")
    return values


def dump_config(config: RunConfig) -> str:
    """The complete configuration as YAML."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def set_key(values: dict[str, Any], dotted: str, value: Any) -> None:
    """Set ``training.loss.energy`` and the like in nested values.

    Raises:
        UnknownName: a part of the name is not a key (offers the nearest).
    """
    *sections, last = dotted.split(".")
    known: dict[str, Any] = _tree(RunConfig)
    for name in sections:
        if known is not None and name not in known:
            raise UnknownName("configuration section", name, known)
        values = values.setdefault(name, {})
        known = known.get(name) if known else None  # type: ignore[assignment]
    if known and last not in known:
        raise UnknownName("configuration key", dotted, [".".join([*sections, key]) for key in known])
    values[last] = value


def _tree(section: type[BaseModel]) -> dict[str, Any]:
    return {
        name: _tree(field.annotation)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
        else None
        for name, field in section.model_fields.items()
    }


def _explain(error: Any) -> str:
    place = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        known: Any = _tree(RunConfig)
        for part in error["loc"][:-1]:
            known = (known or {}).get(part)
        return str(UnknownName("configuration key", str(error["loc"][-1]), known or []))
    given = f" (given: {error['input']!r})" if not isinstance(error.get("input"), dict) else ""
    return f"{place}: {error['msg']}{given}"
