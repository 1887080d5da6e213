"""Every subnet of ours under every variant keeps every law: a new file is tested by being there."""

import pytest

from hermtk.relations.pair import Pair
from hermtk.testing import Law, Subject, every_subject, laws
from hermtk.testing.parametrize import parametrize_laws


@parametrize_laws(every_subject("hermtk"))
def test_a_subnet_keeps_the_law(law: Law, subject: Subject):
    law(subject)


@parametrize_laws([Subject("painn", "hpnet", looped=True)])
def test_one_module_per_relation_keeps_the_law(law: Law, subject: Subject):
    law(subject)


@parametrize_laws(
    [Subject("painn", options={"projection": False}, relation=Pair(ordered=False), basis="gaussian")]
)
def test_unordered_pairs_gaussians_and_no_projection_keep_the_law(law: Law, subject: Subject):
    law(subject)


@pytest.mark.slow
@parametrize_laws(every_subject("hermtk"), [law for law in laws() if law.slow])
def test_a_subnet_keeps_the_slow_law(law: Law, subject: Subject):
    law(subject)
