"""The run configuration: everything that influences the result, in one file that alone reproduces the run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from hermtk.errors import ConfigError, UnknownName
from hermtk.models.config import ModelConfig

_S = TypeVar("_S", bound=BaseModel)
# what pydantic calls that kind of ``data.train``
_LIST_OF_SETS = "list[SetConfig]"


class Section(BaseModel):
    """Keys with their values; others are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SetConfig(Section):
    """One of several sets; what it leaves out is as in ``data``."""

    file: str = Field(description="file of structures")
    weight: float = Field(
        default=1.0, gt=0, description="what the losses of its structures are multiplied by"
    )
    n_train: int | None = Field(default=None, ge=1, description="structures to train on")
    n_validation: int | None = Field(default=None, ge=1, description="structures to validate on")
    n_test: int | None = Field(default=None, ge=0, description="structures to test on")
    format: str | None = Field(default=None, description="recognised if absent")
    energy_unit: str | None = Field(default=None, description="eV, meV, Ha, Ry, kcal/mol, kJ/mol")
    length_unit: str | None = Field(default=None, description="Angstrom, Bohr, nm")
    stress_unit: str | None = Field(default=None, description="eV/Angstrom^3, GPa, kbar, Ha/Bohr^3")


class DataConfig(Section):
    """Where structures come from and how they are divided."""

    train: str | list[SetConfig] = Field(
        default="builtin",
        description="file of structures, or a list of files or of {file, weight, n_train, ...}; 'builtin' is the embedded "
        "ethanol set, 'qm9' that of the package qm9pack",
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

    @field_validator("train", mode="before")
    @classmethod
    def _names_are_sets(cls, value: Any) -> Any:
        if not isinstance(value, list):
            return value
        if not value:
            raise ValueError("a list of sets needs one at least")
        return [{"file": one} if isinstance(one, str) else one for one in value]

    @property
    def sets(self) -> list[SetConfig]:
        """Every set of ``train`` with all that it takes from here."""
        own = [SetConfig(file=self.train)] if isinstance(self.train, str) else self.train
        shared = {
            name: getattr(self, name) for name in SetConfig.model_fields if name not in ("file", "weight")
        }
        given = [one.model_dump(exclude_none=True) for one in own]
        return [SetConfig(**{**shared, **one}) for one in given]

    @property
    def files(self) -> tuple[str | None, ...]:
        """Of every set of ``train``, of ``validation`` and of ``test``."""
        return (*(one.file for one in self.sets), self.validation, self.test)

    def at(self, files: Sequence[str | None]) -> "DataConfig":
        """The same with other names for its ``files``."""
        *sets, validation, test = files
        train: Any = sets[0]
        if not isinstance(self.train, str):
            named = zip(self.train, sets, strict=True)
            train = [one.model_copy(update={"file": file}) for one, file in named]
        return self.model_copy(update={"train": train, "validation": validation, "test": test})


class StartConfig(Section):
    """Where the weights come from, if not from chance: fine-tuning."""

    model: str | None = Field(
        default=None, description="model file, or run, to begin with; fresh weights if absent"
    )
    freeze: list[str] = Field(
        default_factory=list,
        description="parameters that stay as they are: embedding, layers.0, readout, or patterns such as `*.bias`; see "
        "`hermtk show MODEL --parameters`",
    )
    references: Literal["keep", "new"] | None = Field(
        default=None,
        description="keep those of the model, or fit what the data's energies differ by, per element; if absent keep, unless "
        "data.references gives others",
    )

    @model_validator(mode="after")
    def _begins_somewhere(self) -> "StartConfig":
        given = [name for name in ("freeze", "references") if getattr(self, name)]
        if self.model is None and given:
            raise ValueError(f"{given[0]} is about the model to begin with: give start.model (--start) too")
        return self


class LossConfig(Section):
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


class TrainingConfig(Section):
    """How the weights are found."""

    steps: int | None = Field(
        default=None,
        ge=1,
        description="optimiser steps of the whole run; if absent 15000 (1200 on the embedded set)",
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
    optimizer: Literal["soap", "adamw"] = Field(
        default="soap",
        description="what changes the matrices of linear maps; AdamW changes the other weights",
    )
    learning_rate: float | None = Field(
        default=None,
        gt=0,
        description="highest learning rate; if absent 0.004 (adamw: 0.003), or 0.001 from a model's weights on",
    )
    weight_decay: float = Field(default=0.0, ge=0, description="decoupled; biases do not decay")
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
    loggers: list[Literal["tensorboard", "wandb"]] = Field(
        default_factory=list, description="where to log besides metrics.csv"
    )
    log_every: int = Field(default=10, ge=1, description="steps between losses that loggers are told")
    loss: LossConfig = Field(default_factory=LossConfig)

    @model_validator(mode="after")
    def _validation_is_reachable(self) -> "TrainingConfig":
        if self.epochs is not None and self.validate_every > self.epochs:
            raise ValueError("validate_every is larger than epochs: the run would never be validated")
        return self


class RunConfig(Section):
    """One training run."""

    data: DataConfig = Field(default_factory=DataConfig)
    model: ModelConfig = Field(default_factory=ModelConfig)
    start: StartConfig = Field(default_factory=StartConfig)
    training: TrainingConfig = Field(default_factory=TrainingConfig)
    seed: int = Field(default=0, ge=0, description="seed of weights and batch order")
    device: str = Field(default="cpu", description="cpu or cuda")
    threads: int | None = Field(
        default=None,
        ge=1,
        description="CPU threads; OMP_NUM_THREADS or 1 if absent: more pay for large structures only",
    )


def of_kind(config: RunConfig, subnet: str, variant: str) -> RunConfig:
    """The same run of another kind of model: options of a subnet, or of a scheme, that is not its own are left behind."""
    model = config.model
    changed: dict[str, Any] = {"subnet": subnet, "variant": variant}
    if subnet != model.subnet:
        changed["subnet_options"] = {}
    if variant != model.variant:
        changed["relation_options"] = {}
    return config.model_copy(update={"model": model.model_copy(update=changed)})


def make_config(values: dict[str, Any]) -> RunConfig:
    """A checked configuration from nested values.

    Raises:
        ConfigError: an unknown key (with the nearest name) or a value that cannot be; names the key.
    """
    return checked(RunConfig, values)


def checked(section: type[_S], values: dict[str, Any]) -> _S:
    """The same of any configuration that is made of sections.

    Raises:
        ConfigError: as ``make_config``.
    """
    try:
        return section.model_validate(values)
    except ValidationError as problem:
        errors = [error for error in problem.errors() if not _of_the_other_kind(error)]
        raise ConfigError("; ".join(_explain(error, section) for error in errors)) from None


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


def _of_the_other_kind(error: Any) -> bool:
    """Whether an error says that a list is no text, or the reverse, where either may stand."""
    place = tuple(error["loc"])
    if place[:2] != ("data", "train") or len(place) < 3:
        return False
    return isinstance(error["input"], list) if place[2] == "str" else error["type"] == "list_type"


def _explain(error: Any, section: type[BaseModel]) -> str:
    # the kinds of a union stand between the names
    parts = [part for part in error["loc"] if part not in ("str", _LIST_OF_SETS)]
    place = ".".join(map(str, parts))
    if error["type"] == "extra_forbidden":
        known: Any = _tree(section)
        for part in parts[:-1]:
            known = SetConfig.model_fields if isinstance(part, int) else (known or {}).get(part)
        return str(UnknownName("configuration key", str(parts[-1]), known or []))
    given = f" (given: {error['input']!r})" if not isinstance(error.get("input"), dict) else ""
    said = error["msg"].removeprefix("Value error, ")
    return f"{place}: {said}{given}" if place else f"{said}{given}"
