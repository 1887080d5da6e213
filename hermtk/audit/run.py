"""The audit of a set, or of the sets of a run: every check, one after the other."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hermtk.audit.consistency import consistency
from hermtk.audit.coverage import Coverage, coverage_findings, relation_table
from hermtk.audit.duplicates import duplicate_findings
from hermtk.audit.findings import Finding, Sets
from hermtk.audit.geometry import Shapes, geometry_findings
from hermtk.audit.labels import labels
from hermtk.audit.twins import Prints
from hermtk.audit.views import views

SEVERITIES = ("error", "warning", "note")
_NAMED = 10


@dataclass(frozen=True)
class Report:
    """What an audit found.

    Attributes:
        findings: errors first, then warnings, then notes.
        structures: how many each set holds.
        coverage: elements, pairs and triads of each set.
        cutoff: Angstrom.
        variant: whose relations were looked at.
    """

    findings: tuple[Finding, ...]
    structures: Mapping[str, int]
    coverage: Mapping[str, Coverage]
    cutoff: float
    variant: str

    @property
    def errors(self) -> int:
        """How many findings are errors."""
        return sum(finding.severity == "error" for finding in self.findings)

    def summary(self) -> dict[str, Any]:
        """Everything as plain values."""
        return {
            "structures": dict(self.structures),
            "cutoff": self.cutoff,
            "variant": self.variant,
            "findings": [asdict(finding) for finding in self.findings],
            "coverage": {name: coverage.facts() for name, coverage in self.coverage.items()},
        }


def audit(
    sets: Sets,
    cutoff: float = 5.0,
    variant: str = "hvnet",
    progress: Callable[[int], None] | None = None,
    invalid: Mapping[str, Sequence[str]] | None = None,
) -> Report:
    """Every check on the sets of a run, each structure read once for all checks of geometry.

    Args:
        sets: by name; the first one is trained on.
        cutoff: Angstrom, within which atoms are neighbours.
        variant: whose relations must not starve.
        progress: told of every structure looked at.
        invalid: what the reading of each set had to leave out, a sentence each.

    Raises:
        UnknownName: no variant of that name.
    """
    # a wrong name is refused before the work
    relation_table(variant, (1,))
    covered = {name: Coverage() for name in sets}
    prints = {name: Prints() for name in sets}
    shapes = {name: Shapes() for name in sets}
    for name, _, seen in views(sets, cutoff, progress):
        covered[name].add(seen.structure.numbers, seen.center, seen.neighbor)
        prints[name].add(seen)
        shapes[name].add(seen)

    def every() -> Iterator[Finding]:
        yield from invalid_structures(
            invalid or {}, {name: len(structures) for name, structures in sets.items()}
        )
        yield from geometry_findings(shapes)
        yield from duplicate_findings(sets, prints, cutoff)
        yield from coverage_findings(covered, cutoff, variant)
        yield from labels(sets)
        yield from consistency(sets)

    found = sorted(every(), key=lambda finding: SEVERITIES.index(finding.severity))
    sizes = {name: len(structures) for name, structures in sets.items()}
    return Report(tuple(found), sizes, covered, cutoff, variant)


def invalid_structures(invalid: Mapping[str, Sequence[str]], sizes: Mapping[str, int]) -> Iterator[Finding]:
    """Structures that could not be read as such: what ``iterate_structures`` tells of faulty ones."""
    for name, said in invalid.items():
        if said:
            yield Finding(
                "invalid-structures",
                "error",
                f"{len(said)} of {len(said) + sizes.get(name, 0)} structures of {name} cannot be and were left out of all other "
                f"checks; the first: {said[0]}.",
                tuple(said[:_NAMED]),
                {"set": name, "structures": len(said)},
            )
