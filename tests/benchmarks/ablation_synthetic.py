"""Does `hermtk ablate` find what is known to be there, and nothing where nothing is?

    python tests/benchmarks/ablation_synthetic.py FOLDER [--studies 20] [--seeds 3] [--jobs 2]

Clusters of three elements under Morse potentials (tests/ablation/synthetic.py). One study where every pair of elements has a
potential of its own, and as many as asked for where all have the same, each with another potential. Prints a JSON line per study,
then how often a benefit was found. Resumable: the same command goes on. A run takes 7 s of CPU time.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import ase.io
from scipy import stats

sys.path.append(str(Path(__file__).parents[1] / "ablation"))
from synthetic import structures

OPTIONS = [
    *("--variants", "homogeneous,hpnet", "--steps", "300"),
    *("--n-train", "120", "--n-validation", "30", "--n-test", "150"),
    *("--set", "training.warmup_steps=20", "--set", "training.validate_every=4"),
    *("--set", "model.layers=1", "--set", "model.channels=16", "--set", "model.cutoff=4.0"),
]


def study(folder: Path, *, typed: bool, seed: int, seeds: int, jobs: int) -> dict:
    """The difference of the force errors that a study found."""
    name = f"{'typed' if typed else 'untyped'}-{seed}"
    data = folder / f"{name}.xyz"
    if not data.is_file():
        ase.io.write(data, structures(300, typed=typed, seed=seed), format="extxyz")
    command = [sys.executable, "-m", "hermtk_cli.main", "ablate", "--data", str(data), *OPTIONS]
    more = ["--seeds", str(seeds), "--jobs", str(jobs), "--out", str(folder / name), "--json"]
    found = json.loads(subprocess.run([*command, *more], check=True, stdout=subprocess.PIPE).stdout)
    for table in found["tables"]:
        if (table["metric"]["quantity"], table["metric"]["kind"], table["metric"]["part"]) == (
            "forces",
            "mae",
            "",
        ):
            (difference,) = table["differences"]
            kept = ("mean", "interval", "p", "relative")
            return {"study": name, **{key: difference[key] for key in kept}}
    raise SystemExit(f"{name}: no forces were compared")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--studies", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    shared = {"seeds": arguments.seeds, "jobs": arguments.jobs}
    typed = study(arguments.folder, typed=True, seed=0, **shared)
    print(json.dumps(typed), flush=True)
    benefits, allowed = 0, int(stats.binom.ppf(0.95, arguments.studies, 0.05))
    for seed in range(arguments.studies):
        found = study(arguments.folder, typed=False, seed=seed, **shared)
        print(json.dumps(found), flush=True)
        benefits += found["interval"][1] < 0
    said = {"typed_found": typed["interval"][1] < 0, "benefits_of_nothing": benefits, "allowed": allowed}
    print(json.dumps({**said, "studies": arguments.studies}))


if __name__ == "__main__":
    main()
