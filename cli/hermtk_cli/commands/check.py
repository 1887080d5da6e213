"""`hermtk check`: every law of the conformance kit on a subnet, under every relation scheme."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hermtk.errors import ConfigError, UnknownName
from hermtk_cli.failures import FAILED
from hermtk_cli.options import AsJson

if TYPE_CHECKING:
    from rich.table import Table

    from hermtk.testing import Row, Subject
    from hermtk.testing.costs import Costs

_PRECISIONS = ("float64", "float32")


def run(
    target: Annotated[
        str,
        typer.Argument(
            help="A subnet by name, module:Class, a file.py or file.py:Class, or a distribution for all its subnets."
        ),
    ],
    variant: Annotated[
        list[str] | None,
        typer.Option(
            help="Variant or relation scheme; can be given several times. The four variants if absent."
        ),
    ] = None,
    dtype: Annotated[
        list[str] | None, typer.Option(help="float64 or float32; both if absent.", metavar="DTYPE")
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="An option of the subnet; can be given several times."),
    ] = None,
    fast: Annotated[bool, typer.Option("--fast", help="Neither compile nor measure: some seconds.")] = False,
    as_json: AsJson = False,
) -> None:
    """Hold a subnet against every law, under every relation scheme; measure what it costs."""
    from hermtk.models.variants import VARIANTS
    from hermtk.models.variants import variant as known_variant
    from hermtk.testing.target import subnets_of
    from hermtk_cli.output import print_json

    options = _options(option or [])
    variants = list(dict.fromkeys(variant or VARIANTS))
    for name in variants:
        known_variant(name)
    precisions = list(dict.fromkeys(dtype or _PRECISIONS))
    for name in precisions:
        if name not in _PRECISIONS:
            raise UnknownName("precision", name, _PRECISIONS)
    subnets = subnets_of(target, options)
    checks = [_Check.of(subnet, variants, precisions, options) for subnet in subnets]
    _work(checks, fast)
    if as_json:
        print_json(
            {"passed": all(check.passed for check in checks), "subnets": [c.summary() for c in checks]}
        )
    else:
        for check in checks:
            check.show()
    if not all(check.passed for check in checks):
        raise typer.Exit(FAILED)


@dataclass(frozen=True)
class _Check:
    """One subnet: what is tried (``subjects``, by variant and precision) and what came out."""

    name: str
    subjects: "dict[tuple[str, str], Subject]"
    rows: "dict[tuple[str, str], list[Row]]"
    costs: "dict[str, Costs | str]"

    @classmethod
    def of(
        cls, subnet: Any, variants: Sequence[str], precisions: Sequence[str], options: dict[str, Any]
    ) -> "_Check":
        import torch

        from hermtk.testing import Subject

        subjects = {
            (variant, precision): Subject(subnet, variant, options, dtype=getattr(torch, precision))
            for variant in variants
            for precision in precisions
        }
        name = subnet if isinstance(subnet, str) else subnet.__name__
        return cls(name, subjects, {place: [] for place in subjects}, {})

    @property
    def broken(self) -> "dict[str, list[tuple[str, str, Row]]]":
        """By law: variant, precision and row wherever it does not hold."""
        found: dict[str, list[tuple[str, str, Row]]] = {}
        for (variant, precision), rows in self.rows.items():
            for row in rows:
                if not row.passed:
                    found.setdefault(row.law, []).append((variant, precision, row))
        return found

    @property
    def passed(self) -> bool:
        return not self.broken

    def summary(self) -> dict[str, Any]:
        """For JSON; what is not a number is null."""
        rows = [
            {"variant": variant, "dtype": precision, **_finite(asdict(row))}
            for (variant, precision), own in self.rows.items()
            for row in own
        ]
        measured = {
            variant: {"problem": found} if isinstance(found, str) else asdict(found)
            for variant, found in self.costs.items()
        }
        return {"subnet": self.name, "passed": self.passed, "laws": rows, "measured": measured}

    def show(self) -> None:
        """Tables, and a paragraph for each law that is broken."""
        from rich.padding import Padding
        from rich.text import Text

        from hermtk_cli.output import stdout

        console = stdout()
        console.print(self._table())
        for law, cases in self.broken.items():
            variant, precision, row = cases[0]
            console.print(Text.assemble((law, "bold red"), f", {variant}, {precision}"), soft_wrap=True)
            for line in _story(row, cases[1:]):
                console.print(Padding(Text(line), (0, 0, 0, 4)))
        if self.costs:
            console.print(self._measured())
        tried = sum(row.tried for rows in self.rows.values() for row in rows)
        failed = sum(map(len, self.broken.values()))
        console.print(
            f"{self.name}: {tried - failed} of {tried} checks hold; "
            + ("every law is kept" if self.passed else f"{len(self.broken)} laws are broken")
        )

    def _table(self) -> "Table":
        from rich import box
        from rich.table import Table

        variants = list(dict.fromkeys(variant for variant, _ in self.subjects))
        table = Table(
            title=self.name, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, padding=(0, 1)
        )
        table.add_column("law")
        for variant in variants:
            table.add_column(variant, no_wrap=True)
        table.add_column("worst", no_wrap=True, justify="right")
        for number, row in enumerate(next(iter(self.rows.values()))):
            by_place = {place: rows[number] for place, rows in self.rows.items()}
            cells = [_cell({p: r for (v, p), r in by_place.items() if v == variant}) for variant in variants]
            table.add_row(row.law, *cells, _worst(list(by_place.values())))
        return table

    def _measured(self) -> "Table":
        from rich import box
        from rich.table import Table

        from hermtk.testing.costs import ELEMENTS
        from hermtk_cli.tables import number

        table = Table(
            title="measured", title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, padding=(0, 1)
        )
        table.add_column("")
        table.add_column("step, ms", justify="right", no_wrap=True)
        for count in ELEMENTS[1:]:
            table.add_column(f"x, {count} el.", justify="right", no_wrap=True)
        for title in ("B/edge", "jump, eV", "jump, eV/Å"):
            table.add_column(title, justify="right", no_wrap=True)
        for variant, found in self.costs.items():
            if isinstance(found, str):
                table.add_row(variant, "error", *[""] * 6)
                continue
            ratios = [number(ratio) for ratio in found.ratios[1:]]
            jumps = [f"{jump:.0e}" for jump in (found.energy_jump, found.force_jump)]
            table.add_row(variant, number(found.step_ms), *ratios, number(found.bytes_per_edge), *jumps)
        return table


def _options(given: Sequence[str]) -> dict[str, Any]:
    import yaml

    found = {}
    for text in given:
        key, sign, value = text.partition("=")
        if not (key and sign):
            raise ConfigError(f"--option takes KEY=VALUE, not {text!r}")
        try:
            found[key] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise ConfigError(f"the value of --option {text!r} is not YAML") from None
    return found


def _work(checks: Sequence[_Check], fast: bool) -> None:
    """Try everything, filling in the checks."""
    from hermtk.testing import laws
    from hermtk.testing.report import check
    from hermtk_cli.output import progress

    tried = laws(slow=not fast)
    steps = sum(len(tried) * len(one.subjects) + len(_variants(one)) * (not fast) for one in checks)
    with progress("checking", steps) as advance:
        for one in checks:
            for place, subject in one.subjects.items():
                for law in tried:
                    one.rows[place] += check(subject, [law]).rows
                    advance(1)
            if not fast:
                _measure(one, advance)


def _measure(one: _Check, advance: Callable[[int], None]) -> None:
    from hermtk.testing.costs import costs

    for variant in _variants(one):
        subject = next(subject for (own, _), subject in one.subjects.items() if own == variant)
        try:
            one.costs[variant] = costs(subject)
        # a subnet that cannot be run has broken laws already
        except Exception as problem:
            one.costs[variant] = f"{type(problem).__name__}: {problem}"
        advance(1)


def _variants(one: _Check) -> list[str]:
    return list(dict.fromkeys(variant for variant, _ in one.subjects))


def _cell(rows: "dict[str, Row]") -> str:
    """One law under one variant: whether it holds, and in which precision it does not if it does in the other."""
    failed = [precision for precision, row in rows.items() if not row.passed]
    tried = [precision for precision, row in rows.items() if row.tried or not row.passed]
    if not tried:
        return "[dim]-[/dim]"
    if not failed:
        return "[green]ok[/green]"
    word = (
        "broken"
        if any(row.violation == row.violation for row in rows.values() if not row.passed)
        else "error"
    )
    return f"[red]{word}[/red]" if failed == tried else f"[red]{word} {failed[0]}[/red]"


def _worst(rows: "Sequence[Row]") -> str:
    """The violation that uses up most of what is allowed, and what is allowed."""
    known = [row for row in rows if row.tried and row.tolerance > 0]
    if not known:
        return ""
    worst = max(known, key=lambda row: row.violation / row.tolerance)
    return f"{worst.violation:.0e} of {worst.tolerance:.0e}"


def _story(row: "Row", others: "Sequence[tuple[str, str, Row]]") -> list[str]:
    """Case, matter and numbers of one law that is broken, and where else it is."""
    if row.violation == row.violation:
        told = [f"{row.case}: {row.violation:.3g}, at most {row.tolerance:.3g} is allowed"]
    else:
        told = [row.message.partition(f"{row.law!r}: ")[2].removesuffix(f"; tried on {row.matter}")]
    if row.matter:
        told.append(f"tried on {row.matter}")
    if others:
        told.append("also: " + "; ".join(f"{variant}, {precision}" for variant, precision, _ in others))
    return told


def _finite(row: dict[str, Any]) -> dict[str, Any]:
    import math

    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in row.items()
    }
