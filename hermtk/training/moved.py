"""Data that lie elsewhere than when a run began."""

import json
from pathlib import Path

from hermtk.files import write_text
from hermtk.training.config import DataConfig, dump_config, make_config, read_config
from hermtk.training.data.prepare import Prepared
from hermtk.training.data.sets import names_of


def follow(folder: Path, wanted: DataConfig, data: Prepared) -> bool:
    """Bring a run's config.yaml and run.json up to date if its data have moved; whether they had.

    Args:
        folder: of the run.
        wanted: where the data are now; files are taken for each other by their order.
        data: read from there. Where their content is not what the run began with, nothing is changed.

    Raises:
        RunError: a file cannot be written.
    """
    stored = make_config(read_config(folder / "config.yaml"))
    facts = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    there, here = stored.data.files, wanted.files
    known = facts["data"]["sha256"]
    # run.json has the new names already where this was killed between its two files
    before = [known.get(old, known.get(new)) if old else None for old, new in zip(there, here, strict=False)]
    now = [data.digests.get(file or "") for file in here]
    # sets give their names to columns of metrics.csv
    if there == here or before != now or names_of(stored.data.sets) != names_of(wanted.sets):
        return False
    facts["data"]["sha256"] = data.digests
    for one in data.sets:
        facts["data"]["sets"][one.name]["file"] = one.file
    write_text(folder / "run.json", json.dumps(facts, indent=1))
    moved = stored.model_copy(update={"data": stored.data.at(here)})
    write_text(folder / "config.yaml", dump_config(moved))
    return True
