"""`hermtk ablate`: whether weights by element pay, answered with statistics."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hermtk.errors import ConfigError
from hermtk_cli import run_options
from hermtk_cli.failures import FAILED, INTERRUPTED
from hermtk_cli.options import AsJson, check_device
from hermtk_cli.process import COMMAND, TRIALS

if TYPE_CHECKING:
    from hermtk.ablation.findings import Findings
    from hermtk.ablation.prepare import Prepared
    from hermtk.ablation.running.outcome import Outcome
    from hermtk.ablation.running.run import Executor
    from hermtk.ablation.study import StudyConfig


def run(
    study: Annotated[
        Path | None, typer.Argument(help="YAML file of a study; options below override it.")
    ] = None,
    variants: Annotated[
        str | None, typer.Option(metavar="NAME,NAME", help="Variants to compare, or `all`; all if not given.")
    ] = None,
    subnets: Annotated[
        str | None, typer.Option(metavar="NAME,NAME", help="Sub-networks, or `all`; painn if not given.")
    ] = None,
    seeds: Annotated[
        str | None, typer.Option(metavar="N|N,N,N", help="How many seeds, or which; 5 if not given.")
    ] = None,
    sizes: Annotated[
        str | None, typer.Option(metavar="N,N", help="Numbers of training structures, for learning curves.")
    ] = None,
    match: Annotated[
        str | None,
        typer.Option(
            metavar="none|params|time",
            help="What arms have in common: width and steps, number of parameters, or training time.",
        ),
    ] = None,
    budget: Annotated[
        float | None,
        typer.Option(metavar="MINUTES", help="Time for all runs together; decides how many steps they do."),
    ] = None,
    control: Annotated[
        str | None, typer.Option(help="The variant that others are compared with; homogeneous if not given.")
    ] = None,
    preset: run_options.Preset = None,
    data: run_options.Data = None,
    target: run_options.Target = None,
    allow_missing: run_options.AllowMissing = None,
    validation: run_options.Validation = None,
    test: run_options.Test = None,
    n_train: run_options.NTrain = None,
    n_validation: run_options.NValidation = None,
    n_test: run_options.NTest = None,
    steps: run_options.Steps = None,
    epochs: run_options.Epochs = None,
    device: run_options.Device = None,
    compile_: run_options.Compile = None,
    set_: run_options.Set = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the study; studies/DATA if not given.")] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Runs at once; as many as cores and memory allow if not given.")
    ] = None,
    cluster: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE",
            help="Submit the runs to SLURM with these options of sbatch: --cluster partition=gpu. Again for more.",
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Show the runs with their predicted time and memory; begin none."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Train variants and sub-networks with several seeds; say with statistics which is better. Goes on where it was stopped."""
    options = run_options.chosen(locals())
    own = {
        "variants": run_options.names(variants, "variant"),
        "subnets": run_options.names(subnets, "subnet"),
        "seeds": _numbers(seeds, "seeds"),
        "sizes": _numbers(sizes, "sizes"),
        "match": match,
        "budget": budget,
        "control": control,
    }
    from hermtk.ablation.prepare import prepare_study
    from hermtk.benchmark import machine
    from hermtk.planning.trials import Trials
    from hermtk_cli import ablation
    from hermtk_cli.output import note, stderr

    chosen = _study(study, own, options, preset, set_ or [])
    check_device(chosen.run.device)
    folder = out or Path("studies") / Path(chosen.run.data.sets[0].file).stem
    cores = machine.cores()
    try:
        with Trials(TRIALS) as trials, stderr().status("preparing the study") as status:
            prepared = prepare_study(
                chosen, folder, trials, workers=jobs or cores, measured=dry_run, say=status.update
            )
        workers = jobs or ablation.workers(prepared, cores)
        if dry_run:
            ablation.show_plan(prepared, workers, as_json)
            return
        outcomes = _run(prepared, _executor(cluster or [], workers, cores, folder))
    except KeyboardInterrupt:
        note(
            f"interrupted; finished runs are kept. Go on with:\n  hermtk ablate {folder / 'study.yaml'} --out {folder}"
        )
        raise typer.Exit(INTERRUPTED) from None
    found, page = _report(prepared, outcomes)
    ablation.show_findings(found, page, as_json)
    if any(outcome.state != "finished" for outcome in outcomes.values()):
        raise typer.Exit(FAILED)


def _study(
    file: Path | None,
    own: dict[str, Any],
    options: dict[str, Any],
    preset: str | None,
    assignments: list[str],
) -> "StudyConfig":
    """The study of a file and options, checked."""
    from hermtk.ablation.study import make_study, read_study

    values = read_study(file) if file else {}
    values |= {name: value for name, value in own.items() if value not in (None, [])}
    values["run"] = run_options.over(values.get("run") or {}, options, preset, assignments)
    return make_study(values)


def _numbers(words: str | None, name: str) -> Any:
    """``5`` as it is, ``1,2,7`` as a list; sizes are always a list."""
    if words is None:
        return None
    try:
        numbers = [int(word) for word in words.split(",")]
    except ValueError:
        raise ConfigError(
            f"--{name} wants whole numbers with commas between them, it was given {words!r}"
        ) from None
    return numbers[0] if name == "seeds" and "," not in words else numbers


def _executor(cluster: list[str], workers: int, cores: int, folder: Path) -> "Executor":
    from hermtk.ablation.running.local import Local, visible_gpus

    if not cluster:
        return Local(COMMAND, workers, cores, visible_gpus())
    import yaml

    from hermtk.ablation.running.cluster import Cluster

    settings = {}
    for word in cluster:
        key, equals, value = word.partition("=")
        if not equals:
            raise ConfigError(f"--cluster wants KEY=VALUE, it was given {word!r}")
        settings[key.strip()] = yaml.safe_load(value)
    return Cluster(COMMAND, folder / "cluster", settings)


def _run(prepared: "Prepared", executor: "Executor") -> "dict[str, Outcome]":
    from hermtk.ablation.running.run import run_jobs
    from hermtk_cli.ablation import Board

    prepared.write()
    with Board(prepared) as board:
        return run_jobs(prepared.jobs, executor, board)


def _report(prepared: "Prepared", outcomes: "dict[str, Outcome]") -> "tuple[Findings, Path]":
    from hermtk.ablation.compare import findings_of
    from hermtk.ablation.report.write import write_study_report
    from hermtk_cli.output import stderr

    problems = {name: outcome.problem for name, outcome in outcomes.items() if outcome.state != "finished"}
    with stderr().status("comparing the runs and writing the report"):
        found = findings_of(prepared, problems)
        return found, write_study_report(found, prepared.folder / "report")
