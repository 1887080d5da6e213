"""Run several drivers in turn, ABAB..., and compare them: medians, ratios to the first, results.json.

    python interleave.py --rounds 5 "PYTHON_A schnetpack_painn.py alloy256" "PYTHON_B hermtk_model.py alloy256 --compile"

Each command is a fresh process per round. Whatever disturbs the machine meets all of them, so the ratio of the runs of
one round says more than two medians taken an hour apart.
"""

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
from pathlib import Path

Record = dict
Rounds = list[list[Record]]

_COLUMNS = "| tool | model | CPU ms | least | peak RSS MB | parameters | ratio to the first | per round |"


def main() -> None:
    """Read the commands, run them in turn, print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("commands", nargs="+", help="one driver's whole command line each, quoted")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("results.json"))
    chosen = parser.parse_args()
    rounds: Rounds = []
    for number in range(chosen.rounds):
        records = []
        for command in chosen.commands:
            record = run(shlex.split(command))
            sys.stderr.write(
                f"round {number + 1} of {chosen.rounds}: {record['tool']} {record['model']} {record['workload']} "
                f"{record['ms']} ms\n"
            )
            records.append(record)
        check(records)
        rounds.append(records)
        save(chosen.out, {"commands": chosen.commands, "rounds": rounds})
    sys.stdout.write(table(rounds))


def run(command: list[str]) -> Record:
    """The JSON line of one driver."""
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        sys.exit(f"error: exit status {done.returncode} from: {shlex.join(command)}\n{done.stderr[-2000:]}")
    return json.loads(lines[-1])


def check(records: list[Record]) -> None:
    """Refuse to compare different work."""
    for name in ("workload", "job", "structures"):
        found = [record[name] for record in records]
        if len(set(found)) > 1:
            sys.exit(f"error: the commands differ in {name}: {', '.join(map(str, found))}")


def table(rounds: Rounds) -> str:
    """Markdown: medians over the rounds, the ratio of medians and the range of the rounds' own ratios."""
    first = rounds[0][0]
    lines = [f"{first['workload']}, {first['job']}, {len(rounds)} rounds", "", _COLUMNS]
    lines.append("|---|---|---|---|---|---|---|---|")
    base = [records[0]["ms"] for records in rounds]
    for records in zip(*rounds, strict=True):
        times = [record["ms"] for record in records]
        ratios = [time / start for time, start in zip(times, base, strict=True)]
        ratio = statistics.median(times) / statistics.median(base)
        lines.append(
            f"| {records[0]['tool']} {records[0]['version']} | {records[0]['model']} | {statistics.median(times):.1f} "
            f"| {min(record['least_ms'] for record in records):.1f} "
            f"| {statistics.median(record['peak_rss_mb'] for record in records):.0f} "
            f"| {records[0]['parameters'] / 1000:.0f}k | {ratio:.2f} | {min(ratios):.2f} to {max(ratios):.2f} |"
        )
    return "\n".join(lines) + "\n"


def save(path: Path, found: object) -> None:
    """Everything so far, written beside and renamed."""
    beside = path.with_name(path.name + ".part")
    beside.write_text(json.dumps(found, indent=1) + "\n")
    beside.replace(path)


if __name__ == "__main__":
    main()
