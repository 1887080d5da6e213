"""Begin a run or go on with it, whichever its folder asks for: what a job that is queued again and again wants."""

import re
from pathlib import Path
from typing import Any, Literal

from hermtk.errors import RunError
from hermtk.training.checkpoint import previous
from hermtk.training.config import RunConfig, make_config, read_config
from hermtk.training.data.prepare import prepare_run
from hermtk.training.loop import Listener
from hermtk.training.moved import follow
from hermtk.training.processes import ALONE, Processes
from hermtk.training.resolve import resolved
from hermtk.training.run import Run, new_run, resume_run
from hermtk.training.tuning.start import open_start

# what stands in a folder without being a run: files that were never finished, and what a queue writes for its jobs
_NO_RUN = re.compile(r"\.\w+(\.\w+)?|.*\.(out|err|log)")


def begin_or_resume(config: RunConfig, folder: Path, listener: Listener, processes: Processes = ALONE) -> Run:
    """The run of a folder: begun if there is none, else where it was; a finished one comes back finished.

    What was stopped before its first checkpoint is begun again. Data may lie elsewhere than when the run began, if they are
    the same.

    Raises:
        RunError: the folder holds something else, or a run with another configuration (names the keys), or as ``resume_run``.
        HermtkError: the configuration or the data cannot be used.
    """
    state = processes.from_first(_state(folder))
    if state in ("empty", "other"):
        return new_run(config, folder, listener, processes=processes, again=state == "empty")
    start = open_start(config)
    config = start.adopted(config) if start else config
    data = prepare_run(config, start and start.statistics)
    if processes.from_first(processes.first and follow(folder, config.data, data)):
        listener.note(f"the data of the run in {folder} have moved; it goes on with them where they are now")
    stored = make_config(read_config(folder / "config.yaml"))
    if said := differences(stored, resolved(_with_choices_of(stored, config), data)):
        raise RunError(
            f"{folder} holds a run with another configuration: {'; '.join(said)}. Choose another --out, or go on with that run "
            f"as it is: `hermtk train --resume {folder}`"
        )
    if state == "going":
        # what fine-tuning began with is in the folder
        return resume_run(folder, listener, processes, None if start else data)
    listener.note(f"the run in {folder} was stopped before its first checkpoint; it begins again")
    return new_run(stored, folder, listener, data, processes, again=True)


def differences(stored: RunConfig, wanted: RunConfig) -> list[str]:
    """The keys that differ, each with both values."""
    there, here = _flat(stored.model_dump(mode="json")), _flat(wanted.model_dump(mode="json"))
    return [
        f"{key} is {there.get(key)!r} there and {here.get(key)!r} here"
        for key in dict.fromkeys([*there, *here])
        if there.get(key) != here.get(key)
    ]


def _state(folder: Path) -> Literal["empty", "other", "begun", "going"]:
    """What a folder holds."""
    if folder.is_file():
        return "other"
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if "config.yaml" not in names:
        return "empty" if all(_NO_RUN.fullmatch(name) for name in names) else "other"
    last = Path("checkpoint.pt")
    return "going" if names & {last.name, previous(last).name} else "begun"


def _with_choices_of(stored: RunConfig, config: RunConfig) -> RunConfig:
    """The configuration with what it leaves to the machine as it was chosen where the run began."""
    compiled = config.training.compile
    training = config.training.model_copy(
        update={"compile": stored.training.compile if compiled is None else compiled}
    )
    return config.model_copy(update={"training": training, "threads": config.threads or stored.threads})


def _flat(values: Any, place: str = "") -> dict[str, Any]:
    """Values by dotted name."""
    if not isinstance(values, dict) or not values:
        return {place: values}
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= _flat(value, f"{place}.{name}" if place else name)
    return found
