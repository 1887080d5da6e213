"""Everything a report says, as numbers."""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from hermtk.audit.coverage import starving
from hermtk.data.targets import ENERGY
from hermtk.evaluation.metrics import Timing, Trend, timing_of, trend_of
from hermtk.evaluation.report import groups, parts
from hermtk.evaluation.report.groups import Group, Labelling
from hermtk.evaluation.report.parts import Magnitude, Part
from hermtk.evaluation.report.predicted import Predicted
from hermtk.evaluation.report.record import RunRecord
from hermtk.evaluation.report.relations import Shares
from hermtk.evaluation.report.worst import Worst, worst_of

Array = np.ndarray


@dataclass(frozen=True)
class Against:
    """A mean absolute error on this set beside those of training; eV, eV/Angstrom, or the target's unit.

    Attributes:
        name: ``forces``, ``energy_per_atom``, or the target.
        tested: on this set.
        validation: of the same weights on the validation set.
        training: over the epoch before, while the weights moved; None where it is not recorded.
        sigma: tested minus validation in standard errors of that difference, from the spread of the structures of this set.
        training_sigma: the same of validation minus training.
    """

    name: str
    tested: float
    validation: float
    training: float | None
    sigma: float | None
    training_sigma: float | None


@dataclass(frozen=True)
class Report:
    """What is known of a run and of its best model on a set of structures.

    Attributes:
        run, title, variant: which run.
        target, unit: what was learned.
        set: what the model was tested on.
        structures, atoms: of that set.
        ended: why the run is over; empty where it is not.
        steps, total_steps, kept_step: done, planned, and where the weights of the model are from.
        errors: ``Evaluation.summary()`` or that of a property.
        against: beside validation and training; nothing where this is the validation set.
        trend, timing: of the training; None before there are enough validations.
        cpu_seconds, peak_bytes: what training took of the processor and of memory; None where the run does not say.
        elements, relations: force errors by element and by relation of the variant.
        magnitudes: by length of the force.
        holding: structures by an element that they hold, of a property.
        kinds, compositions, sizes: structures by what the data call them (``kind_key``), by formula, by number of atoms.
        worst: structures.
        worst_share: of all square errors, what the worst structures hold.
        starving: relations that this set uses and training hardly saw, and how often.
        config, facts: of the run.
        command: makes the run again.
        changed: data files that are no longer what the run was trained on.
    """

    run: str
    title: str
    variant: str
    target: str
    unit: str
    set: str
    structures: int
    atoms: int
    ended: str
    steps: int | None
    total_steps: int | None
    kept_step: int | None
    errors: Mapping[str, Any]
    against: tuple[Against, ...]
    trend: Trend | None
    timing: Timing | None
    cpu_seconds: float | None
    peak_bytes: int | None
    elements: tuple[Part, ...]
    relations: tuple[Part, ...]
    magnitudes: tuple[Magnitude, ...]
    holding: tuple[Group, ...]
    kinds: tuple[Group, ...]
    kind_key: str
    compositions: tuple[Group, ...]
    sizes: tuple[Group, ...]
    worst: tuple[Worst, ...]
    worst_share: float | None
    starving: Mapping[str, int]
    config: Mapping[str, Any]
    facts: Mapping[str, Any]
    command: str
    changed: tuple[str, ...] = ()

    def values(self) -> dict[str, Any]:
        """As plain values, ready for JSON; what is not a number is None."""
        return plain(asdict(self))


def make_report(
    record: RunRecord,
    tested: Predicted,
    kept_step: int | None = None,
    *,
    changed: tuple[str, ...] = (),
    on_structure: Callable[[int], None] | None = None,
) -> Report:
    """Every number of a report.

    Args:
        record: the run.
        tested: structures and what its best model says of them.
        kept_step: where the model's weights are from; the best validation if not given.
        changed: data files that are no longer what the run was trained on.
        on_structure: called after each structure with 1.
    """
    metrics, target = record.metrics, record.target
    labels, shares = Labelling(), Shares(tested.model)
    numbers: list[Array] = []
    first = 0
    for structure in tested.structures:
        labels.add(structure)
        numbers.append(structure.numbers)
        rows = slice(first, first + len(structure))
        if tested.forces is not None:
            shares.add(structure, tested.force_error[rows], tested.forces.true[rows])
        first = rows.stop
        if on_structure is not None:
            on_structure(1)
    called = labels.labels()
    relations = shares.parts(record.facts) if tested.forces is not None else ()
    worst = worst_of(tested)
    seen = {part.name: part.seen for part in relations if part.seen is not None}
    return Report(
        run=str(record.folder),
        title=record.title,
        variant=record.config.model.variant,
        target=target.name,
        unit=target.unit,
        set=tested.name,
        structures=len(tested.atoms),
        atoms=int(tested.atoms.sum()),
        ended=record.ended,
        steps=None if metrics is None else metrics.steps,
        total_steps=record.total_steps,
        kept_step=kept_step,
        errors=tested.evaluation.summary(),
        against=_against(record, tested, kept_step),
        trend=None if metrics is None else trend_of(metrics, target),
        timing=None if metrics is None else timing_of(metrics),
        cpu_seconds=record.cpu_seconds,
        peak_bytes=record.peak_bytes,
        elements=parts.by_element(tested, np.concatenate(numbers), record.facts),
        relations=relations,
        magnitudes=parts.by_magnitude(tested),
        holding=groups.by_element(tested, called) if target != ENERGY else (),
        kinds=groups.by_kind(tested, called),
        kind_key=called.key,
        compositions=groups.by_composition(tested, called),
        sizes=groups.by_size(tested),
        worst=worst,
        worst_share=_worst_share(tested, worst),
        starving=starving(seen, {part.name: part.count for part in relations}),
        config=record.config.model_dump(mode="json"),
        facts=record.facts,
        command=_again(record.folder),
        changed=changed,
    )


def _again(folder: Path) -> str:
    return f"hermtk train {folder / 'config.yaml'} --out {folder.with_name(folder.name + '-again')}"


def _against(record: RunRecord, tested: Predicted, kept_step: int | None) -> tuple[Against, ...]:
    metrics, target = record.metrics, record.target
    if metrics is None or tested.name == "validation":
        return ()
    row = metrics.best if kept_step is None else metrics.row_of(kept_step)
    value_name = "energy_per_atom" if target == ENERGY else target.name
    columns = {value_name: np.abs(tested.value.predicted - tested.value.true)}
    if tested.forces is not None:
        columns = {"forces": tested.force_mae, **columns}
    sizes = record.facts.get("data", {}).get("structures", {})
    count = sizes.get("validation", 0)
    found = []
    for name, every in columns.items():
        validation = metrics.columns.get(f"validation_{name}_mae")
        training = metrics.columns.get(f"train_{name}_mae")
        error = every[~np.isnan(every)]
        if validation is None or np.isnan(validation[row]) or not len(error):
            continue
        # forces: structures count by their atoms, as in the summary
        mean = float(error.mean()) if name != "forces" else float(np.nanmean(np.abs(tested.force_error)))
        reference = float(validation[row])
        trained = None if training is None or np.isnan(training[row]) else float(training[row])
        found.append(
            Against(
                name,
                mean,
                reference,
                trained,
                _sigma(mean - reference, error, len(error), count),
                None if trained is None else _sigma(reference - trained, error, count, sizes.get("train", 0)),
            )
        )
    return tuple(found)


def _sigma(difference: float, error: Float[Array, " structures"], one: int, other: int) -> float | None:
    """A difference of two means in standard errors; the structures of both, so many, are taken to spread as ``error`` does."""
    if len(error) < 2 or not (one and other):
        return None
    size = float(error.std(ddof=1)) * math.sqrt(1 / one + 1 / other)
    return difference / size if size > 0 else None


def _worst_share(tested: Predicted, worst: tuple[Worst, ...]) -> float | None:
    """What the worst structures hold of the sum of all square errors."""
    if tested.forces is not None:
        square = np.nansum(np.square(tested.force_error), axis=1)
        total = np.bincount(tested.structure, square, minlength=len(tested.atoms))
    else:
        total = np.nan_to_num(np.square(tested.value.predicted - tested.value.true))
    whole = float(total.sum())
    return float(total[[one.index for one in worst]].sum()) / whole if whole > 0 else None


def plain(value: Any) -> Any:
    """Ready for JSON: tuples as lists, what is not a finite number as None."""
    if isinstance(value, Mapping):
        return {str(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
