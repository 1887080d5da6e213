"""hermtk against the original HermNet code on the same systems: CPU seconds, and how many times fewer.

    python tests/benchmarks/reference_figures.py [--rounds 3] [--out results.json]

The original code's figures were taken once, on two shared x86-64 cores without GPU, one thread, F = 128, 4 layers, cut-off
5 Angstrom, 5 elements in the alloys; they are quoted here, not measured again. Each of ours is a fresh process of
`peers/hermtk_model.py`, eager and compiled in turn.
"""

import argparse
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "peers"))

from interleave import Record, run, save  # noqa: E402  # pyright: ignore[reportMissingImports]

TARGETS = {"eager": 4.0, "compiled": 8.0}


@dataclass(frozen=True)
class Figure:
    """CPU seconds of the original code: energy and forces, and one training step."""

    variant: str
    workload: str
    inference: float
    training: float

    def of(self, job: str) -> float:
        """Seconds of one of the two jobs."""
        return self.inference if job == "inference" else self.training


FIGURES = (
    Figure("hvnet", "alloy108", 0.73, 2.06),
    Figure("hvnet", "alloy256", 1.51, 5.16),
    Figure("hvnet", "ethanol10", 0.13, 0.33),
    Figure("htnet", "alloy108", 9.05, 31.1),
)


def main() -> None:
    """Measure, print the table, write the records."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--seconds", type=float, default=10.0, help="CPU seconds to spend on timed calls, per process"
    )
    parser.add_argument("--out", type=Path, default=Path("reference-results.json"))
    chosen = parser.parse_args()
    records: list[Record] = []
    lines = [
        "| variant | workload | job | original s | eager s | times | compiled s | times | targets |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for figure in FIGURES:
        for job in ("inference", "training"):
            times = {way: [] for way in TARGETS}
            for _ in range(chosen.rounds):
                for way, found in times.items():
                    record = measured(figure, job, way, chosen.seconds)
                    records.append(record)
                    found.append(record["ms"] / 1e3)
            lines.append(row(figure, job, {way: statistics.median(found) for way, found in times.items()}))
            sys.stderr.write(lines[-1] + "\n")
            save(chosen.out, records)
    sys.stdout.write("\n".join(lines) + "\n")


def measured(figure: Figure, job: str, way: str, seconds: float) -> Record:
    """One process of hermtk's driver."""
    command = [sys.executable, str(HERE / "peers" / "hermtk_model.py"), figure.workload, "--job", job]
    command += ["--variant", figure.variant, "--channels", "128", "--layers", "4", "--seconds", str(seconds)]
    return run(command + (["--compile"] if way == "compiled" else []))


def row(figure: Figure, job: str, seconds: dict[str, float]) -> str:
    """One line of the table, and whether each target is met."""
    original = figure.of(job)
    cells = [figure.variant, figure.workload, job, f"{original:g}"]
    met = []
    for way, target in TARGETS.items():
        times = original / seconds[way]
        cells += [f"{seconds[way]:.3f}", f"{times:.1f}"]
        met.append(f"{way} >= {target:g}: {'met' if times >= target else 'missed'}")
    return "| " + " | ".join([*cells, ", ".join(met)]) + " |"


if __name__ == "__main__":
    main()
