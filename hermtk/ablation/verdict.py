"""Sentences that the numbers of a study support."""

from collections.abc import Iterator, Sequence

from hermtk.ablation.findings import ArmFacts, Difference, Findings, Metric, Table, Verdict, sure

# of the control's error: a difference that could only be smaller than this is none
_SAME = 0.05
_ERRORS = {"energy": "energy error", "forces": "force error", "stress": "stress error"}
MATCHED = {
    "none": "equal width and steps",
    "params": "equal parameters",
    "time": "equal training time",
}
# the first that was measured decides the headline
_MAIN = ("forces", "energy")


def verdicts(found: Findings) -> Iterator[Verdict]:
    """What a study says: the answer first, then each comparison, then what is missing."""
    whole = [table for table in found.tables if not table.metric.part and table.metric.kind == "mae"]
    if not whole:
        yield Verdict("No run has finished: there is nothing to compare.", "missing")
    else:
        main = min(whole, key=lambda table: _rank(table.metric))
        yield _headline(main, found)
        for table in sorted(whole, key=lambda table: _rank(table.metric)):
            yield from (_sentence(one, table.metric, found) for one in table.differences)
    yield from _missing(found.arms)


def _rank(metric: Metric) -> int:
    return _MAIN.index(metric.quantity) if metric.quantity in _MAIN else len(_MAIN)


def outcome(difference: Difference) -> str:
    """better, worse, alike (no difference worth a word could be there) or undecided."""
    if difference.interval is None:
        return "undecided"
    if sure(difference):
        return "better" if difference.mean < 0 else "worse"
    level = difference.mean / difference.relative if difference.relative else 0.0
    largest = max(abs(end) for end in difference.interval)
    return "alike" if level and largest < _SAME * abs(level) else "undecided"


def _headline(table: Table, found: Findings) -> Verdict:
    """Whether typing by element pays, in the main metric."""
    what, how = _error_of(table.metric), MATCHED[found.match]
    if not table.differences:
        return Verdict(
            f"No arm can be compared with {found.control}: no seed has finished in both.", "missing"
        )
    kinds = [outcome(one) for one in table.differences]
    better = [one for one, kind in zip(table.differences, kinds, strict=True) if kind == "better"]
    worse, of = kinds.count("worse"), _of(len(kinds), found.control)
    if better:
        best = min(better, key=lambda one: one.relative)
        also = f" (higher in {worse})" if worse else ""
        lower = f"lower {what} in {len(better)} {of}{also} at {how}"
        return Verdict(f"Typing by element pays: {lower}; most in {best.arm} ({_percent(best)}).", "better")
    if worse:
        higher = f"higher {what} in {worse} {of}, lower in none, at {how}"
        return Verdict(f"Typing by element does not pay: {higher}.", "worse")
    if set(kinds) == {"alike"}:
        same = f"less than {100 * _SAME:.0f} % apart in {len(kinds)} {of} at {how}"
        return Verdict(f"Typing by element makes no difference to the {what}: {same}.", "alike")
    seeds = _counted(min(len(one.seeds) for one in table.differences))
    where = f"in any {of}" if len(kinds) > 1 else f"to {found.control}"
    none = f"no difference in {what} is shown {where} at {how} with {seeds}"
    return Verdict(f"Undecided: {none}.", "undecided")


def _sentence(one: Difference, metric: Metric, found: Findings) -> Verdict:
    what, kind, how = _error_of(metric), outcome(one), MATCHED[found.match]
    change = f"{_number(one.mean)} {metric.unit} ({_percent(one)}"
    if one.interval is None:
        text = f"{what} {change}) with one seed at {how}; one seed decides nothing"
        return Verdict(f"{one.arm} against {one.control}: {text}.", "undecided")
    low, high = one.interval
    tests = f"p {_p(one.p)}, Holm {_p(one.p_holm)}"
    numbers = f"95 % CI {_number(low)} to {_number(high)}, {tests}; {how}, {_counted(len(one.seeds))}"
    if kind in ("better", "worse"):
        verb = "lowers" if kind == "better" else "raises"
        by = f"{_number(abs(one.mean), '')} ± {_number(one.standard_error or 0.0, '')} {metric.unit} ({_percent(one)}"
        text = f"{one.arm} {verb} the {what} of {one.control} by {by}; {numbers})"
    elif kind == "alike":
        text = f"{one.arm} and {one.control} have the same {what} within {100 * _SAME:.0f} %: {change}; {numbers})"
    else:
        text = f"{one.arm} against {one.control}: no difference in {what} is shown, {change}; {numbers})"
    return Verdict(f"{text}.", kind)


def _missing(arms: Sequence[ArmFacts]) -> Iterator[Verdict]:
    for facts in arms:
        if facts.failed:
            seeds = ", ".join(map(str, facts.failed))
            why = next(iter(facts.problems.values()))
            yield Verdict(f"{facts.arm.name} failed with seed {seeds}: {why}", "missing")
        elif not facts.finished:
            yield Verdict(f"{facts.arm.name} has no finished run.", "missing")


def _error_of(metric: Metric) -> str:
    return _ERRORS.get(metric.quantity, f"error of {metric.quantity}")


def _of(number: int, control: str) -> str:
    return f"of {number} comparison{'s' if number != 1 else ''} with {control}"


def _number(value: float, sign: str = "+") -> str:
    """Three digits, without an exponent where they would be more."""
    return f"{value:{sign},.0f}" if abs(value) >= 1000 else f"{value:{sign}.3g}"


def _percent(one: Difference) -> str:
    return f"{100 * one.relative:+.1f} %"


def _p(p: float | None) -> str:
    return "?" if p is None else f"{p:.3f}" if p >= 0.001 else "< 0.001"


def _counted(seeds: int) -> str:
    return f"{seeds} seed{'s' if seeds != 1 else ''}"
