"""`hermtk train`: from data to a model, one command."""

import os
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from hermtk.errors import ConfigError
from hermtk_cli import run_options


def run(
    config: run_options.Config = None,
    subnet: run_options.Subnet = None,
    preset: run_options.Preset = None,
    variant: run_options.Variant = None,
    data: run_options.Data = None,
    start: run_options.Start = None,
    freeze: run_options.Freeze = None,
    new_references: run_options.NewReferences = None,
    target: run_options.Target = None,
    allow_missing: run_options.AllowMissing = None,
    validation: run_options.Validation = None,
    test: run_options.Test = None,
    n_train: run_options.NTrain = None,
    n_validation: run_options.NValidation = None,
    n_test: run_options.NTest = None,
    steps: run_options.Steps = None,
    epochs: run_options.Epochs = None,
    seed: run_options.Seed = None,
    device: run_options.Device = None,
    compile_: run_options.Compile = None,
    set_: run_options.Set = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run; runs/NAME-TIME if not given.")] = None,
    resume: Annotated[
        str | None,
        typer.Option(
            metavar="RUN|auto",
            help="Go on with an interrupted run, exactly where it was; auto: begin the run of --out or go on with it, whichever "
            "it needs.",
        ),
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Train in that many processes on this machine; torchrun or srun start them on several.",
        ),
    ] = None,
    report: Annotated[
        bool, typer.Option(help="Write the report at the end; `hermtk report RUN` makes it later, too.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print only the results, as JSON.")] = False,
) -> None:
    """Train a potential, or a model of another target, and test it. Without --data it learns the embedded ethanol set."""
    options = run_options.chosen(locals())
    if processes is not None and processes > 1 and not _started_as_one_of(processes):
        from hermtk_cli import launch

        raise typer.Exit(launch.start(processes, sys.argv[1:]))
    from hermtk_cli.training import show_run

    auto = resume == "auto"
    if auto and out is None:
        raise ConfigError("--resume auto needs --out: the folder in which it looks for the run")
    if resume is not None and not auto:
        _refuse_with_resume(options, set_, config or preset, out)
        show_run(Path(resume), None, as_json, report=report)
        return
    values = run_options.values(options, config, preset, set_ or [])
    folder = out or Path("runs") / f"{_name(values)}-{datetime.now().strftime('%Y%m%d-%H%M%S')}"
    show_run(folder, values, as_json, auto, report)


def _started_as_one_of(processes: int) -> bool:
    """Whether the processes run already, this one being one of them."""
    from hermtk.training.place import place_in

    place = place_in(os.environ)
    if place is not None and place.count != processes:
        raise ConfigError(
            f"--processes is {processes}, but torchrun or SLURM has started {place.count}: leave the option out"
        )
    return place is not None


def _refuse_with_resume(
    options: dict[str, Any], assignments: list[str] | None, config: Path | str | None, out: Path | None
) -> None:
    given = any(value is not None for value in options.values())
    if given or assignments or config or out:
        raise ConfigError(
            "--resume goes on with the run exactly as it was: no other option can be given with it"
        )


def _name(values: dict[str, Any]) -> str:
    model, data = values.get("model") or {}, values.get("data") or {}
    train = data.get("train") or "ethanol"
    first = train[0] if isinstance(train, list) else train
    source = Path(str(first["file"] if isinstance(first, dict) else first)).stem
    subnets = [model.get("subnet", "painn"), *sorted(set((model.get("subnet_overrides") or {}).values()))]
    target = str(data.get("target") or "energy")
    source = source if target == "energy" else f"{source}-{target}"
    return f"{source}-{'+'.join(map(str, subnets))}-{model.get('variant', 'hvnet')}"
