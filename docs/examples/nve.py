"""Does a model conserve energy? Dynamics at constant energy (NVE) through ASE, recorded and drawn.

    python docs/examples/nve.py MODEL [--data FILE] [--steps 20000] [--timestep 0.5] [--temperature 300] [--out DIR]

Starts from the first structure of FILE (of the embedded ethanol set if none is given), with random velocities and no motion
of the whole. Writes DIR/energy.csv and DIR/energy.png; prints the drift of the total energy, its fluctuation, its largest jump.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from ase import Atoms, units
from ase.md.velocitydistribution import Stationary, ZeroRotation
from ase.md.verlet import VelocityVerlet
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from hermtk.data.atoms import to_atoms
from hermtk.data.dataset import builtin_path, read_structures
from hermtk.errors import HermtkError
from hermtk.files import replacing, write_text
from hermtk.interfaces.ase import HermCalculator

EVERY = 10
BLUE, RED, GREY = "#0072B2", "#D55E00", "#555555"


@dataclass(frozen=True)
class Record:
    """The state at one time: fs, eV, eV, K."""

    time: float
    potential: float
    kinetic: float
    temperature: float

    @property
    def total(self) -> float:
        """EV; constant in exact dynamics."""
        return self.potential + self.kinetic


@dataclass(frozen=True)
class Summary:
    """How well the total energy was conserved.

    Attributes:
        drift: slope of a least-squares line, eV/atom/ps.
        rms: root mean square distance from that line, eV/atom.
        jump: largest change from one record to the next, eV/atom.
        kinetic: standard deviation of the kinetic energy, eV/atom: what is exchanged all the time.
    """

    drift: float
    rms: float
    jump: float
    kinetic: float

    def __str__(self) -> str:
        return (
            f"drift {self.drift:+.1e} eV/atom/ps, RMS fluctuation {1e3 * self.rms:.2g} meV/atom, "
            f"largest jump {1e3 * self.jump:.2g} meV/atom"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, write, print; the exit status."""
    given = parse(arguments)
    console = Console()
    torch.set_num_threads(given.threads)
    try:
        atoms = start(given)
        given.out.mkdir(parents=True, exist_ok=True)
    except (HermtkError, OSError) as problem:
        console.print(f"[red]error:[/] {problem}", highlight=False)
        return 1
    console.print(
        f"{given.model}: {atoms.get_chemical_formula()}, {given.steps} steps of {given.timestep:g} fs"
    )
    records, stopped = simulate(atoms, given, console)
    if len(records) < 3:
        console.print(f"[red]error:[/] {stopped or 'too few steps for a drift'}", highlight=False)
        return 1
    summary = summarise(records, len(atoms))
    write_csv(records, given.out / "energy.csv")
    draw(records, summary, len(atoms), title(given, atoms), given.out / "energy.png")
    console.print(f"{summary}\n{given.out / 'energy.csv'}, {given.out / 'energy.png'}", highlight=False)
    if stopped:
        console.print(f"[red]stopped after {records[-1].time:g} fs:[/] {stopped}", highlight=False)
    return 1 if stopped else 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path, help="model file")
    parser.add_argument(
        "--data", type=Path, help="file whose first structure is the start (embedded ethanol)"
    )
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--timestep", type=float, default=0.5, help="fs")
    parser.add_argument("--temperature", type=float, default=300.0, help="of the first velocities, K")
    parser.add_argument("--out", type=Path, default=Path("nve"), help="folder for table and picture")
    parser.add_argument("--seed", type=int, default=0, help="of the first velocities")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1, help="more than one pays from some 100 atoms on")
    return parser.parse_args(arguments)


def start(given: argparse.Namespace) -> Atoms:
    """The first structure, thermal velocities, the model."""
    atoms = to_atoms(read_structures(given.data or builtin_path())[0])
    atoms.calc = HermCalculator(given.model, device=given.device)
    random = np.random.default_rng(given.seed).normal(size=(len(atoms), 3))
    atoms.set_momenta(random * np.sqrt(atoms.get_masses() * units.kB * given.temperature)[:, None])
    Stationary(atoms, preserve_temperature=False)
    if not atoms.pbc.any():
        ZeroRotation(atoms, preserve_temperature=False)
    if freedom(atoms):
        atoms.set_momenta(atoms.get_momenta() * (given.temperature / temperature(atoms)) ** 0.5)
    return atoms


def freedom(atoms: Atoms) -> int:
    """Degrees of freedom without the motion of the whole: 3 of translation, and up to 3 of rotation in empty space."""
    if atoms.pbc.any():
        return 3 * len(atoms) - 3
    extent = np.linalg.matrix_rank(atoms.positions - atoms.get_center_of_mass(), tol=1e-3)
    return 3 * len(atoms) - 3 - (0, 2, 3, 3)[extent]


def temperature(atoms: Atoms) -> float:
    """K, from the kinetic energy."""
    return float(2 * atoms.get_kinetic_energy() / (max(freedom(atoms), 1) * units.kB))


def simulate(atoms: Atoms, given: argparse.Namespace, console: Console) -> tuple[list[Record], str]:
    """Records every ``EVERY`` steps, and why they end early, if they do."""
    records: list[Record] = []
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    begin = time.perf_counter()
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=given.steps)
        try:
            for record in trajectory(atoms, given.steps, given.timestep):
                records.append(record)
                change = 1e3 * (record.total - records[0].total)
                done = min((len(records) - 1) * EVERY, given.steps)
                text = f"{change:+.2f} meV, {record.temperature:.0f} K"
                progress.update(task, completed=done, description=text)
        except KeyboardInterrupt:
            return records, "by the user"
        except HermtkError as problem:
            return records, str(problem)
    console.print(f"{1e3 * (time.perf_counter() - begin) / given.steps:.1f} ms per step", highlight=False)
    return records, ""


def trajectory(atoms: Atoms, steps: int, timestep: float) -> Iterator[Record]:
    """The state at the start and after every ``EVERY`` steps of velocity Verlet."""
    dynamics = VelocityVerlet(atoms, timestep=timestep * units.fs)
    yield record_of(atoms, 0.0)
    for done in range(0, steps, EVERY):
        more = min(EVERY, steps - done)
        dynamics.run(more)
        yield record_of(atoms, (done + more) * timestep)


def record_of(atoms: Atoms, now: float) -> Record:
    """The state of the atoms at a time, fs."""
    return Record(now, atoms.get_potential_energy(), float(atoms.get_kinetic_energy()), temperature(atoms))


def summarise(records: Sequence[Record], atoms: int) -> Summary:
    """Drift, fluctuation and largest jump of the total energy, per atom."""
    time = np.array([r.time for r in records]) * 1e-3
    energy = np.array([r.total for r in records]) / atoms
    slope, height = np.polyfit(time, energy - energy[0], 1)
    rest = energy - energy[0] - (slope * time + height)
    kinetic = np.array([r.kinetic for r in records]) / atoms
    return Summary(
        drift=float(slope),
        rms=float(np.sqrt((rest**2).mean())),
        jump=float(abs(np.diff(energy)).max()),
        kinetic=float(kinetic.std()),
    )


def write_csv(records: Sequence[Record], path: Path) -> None:
    """The records as a table."""
    rows = [f"{r.time:g},{r.total!r},{r.potential!r},{r.kinetic!r},{r.temperature:.3f}" for r in records]
    write_text(path, "\n".join(["time_fs,total_eV,potential_eV,kinetic_eV,temperature_K", *rows]) + "\n")


def title(given: argparse.Namespace, atoms: Atoms) -> str:
    """What was run."""
    parameters = atoms.calc.parameters
    return (
        f"{parameters['subnet']}, {parameters['variant']}, {parameters['dtype']}: "
        f"{atoms.get_chemical_formula()}, NVE, {given.timestep:g} fs steps"
    )


def draw(records: Sequence[Record], summary: Summary, atoms: int, heading: str, path: Path) -> None:
    """Total energy from its mean, and temperature, over time."""
    ps = np.array([r.time for r in records]) * 1e-3
    energy = 1e3 * np.array([r.total for r in records])
    figure = Figure(figsize=(8, 5.2), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[2, 1])
    curve(above, ps, energy - energy.mean(), BLUE)
    line = np.polyval(np.polyfit(ps, energy - energy.mean(), 1), ps)
    above.plot(ps, line, "--", color=RED, linewidth=1.4, label=f"drift {summary.drift:+.1e} eV/atom/ps")
    above.set_ylabel("total energy − mean (meV)")
    above.legend(loc="upper right", frameon=False, ncols=3, fontsize=9)
    above.margins(y=0.18)
    above.set_title(heading, fontsize=11, loc="left")
    note = (
        f"RMS {1e3 * summary.rms * atoms:.2g} meV, largest jump {1e3 * summary.jump * atoms:.2g} meV; "
        f"kinetic energy fluctuates by {1e3 * summary.kinetic * atoms:.3g} meV"
    )
    above.text(0.01, 0.03, note, transform=above.transAxes, fontsize=9, color=GREY)
    curve(below, ps, np.array([r.temperature for r in records]), GREY)
    below.set_ylabel("temperature (K)")
    below.set_xlabel("time (ps)")
    below.set_xlim(ps[0], ps[-1])
    with replacing(path) as beside:
        figure.savefig(beside, dpi=160, format="png")


def curve(axes: Axes, time: np.ndarray, values: np.ndarray, color: str) -> None:
    """Every record faintly and their running mean clearly; of a short run the records alone."""
    axes.axhline(values.mean(), color=GREY, linewidth=0.6, alpha=0.6)
    width = len(values) // 100
    if width < 2:
        axes.plot(time, values, color=color, linewidth=1.4, label="every record")
    else:
        axes.plot(time, values, color=color, linewidth=0.5, alpha=0.35, label="every record")
        smooth = np.convolve(values, np.full(width, 1 / width), mode="valid")
        first = (width - 1) // 2
        middle = time[first : first + len(smooth)]
        axes.plot(middle, smooth, color=color, linewidth=1.4, label=f"mean of {width} records")
    axes.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    sys.exit(main())
