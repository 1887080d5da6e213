"""`hermtk plan`: what runs will need, before any is begun."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hermtk.errors import ConfigError, HermtkError
from hermtk_cli import run_options
from hermtk_cli.failures import INTERRUPTED
from hermtk_cli.options import AsJson, check_device
from hermtk_cli.process import TRIALS

if TYPE_CHECKING:
    from rich.table import Table

    from hermtk.planning.plan import Plan
    from hermtk.training.config import RunConfig


def run(
    config: run_options.Config = None,
    variants: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,NAME", help="Variants to plan, or `all`; --variant if not given, else all."
        ),
    ] = None,
    subnets: Annotated[
        str | None,
        typer.Option(metavar="NAME,NAME", help="Sub-networks to plan, or `all`; --subnet if not given."),
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(min=0.1, help="Say how many steps fit into this time, too.")
    ] = None,
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
    compile_: Annotated[
        bool | None,
        typer.Option(
            "--compile/--no-compile",
            help="Plan and measure compiled runs, one to three minutes each; else what compiling saves is not in the times.",
        ),
    ] = None,
    set_: run_options.Set = None,
    as_json: AsJson = False,
) -> None:
    """Say what runs will need, from a few steps of each: parameters, memory, time, disk; and what speaks against them."""
    options = run_options.chosen(locals())
    from hermtk.training.config import make_config
    from hermtk_cli.output import print_json

    values = run_options.values(options, config, preset, set_ or [])
    base = make_config(values)
    check_device(base.device)
    named = "variant" in (values.get("model") or {})
    configs = _combinations(
        base, run_options.names(subnets, "subnet"), run_options.names(variants, "variant"), named
    )
    plans, complete = _measure(configs, bool(compile_))
    if as_json:
        print_json(_summary(base, plans, minutes, complete))
    else:
        _print(plans, minutes)
    if not complete:
        raise typer.Exit(INTERRUPTED)


def _combinations(
    base: "RunConfig", subnets: Sequence[str], variants: Sequence[str], named: bool
) -> "list[RunConfig]":
    """A config for every subnet under every variant; names that do not exist are refused before anything is measured.

    Raises:
        UnknownName: a subnet or a variant.
        ConfigError: other models than the one that training starts from.
    """
    from hermtk import registry
    from hermtk.models.variants import VARIANTS, variant
    from hermtk.training.config import of_kind

    if base.start.model is not None:
        if subnets or variants:
            raise ConfigError(
                f"training starts from {base.start.model}, whose subnet and variant are given: leave --subnets and --variants out"
            )
        return [base]
    own = [base.model.variant] if named else list(VARIANTS)
    found = []
    for subnet in subnets or [base.model.subnet]:
        registry.find("subnet", subnet)
        for name in variants or own:
            variant(name)
            found.append(of_kind(base, subnet, name))
    return found


def _measure(configs: "list[RunConfig]", compiled: bool) -> "tuple[list[tuple[RunConfig, Plan | str]], bool]":
    """The plan of each, or why there is none; whether all were come to.

    Raises:
        HermtkError: none could be planned.
    """
    from hermtk.planning.plan import measure
    from hermtk.planning.trials import Trials
    from hermtk_cli.output import progress

    found: list[tuple[RunConfig, Plan | str]] = []
    try:
        with Trials(TRIALS) as trials, progress("measuring", len(configs)) as advance:
            for config in configs:
                try:
                    found.append((config, measure(config, compiled=compiled, trials=trials)))
                except HermtkError as problem:
                    found.append((config, str(problem)))
                advance(1)
    except KeyboardInterrupt:
        return found, False
    if all(isinstance(plan, str) for _, plan in found):
        raise HermtkError(str(found[0][1]))
    return found, True


def _summary(
    base: "RunConfig", plans: "list[tuple[RunConfig, Plan | str]]", minutes: float | None, complete: bool
) -> dict[str, Any]:
    rows = []
    for config, plan in plans:
        if isinstance(plan, str):
            rows.append({"subnet": config.model.subnet, "variant": config.model.variant, "problem": plan})
            continue
        row = plan.summary()
        if minutes is not None:
            row["steps_in_time"] = plan.steps_in(minutes)
        rows.append(row)
    shared = {"data": base.model_dump(mode="json")["data"]["train"], "device": base.device}
    return {**shared, "minutes": minutes, "complete": complete, "plans": rows}


def _print(plans: "list[tuple[RunConfig, Plan | str]]", minutes: float | None) -> None:
    from rich.text import Text

    from hermtk_cli.output import note, stdout

    console = stdout()
    made = [plan for _, plan in plans if not isinstance(plan, str)]
    if made:
        console.print(_table(made, minutes))
        console.print(_common(made[0]), soft_wrap=True)
    for plan in made:
        for text in plan.warnings:
            label = f"{plan.config.model.subnet} {plan.config.model.variant}"
            console.print(Text.assemble((label, "yellow"), f": {text}"), soft_wrap=not console.is_terminal)
    for config, plan in plans:
        if isinstance(plan, str):
            note(f"{config.model.subnet} {config.model.variant} cannot be planned: {plan}")


def _table(plans: "list[Plan]", minutes: float | None) -> "Table":
    from rich import box
    from rich.table import Table

    from hermtk.memory import gib
    from hermtk_cli.tables import duration, number

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("model", no_wrap=True)
    heads = ["parameters", "relations\nfed", "ms/step", "epoch", "run"]
    heads += [] if minutes is None else [f"steps in\n{minutes:g} min"]
    for head in (*heads, "memory", "largest\nbatch", "checkpoint"):
        table.add_column(head, justify="right", no_wrap=True)
    for plan in plans:
        fits = plan.largest_batch
        table.add_row(
            f"{plan.config.model.subnet} {plan.config.model.variant}",
            f"{plan.parameters:,}",
            f"{plan.fed:,} of {len(plan.trial.relations):,}",
            number(1e3 * plan.step_seconds),
            duration(plan.epoch_seconds),
            duration(plan.run_seconds),
            *([] if minutes is None else [f"{plan.steps_in(minutes):,}"]),
            gib(plan.peak),
            "" if fits is None else f"{_two_digits(fits):,}",
            gib(plan.trial.checkpoint),
        )
    return table


def _common(plan: "Plan") -> str:
    """What all plans share, and what their figures are."""
    from hermtk_cli.tables import duration

    trial, config = plan.trial, plan.config
    counts = ", ".join(f"{n:,} {name}" for name, n in trial.structures.items())
    threads = f"{config.threads} thread{'s' * (config.threads != 1)}"
    steps = f"{plan.steps:,} steps, {trial.batches:,} an epoch, of {trial.structures_per_batch:.3g} structures and "
    compiling = f", after {duration(trial.compiling)} of compiling" if trial.compiling else ""
    where = "the most that the device gave" if trial.device_peak else "the most that the process had"
    lines = [
        f"{counts}; {steps}{trial.mean_edges:,.0f} edges on average; {config.device}, {threads}",
        f"times: median of some steps, {'CPU time' if trial.clock == 'cpu' else 'on the wall'}{compiling}; memory: {where} in a "
        "step; largest batch: structures that nine tenths of the memory hold",
    ]
    if config.training.compile and not plan.compiled:
        lines.append(
            "the runs will be compiled, which is not in these times: one to three minutes once, then faster steps; --compile "
            "measures it"
        )
    return "\n".join(lines)


def _two_digits(n: int) -> int:
    """Down to two digits that count: it is an estimate."""
    size = 10 ** max(len(str(n)) - 2, 0)
    return n // size * size
