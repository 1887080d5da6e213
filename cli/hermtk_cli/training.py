"""What `hermtk train` shows: the run before it starts, its progress, its results and what to do next."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from hermtk.data.elements import symbols
from hermtk.data.statistics import ReferenceEnergies
from hermtk.data.structure import Structure
from hermtk.data.targets import ENERGY, Target
from hermtk.files import write_text
from hermtk.models.layers import subnets_in_words
from hermtk.training.checkpoint import Progress as RunProgress
from hermtk.training.config import make_config
from hermtk.training.run import Run, new_run, resume_run

if TYPE_CHECKING:
    from hermtk.evaluation.comparison import Evaluation
    from hermtk.evaluation.properties import PropertyEvaluation


class Screen:
    """Progress with current errors and time left; on a terminal that cannot redraw, a line now and then."""

    def __init__(self, console: Console, target: Target = ENERGY) -> None:
        self.console, self.target = console, target
        self.bar = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[errors]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self.task = self.bar.add_task("step", total=None, errors="")
        self._told = 0.0

    def stepped(self, progress: RunProgress, total: int, loss: float) -> None:
        """Move the bar."""
        self.bar.update(self.task, completed=progress.step, total=total)

    def validated(self, row: dict[str, float]) -> None:
        """Show the errors of the validation set."""
        text = errors_line(row, self.target)
        self.bar.update(self.task, errors=text)
        if not self.console.is_terminal and row["seconds"] - self._told >= 30:
            self._told = row["seconds"]
            self.console.print(f"step {row['step']:.0f}, {row['seconds']:.0f} s: {text}", highlight=False)

    def note(self, text: str) -> None:
        """One line above the bar."""
        self.console.print(f"[yellow]note:[/] {text}", highlight=False)


def errors_line(row: dict[str, float], target: Target = ENERGY) -> str:
    """Validation errors in meV and meV/Angstrom, or in the target's unit."""
    parts = []
    if f"validation_{target.name}_mae" in row and target != ENERGY:
        factor, unit = target.shown
        parts.append(f"{target.name} {factor * row[f'validation_{target.name}_mae']:.4g} {unit}".strip())
    if "validation_energy_per_atom_mae" in row:
        parts.append(f"E {1e3 * row['validation_energy_per_atom_mae']:.2f} meV/atom")
    if "validation_forces_mae" in row:
        parts.append(f"F {1e3 * row['validation_forces_mae']:.1f} meV/Å")
    return "validation MAE: " + ", ".join(parts)


def show_run(folder: Path, values: dict[str, Any] | None, as_json: bool) -> None:
    """Train a fresh run (``values``) or go on with one, show it, test it, say what comes next."""
    console = Console(stderr=as_json, soft_wrap=True)
    screen = Screen(console)
    with console.status("reading data"):
        run = resume_run(folder, screen) if values is None else new_run(make_config(values), folder, screen)
    screen.target = run.data.target
    _introduce(run, console, fresh=values is not None)
    try:
        with screen.bar:
            progress = run.train()
    except KeyboardInterrupt:
        _say_interrupted(run, console)
        raise typer.Exit(130) from None
    results = _finish(run, progress, console)
    if as_json:
        sys.stdout.write(json.dumps(results) + "\n")


def _introduce(run: Run, console: Console, fresh: bool) -> None:
    data, model, facts = run.data, run.config.model, run.facts
    builtin = run.config.data.train == "builtin"
    table = Table.grid(padding=(0, 2))
    source = "the embedded ethanol set (PBE/def2-SVP, 500 K)" if builtin else run.config.data.train
    rows = {
        "data": f"{source}: {len(data.train)} train, {len(data.validation)} validation, {len(data.test)} test",
        "target": _target_in_words(run),
        "labels missing": ", ".join(f"{label} in {count}" for label, count in data.missing.items()),
        "elements": ", ".join(symbols(data.elements)),
        "references": _references_in_words(data.references),
        "model": f"{subnets_in_words(model)} × {model.variant}: {len(run.potential.table)} relations, {model.layers} layers, "
        f"{model.channels} channels, cut-off {model.cutoff:g} Å, {facts['parameters']:,} parameters",
        "training": f"{run.trainer.total:,} steps of {run.trainer.train.order.budget.in_words} on {run.config.device}, "
        f"{run.config.threads} threads, {'compiled' if run.config.training.compile else 'eager'}",
        "results in": str(run.folder),
    }
    for name, text in rows.items():
        if text:
            table.add_row(f"[dim]{name}", text)
    console.print(table, highlight=False)
    if not fresh:
        console.print(f"going on after step {run.trainer.progress.step:,}", highlight=False)
    if run.config.training.compile:
        console.print("[dim]the first step compiles the model: one to three minutes", highlight=False)


def _references_in_words(references: ReferenceEnergies) -> str:
    """Nothing where they are what one expects; what is not determined where compositions leave them open."""
    if references.rank >= len(references.values):
        return "" if references.how.startswith("least squares") else references.how
    return (
        f"{references.how}; {references.rank} independent compositions for {len(references.values)} elements: others may be off "
        "by eV (data.references takes isolated atoms or a table)"
    )


def _target_in_words(run: Run) -> str:
    """What is learned, by which readout; empty for energies, which go without saying."""
    target = run.data.target
    if target == ENERGY:
        return ""
    title = f", {target.title}" if target.title else ""
    return f"{target.written}{title}; readout {run.config.model.readout}; there are no forces or stresses to learn"


def _say_interrupted(run: Run, console: Console) -> None:
    step = run.trainer.progress.step
    console.print(f"\ninterrupted after step {step:,}; nothing is lost. Go on with:", highlight=False)
    console.print(f"  hermtk train --resume {run.folder}", highlight=False)
    if run.model_path.is_file():
        console.print(f"The best model so far is {run.model_path}", highlight=False)


def _finish(run: Run, progress: RunProgress, console: Console) -> dict[str, Any]:
    """Test the best weights, draw the pictures, write results.json."""
    from hermtk.evaluation.plots import learning_curve, parity

    console.print(f"ended: {progress.finished}; best at step {progress.best_step:,}", highlight=False)
    tested, name = (run.data.test, "test") if run.data.test else (run.data.validation, "validation")
    evaluation = _evaluate(run, tested)
    parity(evaluation, run.folder / "parity.png")
    learning_curve(run.folder / "metrics.csv", run.folder / "learning.png", run.data.target)
    results = {
        "run": str(run.folder),
        "model": str(run.model_path),
        "set": name,
        "errors": evaluation.summary(),
        "steps": progress.step,
        "best_step": progress.best_step,
        "seconds": round(progress.seconds, 1),
        "ended": progress.finished,
    }
    write_text(run.folder / "results.json", json.dumps(results, indent=1))
    run.facts["errors"] = {"set": name, "structures": len(tested), **_brief(results["errors"])}
    run.keep(progress)
    _show_results(results, name, len(tested), console)
    _next_commands(run, console)
    return results


def _evaluate(run: Run, tested: Sequence[Structure]) -> "Evaluation | PropertyEvaluation":
    from hermtk.evaluation.evaluate import evaluate
    from hermtk.evaluation.properties import evaluate_property
    from hermtk.models.property import Property

    if isinstance(run.potential, Property):
        return evaluate_property(run.potential, tested, batch_size=32)
    return evaluate(run.potential, tested, batch_size=32)


def _brief(errors: dict[str, Any]) -> dict[str, float]:
    """Mean absolute errors by quantity, for the model file: eV, eV/Angstrom, eV/Angstrom^3, or the target's unit."""
    if "target" in errors:
        return {f"{errors['target']['name']}_mae": errors["target"]["mae"]}
    quantities = ("energy", "energy_per_atom", "forces", "stress")
    return {f"{q}_mae": errors[q]["mae"] for q in quantities if errors[q]["mae"] is not None}


def _show_results(results: dict[str, Any], name: str, n: int, console: Console) -> None:
    from hermtk_cli.tables import error_table

    console.print(error_table(results["errors"], f"{name} set, {n} structures"))


def _next_commands(run: Run, console: Console) -> None:
    model = os.path.relpath(run.model_path)
    data = run.config.data.test or run.config.data.train
    console.print(
        f"pictures: {run.folder / 'parity.png'}, {run.folder / 'learning.png'}. Next:", highlight=False
    )
    for command in (
        f"hermtk show {model}",
        f"hermtk evaluate {model} {data}",
        f"hermtk predict {model} {data} labelled.xyz",
    ):
        console.print(f"  {command}", highlight=False)
