"""What a report's numbers amount to, in sentences: the first thing a reader wants to know."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from hermtk.audit.coverage import SEEN_ENOUGH, in_words
from hermtk.data.targets import find_target
from hermtk.evaluation.report.numbers import Report
from hermtk.evaluation.report.parts import Part
from hermtk.evaluation.report.words import (
    ENERGY_PER_ATOM,
    FORCE,
    STRESS,
    listed,
    measured,
    number,
    percent,
    value_scale,
)

# standard errors beyond which a difference is not chance
_SURE = 2.0
# validation over training error: more, and the training set is being learned by heart
_BY_HEART = 1.5
# mean over mean absolute error: more, and most of the error is one shift
_SHIFT = 0.7
# of all square errors in the worst structures, where they are a tenth of the set at most
_CONCENTRATED = 0.5
# a part that is worse than the whole by this much is named
_WORSE = 1.3
# of a relation's error beyond the expected: named from here
_UNEXPECTED = 0.1


class Verdict(NamedTuple):
    """A sentence or two; ``kind`` says whether it is a finding, good news, or asks for attention."""

    kind: Literal["result", "good", "attention"]
    text: str


def verdicts(report: Report) -> list[Verdict]:
    """The most important first."""
    return [*_state(report), *_errors(report), *_generalises(report), *_trend(report), *_where(report)]


def _state(report: Report) -> Iterator[Verdict]:
    if not report.ended:
        done = (
            "no step is recorded"
            if report.steps is None
            else f"{report.steps:,} of {report.total_steps:,} steps"
        )
        yield Verdict(
            "attention",
            f"The run is not finished ({done}); what follows is about the best model so far. "
            f"Go on with `hermtk train --resume {report.run}`.",
        )
    if report.changed:
        yield Verdict(
            "attention",
            f"{listed(list(report.changed))} changed after the run began: the sets may not be those that it was made with.",
        )


def _errors(report: Report) -> Iterator[Verdict]:
    said = []
    if "target" in report.errors:
        target = find_target(report.target)
        own = report.errors["target"]
        if own["mae"] is None:
            return
        scale = value_scale(target, False)
        said.append(f"{report.target} {measured(own['mae'], scale)}")
        if own["mad"]:
            share = own["mae"] / own["mad"]
            said[-1] += f", {percent(share)} of what a model makes that knows the mean alone"
    else:
        said += _potential_errors(report)
    if said:
        yield Verdict("result", f"Mean absolute errors on {_set(report)}: {'; '.join(said)}.")
    yield from _shift(report)


def _potential_errors(report: Report) -> list[str]:
    said = []
    for name, title, scale in (
        ("energy_per_atom", "energy", ENERGY_PER_ATOM),
        ("forces", "forces", FORCE),
        ("stress", "stress", STRESS),
    ):
        own = report.errors[name]
        if own["mae"] is None:
            continue
        text = f"{title} {measured(own['mae'], scale)}"
        if name == "forces" and (relative := _relative_force_error(report)):
            text += f" ({percent(relative)} of the mean force component)"
        said.append(text)
    return said


def _relative_force_error(report: Report) -> float | None:
    count = sum(part.count for part in report.elements)
    size = sum(part.count * (part.size or 0.0) for part in report.elements)
    return report.errors["forces"]["mae"] * count / size if size else None


def _shift(report: Report) -> Iterator[Verdict]:
    """Where nearly all of the error is the same for all structures."""
    energy = "target" not in report.errors
    own = report.errors["energy_per_atom" if energy else "target"]
    if own["mae"] and abs(own["mean"]) > _SHIFT * own["mae"] and own["structures"] > 5:
        what = "Energies" if energy else f"Values of {report.target}"
        scale = value_scale(find_target(report.target), energy)
        yield Verdict(
            "attention",
            f"{what} are too {'high' if own['mean'] > 0 else 'low'} by {measured(abs(own['mean']), scale)} on average: most of "
            "the error is one shift of the whole set. Differences between its structures are better than the figure says.",
        )


def _set(report: Report) -> str:
    names = {
        "test": "structures that decided nothing",
        "validation": "validation structures, which decided which weights are kept: expect more on new ones",
    }
    return f"{report.structures:,} {names.get(report.set, f'structures of {report.set}')}"


def _generalises(report: Report) -> Iterator[Verdict]:
    for one in report.against:
        if one.name == "energy_per_atom" and any(other.name == "forces" for other in report.against):
            continue
        scale = (
            FORCE
            if one.name == "forces"
            else value_scale(find_target(report.target), one.name == "energy_per_atom")
        )
        what = "force error" if one.name == "forces" else f"error of {one.name.replace('_', ' ')}"
        change = one.tested / one.validation - 1 if one.validation else 0.0
        said = f"{measured(one.validation, scale)} in validation, {number(one.tested, scale[0])} here"
        if one.sigma is not None and abs(one.sigma) < _SURE:
            yield Verdict("good", f"The {what} is that of validation ({said}: a difference within chance).")
        elif change > 0:
            yield Verdict(
                "attention",
                f"The {what} is larger than in validation by {percent(change)} ({said}): these structures are not like those "
                "trained on, or validation is too small to judge by.",
            )
        else:
            yield Verdict("good", f"The {what} is smaller than in validation by {percent(-change)} ({said}).")
        sure = one.training_sigma is not None and one.training_sigma > _SURE
        if sure and one.training and one.validation > _BY_HEART * one.training:
            yield Verdict(
                "attention",
                f"Validation errors are {one.validation / one.training:.1f} times those of training: the model learns its "
                "training set by heart. More data would help more than more steps.",
            )


def _trend(report: Report) -> Iterator[Verdict]:
    trend = report.trend
    if trend is None:
        return
    what = trend.name.removeprefix("validation_").removesuffix("_mae").replace("_", " ")
    longer = f"`--steps {2 * (report.total_steps or trend.steps)}`"
    if trend.direction == "rising":
        yield Verdict(
            "attention",
            f"The validation error ({what}) was lowest at step {trend.best_step:,} and rises since: longer training does not "
            "pay. More data or a smaller model would.",
        )
    elif trend.direction == "falling":
        pays = (
            "The run is on its way."
            if not report.ended
            else f"Longer training would pay: a new run with {longer}."
        )
        yield Verdict(
            "attention" if report.ended else "result",
            f"The validation error ({what}) is still falling: by {percent(trend.fell)} over the last doubling of the steps. "
            f"{pays}",
        )
    elif trend.direction == "slowing":
        yield Verdict(
            "result",
            f"The validation error ({what}) still fell by {percent(trend.fell)} over the last doubling of the steps: twice as "
            f"many ({longer}) would bring about as much again.",
        )
    else:
        yield Verdict(
            "result",
            f"The validation error ({what}) has levelled off ({percent(max(trend.fell, 0.0))} over the last doubling of the "
            "steps): longer training would bring little. More data or a larger model may.",
        )


def _where(report: Report) -> Iterator[Verdict]:
    yield from _elements(report)
    yield from _relations(report)
    if report.starving:
        yield Verdict(
            "attention",
            f"{len(report.starving)} of the relations that these structures use were seen fewer than {SEEN_ENOUGH} times in "
            f"training: {in_words(report.starving)}. Their weights are hardly trained.",
        )
    elif report.relations and all(part.seen is not None for part in report.relations):
        least = min(report.relations, key=lambda part: part.seen or 0)
        yield Verdict(
            "good",
            f"No relation starves: the least seen in training that these structures use is {least.name} ({least.seen:,} times).",
        )
    share, worst = report.worst_share, len(report.worst)
    if share and share > _CONCENTRATED and worst <= 0.1 * report.structures:
        yield Verdict(
            "attention",
            f"The {worst} worst of {report.structures:,} structures hold {percent(share)} of all square errors: "
            "look at them first.",
        )


def _elements(report: Report) -> Iterator[Verdict]:
    """The worst elements, where they are clearly worse than the whole."""
    whole = report.errors.get("forces", {}).get("mae")
    worst = sorted(report.elements, key=lambda part: -(part.mae or 0.0))
    if len(worst) < 2 or not whole:
        return
    named = [_named(part) for part in worst if (part.mae or 0.0) > _WORSE * whole][:3]
    if named:
        yield Verdict(
            "result", f"Forces are worst on {listed(named)}, against {measured(whole, FORCE)} over all atoms."
        )
    else:
        yield Verdict(
            "good",
            f"No element stands out: forces from {_named(worst[-1])} to {_named(worst[0])} {FORCE[1]}.",
        )


def _relations(report: Report) -> Iterator[Verdict]:
    """The relations with larger errors than the elements of their atoms explain."""
    if len(report.relations) < 2 or {p.name for p in report.relations} == {p.name for p in report.elements}:
        return
    excess = {part: part.mae / part.expected - 1 for part in report.relations if part.mae and part.expected}
    named = [part for part in sorted(excess, key=lambda part: -excess[part]) if excess[part] > _UNEXPECTED][
        :3
    ]
    if named:
        text = listed(
            [f"{part.name} ({number(part.mae, FORCE[0])}, {percent(excess[part])} more)" for part in named]
        )
        yield Verdict(
            "result", f"Relations with larger force errors than their atoms' elements explain: {text}."
        )
    else:
        yield Verdict("good", "No relation stands out: the errors of all are those of their atoms' elements.")


def _named(part: Part) -> str:
    return f"{part.name} ({number(part.mae, FORCE[0])})"
