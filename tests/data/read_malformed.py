"""Run as a script: read files and say of each, one JSON line, what came of it, and what it took of memory and time.

``read_malformed.py LIST FIRST``: LIST is a file of paths, one a line; those before number FIRST are passed over.
"""

import json
import sys
import time
import warnings
from pathlib import Path

from hermtk.data.dataset import iterate_structures
from hermtk.errors import HermtkError


def outcome(path: str) -> str:
    """'structures', the refusal of HermtkError, or 'escaped: ' and any other exception."""
    try:
        count = sum(1 for _ in iterate_structures(path))
    except HermtkError as refusal:
        return f"refused: {refusal}"
    except BaseException as escaped:
        return f"escaped: {escaped!r}"
    return f"{count} structures"


def peak() -> int:
    """The most memory that was resident since ``forget``, bytes; 0 where that cannot be known."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return 1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])


def forget() -> None:
    """Begin the peak anew."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return


def main(listing: str, first: int) -> None:
    warnings.simplefilter("ignore")
    for number, path in enumerate(Path(listing).read_text(encoding="utf-8").splitlines()):
        if number < first:
            continue
        forget()
        before, start = peak(), time.process_time()
        what = outcome(path)
        sys.stdout.write(
            json.dumps(
                {
                    "path": path,
                    "outcome": what,
                    "memory": peak() - before,
                    "time": time.process_time() - start,
                }
            )
            + "\n"
        )
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
