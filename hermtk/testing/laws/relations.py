"""Typed weights: what splitting the edges by relation may do, and what it may not."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from hermtk.data.structure import Structure
from hermtk.models.looped import Looped, looped, typed_weights
from hermtk.models.potential import Potential
from hermtk.relations.base import RelationTable
from hermtk.relations.plain import Plain
from hermtk.subnets.base import Subnet
from hermtk.testing import structures
from hermtk.testing.law import Case, law
from hermtk.testing.laws.derivatives import force_loss
from hermtk.testing.measure import apart
from hermtk.testing.structures import ORGANIC
from hermtk.testing.subject import Subject
from hermtk.testing.weights import by_key, by_place, carry

_EXACT = 1e-10
# eV that other weights move an energy by, at least
_LEAST = 1e-6
_CARBON = (6, 6, 6, 6)


@law
def grouped_equals_looped(subject: Subject) -> Iterator[Case]:
    """One call on the union graph equals one module per relation: values, forces, gradients of a loss on forces."""
    grouped = subject.make(ORGANIC)
    if any(isinstance(layer, Looped) for layer in grouped.network.layers):
        return
    layers = [layer for layer in grouped.network.layers if isinstance(layer, Subnet)]
    one_by_one = deepcopy(grouped)
    one_by_one.network.layers = nn.ModuleList(looped(layer, lambda: subject.single(1)) for layer in layers)
    for structure, name in (
        (structures.molecule((6, 8, 1)), "three atoms"),
        (structures.molecule((6, 6, 1)), "an element absent"),
        (structures.crystal(), "a crystal"),
    ):
        here, there = (subject.result(potential, structure) for potential in (grouped, one_by_one))
        yield Case(f"{name}: energies", apart(here.energies, there.energies), _EXACT)
        yield Case(f"{name}: forces", apart(here.forces, there.forces), _EXACT)
        ours, theirs = (_gradients(subject, p, structure) for p in (grouped, one_by_one))
        for depth, layer in enumerate(layers):
            typed = typed_weights(layer, subject.single(1))
            for weight, _ in layer.named_parameters():
                single = [
                    theirs[f"network.layers.{depth}.subnets.{r}.{weight}"] for r in range(layer.relations)
                ]
                expected = torch.cat(single) if weight in typed else torch.stack(single).sum(0)
                gradient = ours[f"network.layers.{depth}.{weight}"]
                yield Case(
                    f"{name}: gradient of {weight}, layer {depth + 1}", apart(gradient, expected), 1e-9
                )


@law
def every_relation_has_weights_of_its_own(subject: Subject) -> Iterator[Case]:
    """Other weights for one relation change two atoms whose edges it holds, and no two atoms whose edges it does not hold."""
    potential = subject.make(ORGANIC)
    if len(potential.table) == 1:
        return
    pairs = [(a, b) for a in range(len(ORGANIC)) for b in range(a, len(ORGANIC))]
    two_atoms = [structures.line((ORGANIC[a], ORGANIC[b]), (1.2,)) for a, b in pairs]
    graph = subject.graph(two_atoms)
    held = [
        {*potential.table.relation[a, b].tolist(), *potential.table.relation[b, a].tolist()} for a, b in pairs
    ]
    before = subject.result(potential, graph).energy
    for relation, label in enumerate(potential.table.labels):
        other = deepcopy(potential)
        _renew(subject, other, relation)
        change = subject.result(other, graph).energy - before
        for row, own in enumerate(held):
            name, change_here = f"weights of {label}", abs(float(change[row]))
            if relation in own:
                missing = _LEAST / change_here if change_here else float("inf")
                yield Case(f"{name}, where they matter", missing, 1.0, two_atoms[row])
            else:
                yield Case(f"{name}, where they do not", change_here, _EXACT, two_atoms[row])


@law
def tied_weights_equal_homogeneous(subject: Subject) -> Iterator[Case]:
    """All relations with the weights of the homogeneous model and scale one: the homogeneous model's results.

    True wherever each centre has one relation: for centres always, for pairs in structures of one element, for triads in models
    of one element. Elsewhere an atom updates itself once per relation and no choice of weights undoes that.
    """
    control = replace(subject, relation=Plain())
    for elements, numbers, name in (
        ((6,), _CARBON, "a model of carbon"),
        (ORGANIC, _CARBON, "carbon alone in a model of three elements"),
        (ORGANIC, (6, 8, 1, 1, 6, 1), "three elements"),
    ):
        typed, plain = subject.make(elements), control.make(elements, seed=1)
        if not _one_relation_per_center(typed.table, numbers):
            continue
        carry(subject, plain, typed, [0] * len(typed.table), list(range(len(elements))))
        typed.network.scale.fill_(1.0)
        for structure in (structures.molecule(numbers), structures.crystal(numbers)):
            here, there = control.result(plain, structure), subject.result(typed, structure)
            yield Case(f"{name}: energies", apart(here.energies, there.energies), _EXACT)
            yield Case(f"{name}: forces", apart(here.forces, there.forces), _EXACT)


@law
def an_unused_element_changes_nothing(subject: Subject) -> Iterator[Case]:
    """One more element in the model's list, not in the structure, weights and scales of the other relations kept.

    In triads an edge A to B also stands in A-B-X for the absent X; there the scale of those relations is set to zero.
    """
    small, large = subject.make(ORGANIC), subject.make((8, 17, 1, 6), seed=1)
    kept = by_key(large.table, small.table)
    carry(subject, small, large, kept, [0, -1, 1, 2])
    old = torch.tensor([0, 2, 3])
    held = large.table.relation[old][:, old].unique().tolist()
    large.network.scale[[r for r in held if kept[r] < 0]] = 0.0
    for structure, name in ((structures.molecule(), "a molecule"), (structures.crystal(), "a crystal")):
        here, there = subject.result(small, structure), subject.result(large, structure)
        yield Case(f"{name}: energies", apart(here.energies, there.energies), _EXACT)
        yield Case(f"{name}: forces", apart(here.forces, there.forces), _EXACT)


@law
def names_of_elements_do_not_matter(subject: Subject) -> Iterator[Case]:
    """Other elements, or the same in another order in the list, with their weights: the same results.

    In triads the two sides go by atomic number, so there only relabellings that keep its order count.
    """
    potential = subject.make(ORGANIC)
    structure = structures.molecule()
    here = subject.result(potential, structure)
    for elements, name in (
        ((1, 6, 8), "the list in another order"),
        ((35, 3, 14), "other elements"),
        ((3, 35, 14), "other elements, heavy for light"),
    ):
        other = subject.make(elements, seed=1)
        same = set(elements) == set(ORGANIC)
        places = [ORGANIC.index(z) for z in elements] if same else [0, 1, 2]
        relations = by_key(other.table, potential.table) if same else by_place(other.table, potential.table)
        if relations is None:
            continue
        carry(subject, potential, other, relations, places)
        renamed = dict(zip([ORGANIC[place] for place in places], elements, strict=True))
        numbers = np.array([renamed[z] for z in structure.numbers.tolist()])
        there = subject.result(other, replace(structure, numbers=numbers))
        yield Case(f"{name}: energies", apart(here.energies, there.energies), _EXACT)
        yield Case(f"{name}: forces", apart(here.forces, there.forces), _EXACT)


def _renew(subject: Subject, potential: Potential, relation: int) -> None:
    """Other weights for one relation, in every layer."""
    random = torch.Generator().manual_seed(0)
    for layer in potential.network.layers:
        assert isinstance(layer, Subnet)
        if isinstance(layer, Looped):
            own = list(layer.subnets[relation].parameters())
        else:
            typed = typed_weights(layer, subject.single(1))
            own = [weight[relation] for name, weight in layer.named_parameters() if name in typed]
        with torch.no_grad():
            for weight in own:
                weight.add_(0.3 * torch.randn(weight.shape, generator=random).to(weight))


def _one_relation_per_center(table: RelationTable, numbers: tuple[int, ...]) -> bool:
    present = torch.tensor(sorted({table.elements.index(z) for z in numbers}))
    return all(len(table.relation[present, center].unique()) == 1 for center in present.tolist())


def _gradients(subject: Subject, potential: Potential, structure: Structure) -> dict[str, Tensor]:
    weights = dict(potential.named_parameters())
    loss = force_loss(subject, potential, subject.graph(structure))
    gradients = torch.autograd.grad(loss, list(weights.values()), materialize_grads=True, allow_unused=True)
    return dict(zip(weights, gradients, strict=True))
