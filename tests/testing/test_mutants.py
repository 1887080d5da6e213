"""Every law bites: something wrong in a single place breaks it, and the same without the mistake does not."""

from dataclasses import replace
from typing import NamedTuple

import mutant_pieces as pieces
import mutants
import pytest
from mutants import Sound

from hermtk.testing import Law, LawBroken, Subject, laws, subjects
from hermtk.testing.parametrize import parametrize_laws

LAWS: dict[str, Law] = {law.name: law for law in laws()}


class Mutant(NamedTuple):
    """What is wrong, under which variant, and the law that must say so."""

    subject: Subject
    law: str

    @property
    def name(self) -> str:
        """The mistake's name."""
        subject = self.subject
        usual = Subject(Sound)
        for entry in ("subnet", "readout", "network", "potential", "build", "predict"):
            if getattr(subject, entry) != getattr(usual, entry):
                return getattr(subject, entry).__name__
        return subject.envelope


def mutant(law: str, subnet: type[Sound] = Sound, variant: str = "hpnet", **changes) -> Mutant:
    return Mutant(replace(Subject(subnet, variant), **changes), law)


MUTANTS = [
    mutant("a neighbor leaves smoothly", mutants.FreeBias),
    mutant("a neighbor leaves smoothly", mutants.NoEnvelope),
    mutant("a neighbor leaves smoothly", mutants.MeanOfNeighbors),
    mutant("a neighbor leaves smoothly", mutants.SlotBias),
    mutant("a neighbor leaves smoothly", envelope="cosine"),
    mutant("edges at the cutoff and beyond do nothing", mutants.NoEnvelope),
    mutant("edges at the cutoff and beyond do nothing", network=pieces.EnvelopeBeyondCutoff),
    mutant("does not know its batch mates", mutants.CenteredInBatch),
    mutant("does not know its batch mates", network=pieces.MeanOfPresentRelations),
    mutant("a batch equals one by one", predict=pieces.first_volume),
    mutant("training mode changes nothing", mutants.RunningStatistics),
    mutant("gives the same twice", mutants.Noise),
    mutant("forces are the slope of the energy", mutants.DetachedEdge),
    mutant("stress is the slope along strain", predict=pieces.pressure),
    mutant("slopes can be differentiated again", mutants.StaleSecondDerivative),
    mutant("the force loss moves every weight rightly", mutants.StaleWeightGradient),
    mutant("follows rotations and mirrors", mutants.Pseudoscalar),
    mutant("follows rotations and mirrors", mutants.OneComponent),
    mutant("follows rotations and mirrors", mutants.SinglePrecisionInside),
    mutant("features turn with the structure", mutants.Pseudovector),
    mutant("features turn with the structure", mutants.OneComponentKept),
    mutant("symmetric places are harmless", mutants.NormWithoutGuard),
    mutant("symmetric places are harmless", mutants.NormWithTinyGuard),
    mutant("single precision is close", mutants.Cancellation),
    mutant("does not mind the order of atoms", mutants.CountsIndices),
    mutant("does not mind the order of atoms", build=pieces.half_of_the_edges),
    mutant("does not know where the origin is", build=pieces.shift_reversed),
    mutant("a cell may be skewed or left handed", predict=pieces.signed_volume),
    mutant("supercells repeat", build=pieces.nearest_image_only),
    mutant("supercells repeat", build=pieces.twenty_seven_images),
    mutant("far copies add up", potential=pieces.PooledThenSquared),
    mutant("a lone atom has an energy and no force", readout=pieces.BareSqueeze),
    mutant("nothing has no energy", mutants.NeedsAnEdge),
    mutant("elements may be absent", mutants.DividesByAbsent),
    mutant("answers to its surroundings", mutants.Inert),
    mutant("halves with ghosts equal the whole", mutants.SecondShell),
    mutant("halves with ghosts equal the whole", network=pieces.WritesToNeighbors),
    mutant("grouped equals looped", mutants.MixesRelations),
    mutant("tied weights equal homogeneous", mutants.NumbersRelations, "hvnet"),
    mutant("names of elements do not matter", potential=pieces.KnowsAtomicNumbers),
    mutant("an unused element changes nothing", mutants.CountsRelations),
    mutant("does not mind the order of edges", mutants.LastMessageOnly),
    mutant("does not mind the order of edges", mutants.CountsPlaces),
    mutant("a neighbor leaves smoothly", mutants.LargestMessage),
    mutant("a neighbor leaves smoothly", mutants.RootOfTheWeight),
    mutant("a neighbor leaves smoothly", mutants.UpdateWithoutPresence),
    mutant("edges at the cutoff and beyond do nothing", mutants.WeightDividedOut),
    mutant("does not know its batch mates", mutants.CountsEdges),
    mutant("does not know its batch mates", potential=pieces.IndexInTheBatch),
    mutant("leaves its inputs as they are", mutants.ChangesFeaturesInPlace),
    mutant("leaves its inputs as they are", mutants.ChangesEdgesInPlace),
    mutant("gives the same twice", mutants.Remembers),
    mutant("gives the same twice", mutants.DropoutAlways),
    mutant("gives the same twice", mutants.ScalesToFirstCall),
    mutant("training mode changes nothing", mutants.Dropout),
    mutant("symmetric places are harmless", mutants.UnitVectors),
    mutant("forces are the slope of the energy", predict=pieces.swirl),
    mutant("single precision is close", predict=pieces.sum_in_single),
    mutant("single precision is close", mutants.DoubleInside),
    mutant("everything moves with the model", mutants.LooseTensor),
    mutant("everything moves with the model", mutants.BranchesOnData),
    mutant("halves with ghosts equal the whole", mutants.SqueezedEdge),
    mutant("every relation has weights of its own", mutants.Untyped),
    mutant("every relation has weights of its own", mutants.FirstRelationOnly),
    mutant("every weight has an effect", mutants.IdleWeight),
    mutant("every weight has an effect", mutants.DetachedWeight),
    mutant("features turn with the structure", mutants.QuadrupolesInAnotherOrder),
]


@pytest.mark.parametrize("wrong", MUTANTS, ids=[f"{m.name}-{m.law.replace(' ', '_')}" for m in MUTANTS])
def test_a_mistake_breaks_the_law_it_should(wrong: Mutant):
    with pytest.raises(LawBroken) as broken:
        LAWS[wrong.law](wrong.subject)
    assert wrong.law in str(broken.value)


@parametrize_laws([*subjects(Sound), Subject(mutants.Quadrupoles, "hpnet")])
def test_without_the_mistake_every_law_holds(law: Law, subject: Subject):
    law(subject)


@pytest.mark.slow
def test_a_mistake_under_the_compiler_breaks_its_law():
    with pytest.raises(LawBroken, match=r"compiled equals eager.*the violation is"):
        LAWS["compiled equals eager"](Subject(mutants.OtherWhenCompiled, "hpnet"))


def test_every_law_has_a_mistake_that_breaks_it():
    assert {wrong.law for wrong in MUTANTS} == {law.name for law in laws(slow=False)}
