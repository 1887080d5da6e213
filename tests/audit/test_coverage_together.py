"""Structures counted together are counted as one by one."""

import numpy as np
import pytest
from hypothesis import given, settings

from data_world import data_sets
from hermtk.audit import coverage
from hermtk.audit.coverage import Coverage
from hermtk.graph.build import build_graph


@pytest.mark.parametrize("most", [1, 30, 2**20])
@settings(max_examples=25, deadline=None)
@given(data_sets(max_structures=7, max_atoms=6, labels="shared", info=False))
def test_together_is_one_by_one(most, structures):
    # numbers from a short list, else no two atoms are of one element
    numbers = [s.numbers % 4 + 1 for s in structures]
    graphs = [build_graph(s, 4.0) for s in structures]
    single, joint = Coverage(), Coverage()
    for z, graph in zip(numbers, graphs, strict=True):
        single.add(z, graph.center.numpy(), graph.neighbor.numpy())
    whole = build_graph(structures, 4.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(coverage, "_AT_ONCE", most)
        arrays = (whole.structure.numpy(), whole.center.numpy(), whole.neighbor.numpy())
        joint.add_all(np.concatenate(numbers), *arrays)
    assert joint.structures == single.structures == len(structures)
    assert joint.facts() == single.facts()
