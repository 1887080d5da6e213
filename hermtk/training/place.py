"""Where torchrun or SLURM has put a process: read from the environment, without torch."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from hermtk.errors import RunError

# where processes under SLURM meet, by the number of their job
_PORTS = range(20_000, 40_000)


@dataclass(frozen=True)
class Place:
    """Where a process stands among those of a run.

    Attributes:
        rank: its number, from 0.
        count: how many there are.
        local: its number on its machine.
        meeting: where they find each other, as torch writes it.
    """

    rank: int
    count: int
    local: int
    meeting: str = "env://"


def place_in(environment: Mapping[str, str]) -> Place | None:
    """Where torchrun, or srun under SLURM, has put this process; None where it is alone.

    Raises:
        RunError: the variables are there but make no sense.
    """
    try:
        if "RANK" in environment and "WORLD_SIZE" in environment:
            rank, count = int(environment["RANK"]), int(environment["WORLD_SIZE"])
            found = Place(rank, count, int(environment.get("LOCAL_RANK", rank)))
            needed = ("MASTER_ADDR", "MASTER_PORT")
            if missing := [name for name in needed if name not in environment and count > 1]:
                raise RunError(
                    f"RANK and WORLD_SIZE are set but not {' and '.join(missing)}: start the processes with torchrun"
                )
        # not SLURM_NTASKS, which a batch script has too although it is one process
        elif "SLURM_STEP_NUM_TASKS" in environment and "SLURM_PROCID" in environment:
            host = environment.get("MASTER_ADDR") or first_host(environment.get("SLURM_STEP_NODELIST", ""))
            job = int(environment.get("SLURM_JOB_ID", 0)) + 101 * int(environment.get("SLURM_STEP_ID", 0))
            port = environment.get("MASTER_PORT") or _PORTS[job % len(_PORTS)]
            found = Place(
                int(environment["SLURM_PROCID"]),
                int(environment["SLURM_STEP_NUM_TASKS"]),
                int(environment.get("SLURM_LOCALID", 0)),
                f"tcp://{host}:{port}",
            )
        else:
            return None
    except ValueError as problem:
        raise RunError(f"the number of a process in the environment cannot be read: {problem}") from None
    if not 0 <= found.rank < found.count:
        raise RunError(
            f"this process is number {found.rank} of {found.count}: numbers go from 0 to count - 1"
        )
    return found if found.count > 1 else None


def first_host(nodes: str) -> str:
    """The first of SLURM's list of nodes: ``gpu[03-05,9],login`` begins with ``gpu03``."""
    return re.sub(r"\[(\d+)[^]]*\]", r"\1", nodes).split(",")[0]
