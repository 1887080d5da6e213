"""A structure's result is its own: it does not depend on what it is computed together with, or after."""

from collections.abc import Iterator
from dataclasses import fields

import torch

from hermtk.graph.graph import Graph, edge_vectors
from hermtk.testing import structures
from hermtk.testing.law import Case, law
from hermtk.testing.measure import apart
from hermtk.testing.structures import ORGANIC
from hermtk.testing.subject import Result, Subject

_EXACT = 1e-10


@law
def does_not_know_its_batch_mates(subject: Subject) -> Iterator[Case]:
    """The first of a batch is the same whatever elements stand in the others."""
    potential = subject.make(ORGANIC)
    for numbers in ((1, 1), (6, 1), (8, 6), (6, 8, 1, 1, 6, 1)):
        first = structures.molecule(numbers)
        alone = subject.result(potential, first)
        for mates in ((1, 1), (8, 8, 6), (6, 8, 1, 1, 8, 6, 6)):
            together = subject.result(potential, [first, structures.molecule(mates, seed=5)])
            case = f"elements {numbers} beside {mates}"
            yield Case(f"{case}: energy", apart(alone.energy, together.energy[:1]), _EXACT)
            yield Case(f"{case}: forces", apart(alone.forces, together.forces[: len(first)]), _EXACT)


@law
def a_batch_equals_one_by_one(subject: Subject) -> Iterator[Case]:
    """Molecules, a lone atom, two crystals, a slab and nothing at all, together and one at a time."""
    potential = subject.make(ORGANIC)
    several = [
        structures.molecule(),
        structures.lone(8),
        structures.crystal(),
        structures.nothing(),
        structures.slab(),
        structures.crystal((1, 8)),
        structures.molecule((1, 6, 1), seed=2),
    ]
    together = subject.result(potential, several)
    alone = [subject.result(potential, one) for one in several]
    for name, tensor in together._asdict().items():
        yield Case(
            f"seven structures: {name}", apart(torch.cat([getattr(a, name) for a in alone]), tensor), _EXACT
        )


@law
def training_mode_changes_nothing(subject: Subject) -> Iterator[Case]:
    """No statistics of batches, no dropout: the same result before, in and after training mode."""
    potential = subject.make(ORGANIC)
    first, other = structures.molecule(), structures.crystal()
    before = subject.result(potential.eval(), first)
    in_training = subject.result(potential.train(), first)
    yield Case("training mode", apart(before.energy, in_training.energy), _EXACT)
    subject.result(potential, [other, first])
    yield Case(
        "training mode, after others", apart(before.energy, subject.result(potential, first).energy), _EXACT
    )
    yield Case(
        "evaluation, after training",
        apart(before.forces, subject.result(potential.eval(), first).forces),
        _EXACT,
    )


@law
def gives_the_same_twice(subject: Subject) -> Iterator[Case]:
    """The same graph gives the same bits, whatever came before, and neither it nor the weights are changed by use."""
    potential = subject.make(ORGANIC)
    graph = subject.graph([structures.molecule(), structures.crystal()])
    kept = [getattr(graph, entry.name).clone() for entry in fields(Graph)]
    weights = {name: value.clone() for name, value in potential.state_dict().items()}
    first, second = subject.result(potential, graph), subject.result(potential, graph)
    yield Case("once and again", float(not _equal(first, second)), 0.5)
    experienced = subject.make(ORGANIC)
    subject.result(experienced, structures.crystal((1, 8)))
    third = subject.result(experienced, graph)
    yield Case("as the first and after another structure", float(not _equal(first, third)), 0.5)
    changed = [not torch.equal(getattr(graph, e.name), k) for e, k in zip(fields(Graph), kept, strict=True)]
    yield Case("the graph before and after", float(any(changed)), 0.5)
    moved = [not torch.equal(value, weights[name]) for name, value in potential.state_dict().items()]
    yield Case("the weights before and after", float(any(moved)), 0.5)


@law
def leaves_its_inputs_as_they_are(subject: Subject) -> Iterator[Case]:
    """A layer changes neither features nor edges in place: all relations read the same, and so does the sum of their changes."""
    potential = subject.make(ORGANIC)
    network, graph = potential.network, subject.graph(structures.molecule())
    union = potential.relate(graph.numbers, graph.center, graph.neighbor)
    edges = network.edges(edge_vectors(graph).to(potential.dtype), union)
    features = network.start(potential.element_index(graph.numbers))
    with torch.no_grad():
        for depth, layer in enumerate(network.layers, start=1):
            given = [*features, *vars(edges.geometry).values(), edges.presence]
            kept = [value.clone() for value in given]
            layer(features, edges)
            changed = [not torch.equal(now, then) for now, then in zip(given, kept, strict=True)]
            yield Case(f"layer {depth}: features", float(any(changed[: len(features)])), 0.5)
            yield Case(f"layer {depth}: edges", float(any(changed[len(features) :])), 0.5)
            features = network.step(layer, features, edges, graph.n_atoms)


def _equal(first: Result, second: Result) -> bool:
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
