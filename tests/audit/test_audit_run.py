"""The audit as a whole: everything together, the worst first, and the memory it takes."""

import json
import tracemalloc
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from audit_world import molecules, turned
from hermtk.audit.run import SEVERITIES, audit
from hermtk.audit.twins import Prints
from hermtk.audit.views import views
from hermtk.data.structure import Structure
from hermtk.errors import UnknownName


def test_errors_come_first_and_everything_can_be_json():
    train = molecules(30)
    test = [*molecules(5, 1), turned(train[0]), *molecules(1, name="CH3NO2")]
    done: list[int] = []
    report = audit(
        {"train": train, "test": test}, 4.0, "hpnet", done.append, {"train": ["x.xyz:3: not finite"]}
    )
    places = [SEVERITIES.index(finding.severity) for finding in report.findings]
    assert places == sorted(places)
    names = {finding.name for finding in report.findings}
    assert {"invalid-structures", "duplicates-across-sets", "unseen-elements", "starving-relations"} <= names
    assert report.errors == sum(finding.severity == "error" for finding in report.findings)
    assert sum(done) == 37
    found = json.loads(json.dumps(report.summary(), allow_nan=False))
    assert found["coverage"]["train"]["elements"]["O"] == [30, 30]
    assert found["structures"] == {"train": 30, "test": 7}


def test_an_unknown_variant_is_refused_before_the_work():
    done: list[int] = []
    with pytest.raises(UnknownName, match="hvnet"):
        audit({"train": molecules(2)}, 5.0, "hvnets", done.append)
    assert done == []


class Made(Sequence[Structure]):
    """A set that makes its structures when they are asked for."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.first = replace(molecules(1, name="H2O")[0], forces=None)

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, place):
        if place >= self.n:
            raise IndexError(place)
        moved = np.random.default_rng(place).normal(scale=0.1, size=(3, 3))
        return replace(self.first, positions=self.first.positions + moved, energy=float(place))


def test_few_bytes_are_kept_of_each_structure():
    made, prints = Made(4000), Prints()
    for _, _, seen in views({"": Made(100)}, 5.0):
        prints.add(seen)
    tracemalloc.start()
    for _, _, seen in views({"": made}, 5.0):
        prints.add(seen)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # 8 numbers of 4 bytes, two keys and an energy of 8, a force of 4, and the room that arrays grow into
    assert kept / len(made) < 2 * 60
