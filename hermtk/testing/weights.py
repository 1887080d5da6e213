"""Carrying weights from one potential to another whose relations or elements differ."""

import torch
from torch import Tensor, nn

from hermtk.models.looped import Looped, typed_weights
from hermtk.models.potential import Potential
from hermtk.relations.base import RelationTable
from hermtk.testing.subject import Subject


def carry(
    subject: Subject, source: Potential, target: Potential, relations: list[int], elements: list[int]
) -> None:
    """Overwrite the weights of ``target`` by those of ``source``.

    Args:
        subject: how both were made.
        source: where the weights come from.
        target: where they go.
        relations: for each relation of the target the one of the source it takes after, -1 to leave it as it is.
        elements: likewise for elements, by their place in the lists.
    """
    with torch.no_grad():
        for new, old in zip(target.network.layers, source.network.layers, strict=True):
            _carry_layer(subject, old, new, relations)
        _take(target.network.scale, source.network.scale, relations)
        _take(target.network.embedding.weight, source.network.embedding.weight, elements)
        _take(target.reference, source.reference, elements)
        target.network.readout.load_state_dict(source.network.readout.state_dict())


def by_key(new: RelationTable, old: RelationTable) -> list[int]:
    """For each relation of ``new`` the relation of ``old`` with the same key, -1 where there is none."""
    place = {key: r for r, key in enumerate(old.keys)}
    return [place.get(key, -1) for key in new.keys]


def by_place(new: RelationTable, old: RelationTable) -> list[int] | None:
    """The same where elements correspond by their place in the lists; None where the schemes do not match place by place."""
    if new.relation.shape != old.relation.shape or not torch.equal(new.side, old.side):
        return None
    pairs = set(zip(new.relation.flatten().tolist(), old.relation.flatten().tolist(), strict=True))
    found = dict(pairs)
    return [found[r] for r in range(len(new))] if len(pairs) == len(new) == len(old) else None


def _carry_layer(subject: Subject, old: nn.Module, new: nn.Module, relations: list[int]) -> None:
    if isinstance(old, Looped) and isinstance(new, Looped):
        for subnet, place in zip(new.subnets, relations, strict=True):
            if place >= 0:
                subnet.load_state_dict(old.subnets[place].state_dict())
        return
    alone = subject.single(1)
    typed = typed_weights(new, alone) | typed_weights(old, alone)
    theirs = old.state_dict()
    for name, weight in new.state_dict().items():
        _take(weight, theirs[name], relations if name in typed else None)


def _take(weight: Tensor, source: Tensor, rows: list[int] | None) -> None:
    if rows is None:
        weight.copy_(source)
        return
    for row, place in enumerate(rows):
        if place >= 0:
            weight[row] = source[place]
