"""`hermtk benchmark`: time and peak memory of models, as a table, as files and as a picture."""

from collections.abc import Iterable
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hermtk.errors import ConfigError, UnknownName
from hermtk.files import make_folder
from hermtk_cli.failures import INTERRUPTED
from hermtk_cli.options import AsJson, Device

if TYPE_CHECKING:
    from rich.table import Table

    from hermtk.benchmark.cases import Job
    from hermtk.benchmark.run import Benchmark
    from hermtk.benchmark.systems import System

_VARIANTS = ("homogeneous", "hvnet", "hpnet", "htnet")
_ATOMS, _ELEMENTS = (32, 108), (2, 4)


def run(
    subnet: Annotated[
        list[str] | None, typer.Option(help="Sub-network; can be given several times. painn if absent.")
    ] = None,
    variant: Annotated[
        list[str] | None,
        typer.Option(help="Variant; can be given several times. The four named ones if absent."),
    ] = None,
    elements: Annotated[
        list[int] | None,
        typer.Option(help="Elements of the alloys; can be given several times. 2 and 4 if absent."),
    ] = None,
    atoms: Annotated[
        list[int] | None,
        typer.Option(
            help="Atoms of an alloy, a multiple of 4; can be given several times. 32 and 108 if absent."
        ),
    ] = None,
    molecules: Annotated[
        list[int] | None,
        typer.Option(help="Ethanols of a batch, instead of alloys or beside them; several times."),
    ] = None,
    channels: Annotated[int, typer.Option(min=4, help="Width of the features.")] = 64,
    layers: Annotated[int, typer.Option(min=1, help="Message-passing layers.")] = 3,
    cutoff: Annotated[float, typer.Option(min=0.5, help="Angstrom.")] = 5.0,
    dtype: Annotated[str, typer.Option(help="float32 or float64.")] = "float32",
    compile_: Annotated[
        bool,
        typer.Option("--compile/--no-compile", help="Measure compiled models too: a minute or two each."),
    ] = False,
    against: Annotated[
        str | None, typer.Option(help="`looped`: measure one module per relation too, and compare with that.")
    ] = None,
    training: Annotated[bool, typer.Option("--training", help="Only training steps.")] = False,
    inference: Annotated[bool, typer.Option("--inference", help="Only energy and forces.")] = False,
    repeats: Annotated[int, typer.Option(min=1, help="Samples of each case.")] = 5,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads; OMP_NUM_THREADS or one if absent.")
    ] = None,
    device: Device = "cpu",
    as_json: AsJson = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "--output",
            help="Folder for results.json, results.csv and benchmark.png; if absent runs/benchmark-TIME, with --json none.",
        ),
    ] = None,
) -> None:
    """Measure time and peak memory of a training step and of an inference, by turns, per atom and per edge."""
    from hermtk.benchmark.cases import Settings, cases_of, check_compiler, check_names
    from hermtk.benchmark.run import Benchmark
    from hermtk_cli.options import check_device
    from hermtk_cli.output import print_json

    if against not in (None, "looped"):
        raise UnknownName("form to compare with", against, ["looped"])
    check_device(device)
    settings = Settings(channels, layers, cutoff, dtype, device, threads or _threads())
    subnets, variants = _once(subnet or ["painn"]), _once(variant or _VARIANTS)
    check_names(subnets, variants, settings)
    if compile_:
        check_compiler()
    cases = cases_of(
        subnets,
        variants,
        _systems(atoms, elements, molecules),
        _jobs(training, inference),
        compiled=compile_,
        against_looped=against == "looped",
    )
    folder = out if out or as_json else Path("runs") / f"benchmark-{datetime.now().strftime('%Y%m%d-%H%M%S')}"
    benchmark = Benchmark(cases, settings, repeats)
    complete = _measure(benchmark, folder)
    results = benchmark.results()
    if as_json:
        print_json(results)
    else:
        _show(results)
    _say_end(folder, results)
    if not complete:
        raise typer.Exit(INTERRUPTED)


def _threads() -> int:
    import torch

    return torch.get_num_threads()


def _once(values: Iterable[Any]) -> list[Any]:
    """In their order, each once."""
    return list(dict.fromkeys(values))


def _systems(
    atoms: list[int] | None, elements: list[int] | None, molecules: list[int] | None
) -> "list[list[System]]":
    """Alloys of one size side by side; batches of molecules on their own."""
    from hermtk.benchmark.systems import alloy, ethanols

    if molecules and elements and not atoms:
        raise ConfigError("--elements is for alloys, ethanol has three: give --atoms too, or leave it out")
    sizes = _once(atoms or (() if molecules else _ATOMS))
    alloys = [[alloy(n, k) for k in _once(elements or _ELEMENTS)] for n in sizes]
    return alloys + [[ethanols(n)] for n in _once(molecules or ())]


def _jobs(training: bool, inference: bool) -> "list[Job]":
    if training == inference:
        return ["training", "inference"]
    return ["training"] if training else ["inference"]


def _measure(benchmark: "Benchmark", folder: Path | None) -> bool:
    """Run it, keeping the files up to date; whether it came to its end."""
    from hermtk.benchmark.write import write_results
    from hermtk_cli.output import progress

    def write() -> None:
        if folder is not None:
            write_results(folder, benchmark.results())

    if folder is not None:
        make_folder(folder)
    # a place that cannot be written is refused now, not after the work
    write()
    try:
        with progress("measuring", benchmark.steps) as advance:
            benchmark.run(advance, write)
    except KeyboardInterrupt:
        pass
    write()
    return benchmark.complete


def _show(results: dict[str, Any]) -> None:
    from hermtk_cli.output import stdout

    console, settings = stdout(), results["settings"]
    for _, rows in groupby(results["cases"], key=lambda row: row["group"]):
        console.print(_table(list(rows), results))
    machine = results["machine"]
    console.print(
        f"{machine['accelerator'] or machine['processor']}, {settings['threads']} of {machine['cores']} cores, "
        f"torch {machine['torch']}, {settings['dtype']}, {settings['channels']} channels, {settings['layers']} layers, "
        f"cut-off {settings['cutoff']:g} Å; median of {settings['repeats']} samples of "
        + ("CPU time" if settings["clock"] == "cpu" else "time on the wall"),
        soft_wrap=True,
    )


def _table(rows: list[dict[str, Any]], results: dict[str, Any]) -> "Table":
    """The cases of one group; empty cells were not measured."""
    from rich import box
    from rich.table import Table

    from hermtk_cli.tables import number

    first = rows[0]
    built = results["neighbor_lists"][first["system"]]
    atoms = "" if first["kind"] == "alloy" else f", {built['atoms']} atoms"
    table = Table(
        title=f"{first['job']}, {first['system']}{atoms}, {built['edges']:,} edges "
        f"(neighbour list: {number(built['median_ms'])} ms)",
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
    )
    for name in ("model", "how"):
        table.add_column(name, no_wrap=True)
    for name in ("elements", "relations", "ms", "µs/atom", "µs/edge", "MiB", "B/edge", "ratio"):
        table.add_column(name, justify="right", no_wrap=True)
    figures = ("median_ms", "us_per_atom", "us_per_edge", "peak_mib", "bytes_per_edge", "ratio")
    for row in rows:
        cells = ["" if row.get(name) is None else number(row[name]) for name in figures]
        relations = f"{row['relations']:,}" if row["relations"] else ""
        model = f"{row['subnet']} {row['variant']}"
        table.add_row(model, row["how"], str(row["elements"]), relations, *cells)
    return table


def _say_end(folder: Path | None, results: dict[str, Any]) -> None:
    from hermtk_cli.output import note

    for row in results["cases"]:
        if row["problem"]:
            note(
                f"{row['job']}, {row['system']}, {row['elements']} elements, {row['subnet']} {row['variant']} "
                f"{row['how']}: {row['problem']}"
            )
    if not results["complete"]:
        note("interrupted: what had been measured is kept")
    if folder is not None:
        drawn = any(row.get("median_ms") for row in results["cases"])
        names = ["results.json", "results.csv"] + ["benchmark.png"] * drawn
        note("wrote " + ", ".join(f"{folder}/{name}" for name in names))
