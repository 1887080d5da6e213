"""From a study's file to its runs: arms matched, times measured, every run named by what decides its result."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from hermtk import __version__
from hermtk.ablation.arms import Arm, arms_of, changed
from hermtk.ablation.jobs import Job
from hermtk.ablation.match import match_parameters, match_time, share_budget
from hermtk.ablation.study import StudyConfig, dump_study
from hermtk.data.dataset import file_digest
from hermtk.data.sources import data_path
from hermtk.data.statistics import elements_of
from hermtk.errors import ConfigError, DataError, RunError
from hermtk.files import make_folder, write_text
from hermtk.planning.plan import Plan, measure, parameters_of
from hermtk.planning.trials import Trials
from hermtk.training.config import DataConfig, RunConfig, dump_config
from hermtk.training.data.sets import read_split

STUDY, ARMS, RUNS = "study.yaml", "arms.json", "runs"
# characters of a hash: enough for a million runs
_HASH = 10
# keys of run.data that name files
_FILES = {"train", "validation", "test"}

# what is going on: a few words
Say = Callable[[str], None]


@dataclass(frozen=True)
class Prepared:
    """A study that can be run.

    Attributes:
        study: its configuration.
        folder: where everything of it lies.
        arms: matched.
        digests: SHA-256 of every data file.
    """

    study: StudyConfig
    folder: Path
    arms: list[Arm]
    digests: dict[str, str]

    @cached_property
    def jobs(self) -> list[Job]:
        """Every run: all arms with the first seed, then with the next, so that an unfinished study has pairs."""
        return [self._job(arm, seed) for seed in self.study.seeds for arm in self.arms]

    def _job(self, arm: Arm, seed: int) -> Job:
        config = changed(arm.config, "data", seed=seed).model_copy(update={"seed": seed})
        name = f"{arm.name}-seed{seed}-{key_of(config, self.digests)}"
        runs = self.folder / RUNS
        return Job(arm, seed, config, runs / name, runs / f"{name}.yaml")

    def write(self) -> None:
        """Write the study's file, its arms and the configuration of every run into the folder.

        Raises:
            RunError: a file cannot be written.
        """
        make_folder(self.folder / RUNS)
        write_text(self.folder / STUDY, dump_study(self.study))
        made = {"key": _key_of_arms(self.study, self.digests), "arms": [arm.facts() for arm in self.arms]}
        write_text(self.folder / ARMS, json.dumps(made, indent=1))
        for job in self.jobs:
            config = dump_config(job.config)
            if not job.given.is_file() or job.given.read_text(encoding="utf-8") != config:
                write_text(job.given, config)


def prepare_study(
    study: StudyConfig, folder: Path, trials: Trials, *, workers: int, measured: bool = False, say: Say
) -> Prepared:
    """Match the arms of a study, or take them as a study of the same file left them in the folder.

    Args:
        study: checked.
        folder: of the study; nothing is written here.
        trials: measures first steps where times are needed.
        workers: how many runs are at work at once, for the budget.
        measured: measure times and memory even where nothing follows from them.
        say: told what takes time.

    Raises:
        HermtkError: data that cannot be read, arms that cannot be matched, a run that could not begin.
        RunError: the folder holds the arms of another study, of other data or of another version.
    """
    digests = digests_of(study.run.data)
    kept = _kept(folder, study, digests)
    if kept is not None and not (measured and any(arm.step_seconds is None for arm in kept)):
        return Prepared(study, folder, kept, digests)
    arms = arms_of(study) if kept is None else kept
    if kept is None:
        arms = _alike(study, arms, say)
    if measured or study.match == "time" or study.budget is not None:
        plans = _plans(study, arms, trials, say)
        arms = [_with_costs(arm, plans[arm.name]) for arm in arms]
        if kept is None:
            arms = _in_time(study, arms, plans, workers)
    return Prepared(study, folder, arms, digests)


def key_of(config: RunConfig, digests: dict[str, str]) -> str:
    """A hash of all that decides a run's result: its configuration, the content of its data, the version."""
    values = config.model_dump(mode="json", exclude={"data": _FILES})
    return _hash([values, _content(config.data, digests), __version__])


def digests_of(data: DataConfig) -> dict[str, str]:
    """The SHA-256 of every file of a run's data.

    Raises:
        DataError: a file cannot be read.
    """
    try:
        return {file: file_digest(data_path(file)) for file in data.files if file}
    except OSError as problem:
        raise DataError(f"{problem.filename} cannot be read: {problem.strerror or problem}") from None


def _content(data: DataConfig, digests: dict[str, str]) -> list[Any]:
    """The data of a run, whatever their files are called."""
    sets = [[digests[one.file], one.model_dump(mode="json", exclude={"file"})] for one in data.sets]
    return [sets, *(digests.get(file or "") for file in (data.validation, data.test))]


def _hash(values: Any) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:_HASH]


def _asked(study: StudyConfig) -> dict[str, Any]:
    """A study as plain values, wherever its data are."""
    return study.model_dump(mode="json", exclude={"run": {"data": _FILES}})


def _key_of_arms(study: StudyConfig, digests: dict[str, str]) -> str:
    """A hash of what decides the arms: with other seeds they stay the same, unless time is shared out among them."""
    values = _asked(study)
    if study.budget is None:
        del values["seeds"]
    return _hash([values, _content(study.run.data, digests), __version__])


def _kept(folder: Path, study: StudyConfig, digests: dict[str, str]) -> list[Arm] | None:
    """The arms that the folder holds, if they are this study's; none of a fresh folder."""
    path = folder / ARMS
    if not path.is_file():
        if folder.is_file() or (folder.exists() and any(folder.iterdir())):
            raise RunError(f"{folder} is not empty and holds no study: choose another --out")
        return None
    made = json.loads(path.read_text(encoding="utf-8"))
    if made["key"] == _key_of_arms(study, digests):
        return [_moved(Arm.from_facts(facts), study.run.data) for facts in made["arms"]]
    before = yaml.safe_load((folder / STUDY).read_text(encoding="utf-8"))
    for name in _FILES:
        before["run"]["data"].pop(name, None)
    now = _asked(study)
    different = [name for name in now if before.get(name) != now[name]] or ["data or version"]
    raise RunError(
        f"{folder} holds another study (different: {', '.join(different)}): choose another --out. More seeds can be added to a "
        "study without a budget"
    )


def _moved(arm: Arm, data: DataConfig) -> Arm:
    """With the data where the study has them now."""
    return replace(arm, config=arm.config.model_copy(update={"data": arm.config.data.at(data.files)}))


def _alike(study: StudyConfig, arms: Sequence[Arm], say: Say) -> list[Arm]:
    """Parameters counted, and made equal where that is asked for."""
    say("counting parameters")
    elements = _elements(study, arms)

    def count(arm: Arm, channels: int) -> int:
        return parameters_of(changed(arm.config, "model", channels=channels), elements)

    # arms that differ in their size alone have the same model
    first = [arm for arm in arms if arm.size == arms[0].size]
    if study.match == "params":
        control = next(arm for arm in first if arm.variant == study.control)
        first = match_parameters(first, control, count)
    else:
        first = [replace(arm, parameters=count(arm, arm.config.model.channels)) for arm in first]
    models = {(arm.subnet, arm.variant): arm for arm in first}
    return [_as_wide(arm, models[arm.subnet, arm.variant]) for arm in arms]


def _elements(study: StudyConfig, arms: Sequence[Arm]) -> list[int]:
    """Of the largest training set, with the first seed.

    Raises:
        ConfigError: nothing is left to test on.
    """
    largest = max(arms, key=lambda arm: arm.size or 0)
    data = largest.config.data.model_copy(update={"seed": study.seeds[0]})
    split, _, _ = read_split(data)
    if not len(split.test):
        raise ConfigError(
            "a study needs structures to test on, which decide nothing else: give run.data.test, or smaller numbers to train on"
        )
    if study.sizes and data.test is None and data.n_test is None:
        raise ConfigError(
            f"sizes: what a smaller training set leaves over would be tested on too. Give run.data.n_test (at most "
            f"{len(split.test)}), so that all sizes are tested on the same structures"
        )
    return sorted({*elements_of(split.train), *elements_of(split.validation)})


def _as_wide(arm: Arm, other: Arm) -> Arm:
    channels = other.config.model.channels
    return replace(arm, config=changed(arm.config, "model", channels=channels), parameters=other.parameters)


def _plans(study: StudyConfig, arms: Sequence[Arm], trials: Trials, say: Say) -> dict[str, Plan]:
    plans = {}
    for arm in arms:
        say(f"measuring {arm.name}")
        plans[arm.name] = measure(arm.config, trials=trials)
    return plans


def _with_costs(arm: Arm, plan: Plan) -> Arm:
    return replace(arm, step_seconds=plan.step_seconds, run_seconds=plan.run_seconds, peak=plan.trial.peak)


def _in_time(study: StudyConfig, arms: Sequence[Arm], plans: dict[str, Plan], workers: int) -> list[Arm]:
    """Steps by the budget, and by equal times."""

    def steps_in(arm: Arm, seconds: float) -> int:
        return plans[arm.name].steps_in(seconds / 60)

    def time_of(arm: Arm, steps: int) -> float:
        return plans[arm.name].seconds_of(steps)

    # of one run of every arm
    seconds = 60 * study.budget * workers / len(study.seeds) if study.budget is not None else None
    if study.match == "time":
        if seconds is None:
            control = next(arm for arm in arms if arm.variant == study.control)
            arms = match_time(arms, plans[control.name].run_seconds, steps_in)
        else:
            arms = match_time(arms, seconds / len(arms), steps_in)
    elif seconds is not None:
        arms = share_budget(arms, seconds, time_of)
    return [
        replace(arm, run_seconds=time_of(arm, arm.config.training.steps or plans[arm.name].steps))
        for arm in arms
    ]
