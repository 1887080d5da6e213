"""What a run and its model file say of where they come from: provenance, statistics, coverage."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from ase.data import chemical_symbols

from hermtk import __version__
from hermtk.audit.coverage import Coverage
from hermtk.data.targets import ENERGY
from hermtk.files import write_text
from hermtk.models.model import Model
from hermtk.training.config import RunConfig
from hermtk.training.data.batches import together
from hermtk.training.data.prepare import Prepared

_CHUNK = 32


def facts_of(
    config: RunConfig, data: Prepared, potential: Model, before: Coverage | None = None
) -> dict[str, Any]:
    """Provenance, statistics and coverage, as plain values; ``before``: what the weights have seen already."""
    covered = coverage_of(data, before)
    return {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {
            "hermtk": __version__,
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "numpy", "ase", "vesin", "e3nn")},
        },
        "machine": {"processor": platform.machine(), "cores": os.cpu_count(), "system": platform.system()},
        "seed": config.seed,
        "data": {
            "sha256": data.digests,
            "structures": {
                "train": len(data.train),
                "validation": len(data.validation),
                "test": len(data.test),
            },
            "stress": data.stress,
            "missing": data.missing,
            **(
                {"sets": {one.name: {"file": one.file, "weight": one.weight} for one in data.sets}}
                if data.sets
                else {}
            ),
        },
        "target": {"name": data.target.name, "unit": data.target.unit, "spread": data.spread},
        "statistics": {
            "reference_energies" if data.target == ENERGY else "references": {
                chemical_symbols[z]: e for z, e in data.reference.items()
            },
            "reference_energies_from": data.references.how,
            "scale": data.scale,
            "mean_neighbors": data.mean_neighbors,
        },
        "parameters": sum(p.numel() for p in potential.parameters()),
        "coverage": covered.edges(potential.table),
        "seen": covered.facts(),
    }


def record_events(path: Path, events: Sequence[Mapping[str, Any]]) -> None:
    """Put what happened in a run (``step``, ``text``) into its record, if there is one."""
    if path.is_file():
        facts = json.loads(path.read_text(encoding="utf-8"))
        write_text(path, json.dumps({**facts, "events": events}, indent=1))


def coverage_of(data: Prepared, before: Coverage | None = None) -> Coverage:
    """What the training set, and another one ``before``, show of every element, pair and triad."""
    covered = before or Coverage()
    for first in range(0, len(data.items), _CHUNK):
        graph = together(data.items, np.arange(first, min(first + _CHUNK, len(data.items)))).graph
        covered.add_all(
            graph.numbers.numpy(), graph.structure.numpy(), graph.center.numpy(), graph.neighbor.numpy()
        )
    return covered
