"""It keeps every law of hermtk under every variant, alone and beside a typed subnet."""

from hermtk.testing import Law, subjects
from hermtk.testing.parametrize import parametrize_laws
from hermtk_schnet.subnet import SchNet


@parametrize_laws([*subjects(SchNet), *subjects(SchNet, filters=5)[2:3]])
def test_it_keeps_the_law(law: Law, subject):
    law(subject)
