"""What `hermtk train` shows: the run before it starts, its progress, its results and what to do next."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.markup import escape
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
from hermtk.errors import HermtkError
from hermtk.evaluation.stored import write_predictions
from hermtk.files import write_text
from hermtk.memory import device_peak
from hermtk.models.layers import subnets_in_words
from hermtk.training.auto import begin_or_resume
from hermtk.training.checkpoint import Progress as RunProgress
from hermtk.training.config import make_config
from hermtk.training.data.sets import Several
from hermtk.training.processes import Processes
from hermtk.training.run import Run, new_run, resume_run
from hermtk.training.stopping import Stopped
from hermtk_cli.several import taking_part

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
    """Validation errors in a line."""
    return "validation MAE: " + validation_errors(row, target)


def validation_errors(row: dict[str, float], target: Target = ENERGY) -> str:
    """In meV and meV/Angstrom, or in the target's unit; empty before the first validation."""
    parts = []
    if f"validation_{target.name}_mae" in row and target != ENERGY:
        factor, unit = target.shown
        parts.append(f"{target.name} {factor * row[f'validation_{target.name}_mae']:.4g} {unit}".strip())
    if "validation_energy_per_atom_mae" in row:
        parts.append(f"E {1e3 * row['validation_energy_per_atom_mae']:.2f} meV/atom")
    if "validation_forces_mae" in row:
        parts.append(f"F {1e3 * row['validation_forces_mae']:.1f} meV/Å")
    return ", ".join(parts)


def show_run(
    folder: Path, values: dict[str, Any] | None, as_json: bool, auto: bool = False, report: bool = True
) -> None:
    """Train a fresh run (``values``) or go on with one (``auto``: whichever it is), show it, test it, say what comes next."""
    with taking_part() as us:
        _show_run(us, Path(us.from_first(str(folder))), values, as_json, auto, report)


def _show_run(
    us: Processes, folder: Path, values: dict[str, Any] | None, as_json: bool, auto: bool, report: bool
) -> None:
    console = Console(stderr=as_json, soft_wrap=True, quiet=not us.first)
    screen = Screen(console)
    with console.status("reading data"), us.together():
        if values is None:
            run = resume_run(folder, screen, us)
        else:
            begin = begin_or_resume if auto else new_run
            run = begin(make_config(values), folder, screen, processes=us)
    if auto and (results := _results_of(run)):
        _say_finished(run, console)
        if as_json and us.first:
            sys.stdout.write(json.dumps(results) + "\n")
        return
    screen.target = run.data.target
    _introduce(run, console)
    try:
        with screen.bar:
            progress = run.train()
    except KeyboardInterrupt:
        _say_interrupted(run, "interrupted", console)
        raise typer.Exit(130) from None
    except Stopped as stop:
        _say_interrupted(run, str(stop), console)
        if as_json and us.first:
            steps = run.trainer.progress.step
            sys.stdout.write(json.dumps({"run": str(folder), "steps": steps, "stopped": str(stop)}) + "\n")
        return
    if not us.first:
        return
    results = _finish(run, progress, console, report)
    if as_json:
        sys.stdout.write(json.dumps(results) + "\n")


def _introduce(run: Run, console: Console) -> None:
    data, model, facts = run.data, run.config.model, run.facts
    table = Table.grid(padding=(0, 2))
    source = _data_in_words(run)
    rows = {
        "data": f"{source}: {len(data.train)} train, {len(data.validation)} validation, {len(data.test)} test",
        "target": _target_in_words(run),
        "labels missing": ", ".join(f"{label} in {count}" for label, count in data.missing.items()),
        "elements": ", ".join(symbols(data.elements)),
        "references": _references_in_words(data.references),
        "model": f"{subnets_in_words(model)} × {model.variant}: {len(run.potential.table)} relations, {model.layers} layers, "
        f"{model.channels} channels, cut-off {model.cutoff:g} Å, {facts['parameters']:,} parameters",
        "training": f"{run.trainer.total:,} steps of {run.trainer.train.order.budget.in_words} on {run.config.device}, "
        f"{run.config.threads} threads{_together_with(run)}, {'compiled' if run.config.training.compile else 'eager'}",
        "begins with": _start_in_words(facts.get("start")),
        "results in": str(run.folder),
    }
    for name, text in rows.items():
        if text:
            table.add_row(f"[dim]{name}", text)
    console.print(table, highlight=False)
    if step := run.trainer.progress.step:
        console.print(f"going on after step {step:,}", highlight=False)
    if run.config.training.compile:
        console.print("[dim]the first step compiles the model: one to three minutes", highlight=False)


def _together_with(run: Run) -> str:
    count = run.trainer.processes.count
    return f" in each of {count} processes" if count > 1 else ""


def _data_in_words(run: Run) -> str:
    data = run.config.data
    if data.train == "builtin":
        return "the embedded ethanol set (PBE/def2-SVP, 500 K)"
    weights = [f" (weight {one.weight:g})" if one.weight != 1 else "" for one in data.sets]
    return ", ".join(one.file + weight for one, weight in zip(data.sets, weights, strict=True))


def _start_in_words(start: dict[str, Any] | None) -> str:
    """Nothing where weights are from chance."""
    if start is None:
        return ""
    frozen = f", {len(start['frozen'])} parameters frozen" if start["frozen"] else ""
    return f"the weights of {start['model']}{frozen}"


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


def _results_of(run: Run) -> dict[str, Any]:
    """What a run that is finished and tested has found; nothing where something is left to do."""
    path = run.folder / "results.json"
    done = run.trainer.progress.finished and path.is_file()
    return json.loads(path.read_text(encoding="utf-8")) if done else {}


def _say_finished(run: Run, console: Console) -> None:
    why = run.trainer.progress.finished
    console.print(
        f"the run in {run.folder} is finished: {why}. Its model is {run.model_path}", highlight=False
    )


def _say_interrupted(run: Run, how: str, console: Console) -> None:
    """Whether there is a checkpoint (a second interrupt does not wait for one), and how to go on."""
    if not (run.folder / "checkpoint.pt").is_file():
        console.print(f"\n{how}, before the first checkpoint: begin it again", highlight=False)
        return
    console.print(f"\n{how}; the checkpoint is written. Go on with:", highlight=False)
    console.print(f"  hermtk train --resume {run.folder}", highlight=False)
    if run.model_path.is_file():
        console.print(f"The best model so far is {run.model_path}", highlight=False)


def _finish(run: Run, progress: RunProgress, console: Console, report: bool) -> dict[str, Any]:
    """Test the best weights, write predictions.npz, results.json and the report."""
    console.print(f"ended: {progress.finished}; best at step {progress.best_step:,}", highlight=False)
    tested, name = (run.data.test, "test") if run.data.test else (run.data.validation, "validation")
    evaluation = _evaluate(run, tested)
    results = {
        "run": str(run.folder),
        "model": str(run.model_path),
        "set": name,
        "errors": evaluation.summary(),
        "steps": progress.step,
        "best_step": progress.best_step,
        **_spent(run, progress),
        "ended": progress.finished,
    }
    if isinstance(tested, Several):
        results["sets"] = _by_set(run, tested, evaluation)
    write_predictions(run.folder / "predictions.npz", evaluation)
    write_text(run.folder / "results.json", json.dumps(results, indent=1))
    run.facts["errors"] = {"set": name, "structures": len(tested), **_brief(results["errors"])}
    run.keep(progress)
    _show_results(results, name, len(tested), console)
    for one, errors in results.get("sets", {}).items():
        console.print(
            f"of these {errors['structures']} of {one}: {_errors_in_words(errors)}", highlight=False
        )
    if report:
        _report(run, progress.best_step, name, tested, evaluation, console)
    _next_commands(run, console)
    return results


def _spent(run: Run, progress: RunProgress) -> dict[str, Any]:
    """Time on the wall and of the processor, and the most memory of this process and of its device."""
    return {
        "seconds": round(progress.seconds, 1),
        "cpu_seconds": round(progress.cpu_seconds, 1),
        "peak_bytes": progress.peak_bytes,
        "device_peak_bytes": device_peak(run.potential.device),
    }


def _report(
    run: Run,
    step: int,
    name: str,
    tested: Sequence[Structure],
    evaluation: "Evaluation | PropertyEvaluation",
    console: Console,
) -> None:
    """Write the report and show what in it asks for attention; a report that fails does not spoil the run."""
    from hermtk.evaluation.report.numbers import make_report
    from hermtk.evaluation.report.predicted import Predicted
    from hermtk.evaluation.report.record import read_run
    from hermtk.evaluation.report.verdict import verdicts
    from hermtk.evaluation.report.write import write_report

    try:
        with console.status("writing the report"):
            record, predicted = read_run(run.folder), Predicted(name, tested, evaluation, run.potential)
            report = make_report(record, predicted, step)
            page = write_report(record, report, predicted, run.folder / "report")
    except HermtkError as problem:
        console.print(f"[yellow]note:[/] no report: {problem}", highlight=False)
        return
    for verdict in verdicts(report):
        if verdict.kind == "attention":
            console.print(f"[yellow]note:[/] {escape(verdict.text)}", highlight=False)
    console.print(f"report: {page}", highlight=False)


def _evaluate(run: Run, tested: Sequence[Structure]) -> "Evaluation | PropertyEvaluation":
    from hermtk.evaluation.evaluate import evaluate
    from hermtk.evaluation.properties import evaluate_property
    from hermtk.models.property import Property

    if isinstance(run.potential, Property):
        return evaluate_property(run.potential, tested, batch_size=32)
    return evaluate(run.potential, tested, batch_size=32)


def _by_set(
    run: Run, tested: Several, evaluation: "Evaluation | PropertyEvaluation"
) -> dict[str, dict[str, Any]]:
    """The errors on each of several sets that has structures in the part that is tested."""
    found, first = {}, 0
    for one, part in zip(run.data.sets, tested.parts, strict=True):
        if len(part):
            found[one.name] = evaluation.part(first, first + len(part)).summary()
        first += len(part)
    return found


def _errors_in_words(errors: dict[str, Any]) -> str:
    said = []
    for name, title, factor, unit in (
        ("energy_per_atom", "E", 1e3, "meV/atom"),
        ("forces", "F", 1e3, "meV/Å"),
        ("target", "", 1.0, errors.get("target", {}).get("unit", "")),
    ):
        mae = errors.get(name, {}).get("mae")
        if mae is not None:
            said.append(f"{title} {factor * mae:.4g} {unit}".strip())
    return f"MAE {', '.join(said)}"


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
    data = run.config.data.test or run.config.data.sets[0].file
    console.print("Next:", highlight=False)
    for command in (
        f"hermtk show {model}",
        f"hermtk evaluate {model} {data}",
        f"hermtk predict {model} {data} labelled.xyz",
    ):
        console.print(f"  {command}", highlight=False)
