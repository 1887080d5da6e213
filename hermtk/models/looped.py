"""One module per relation, run one after the other: the obvious form of what typed layers do in one call.

A reference for tests, and the way to run a subnet that knows nothing of types: one copy of it per relation.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from itertools import pairwise

import torch
from torch import Tensor, nn

from hermtk.errors import HermtkError
from hermtk.relations.union import Rows, UnionGraph
from hermtk.subnets.base import Edges, Features, Subnet, TypeBlindSubnet


class Looped(Subnet):
    """A subnet for each relation; each sees only its relation's slice of the union graph, as if there were no other."""

    def __init__(self, subnets: Sequence[Subnet]) -> None:
        """``subnets``: one per relation, in the order of the relation table, each built with ``relations=1``."""
        first = subnets[0]
        super().__init__(first.channels, len(subnets), first.n_radial)
        self.subnets = nn.ModuleList(subnets)
        self._l_max = max(subnet.l_max for subnet in subnets)
        self._l_angular = max(subnet.l_angular for subnet in subnets)

    @property
    def l_max(self) -> int:
        return self._l_max

    @property
    def l_angular(self) -> int:
        return self._l_angular

    def forward(self, features: Features, edges: Edges) -> Features:
        """The changes of each relation's centre slots, one relation after the other."""
        if self.relations == 1:
            return self.subnets[0](features, edges)
        none = tuple(f[:0] for f in features)
        changes = [none] + [
            self.subnets[relation](features, part) for relation, part in _parts(edges, self.relations)
        ]
        return tuple(torch.cat(orders) for orders in zip(*changes, strict=True))


class Alone(Subnet):
    """A layer that knows nothing of relations, on the union graph of a single one."""

    def __init__(self, layer: TypeBlindSubnet) -> None:
        super().__init__(layer.channels, 1, layer.n_radial)
        self.layer = layer

    @property
    def l_max(self) -> int:
        return self.layer.l_max

    @property
    def l_angular(self) -> int:
        return self.layer.l_angular

    def forward(self, features: Features, edges: Edges) -> Features:
        """What the layer makes of the atoms that send and those that receive."""
        senders = tuple(f.index_select(0, edges.union.source_atom) for f in features)
        receivers = tuple(f.index_select(0, edges.union.center_atom) for f in features)
        return self.layer(senders, receivers, edges)


def one_by_one(model: nn.Module) -> bool:
    """Whether a part of a model runs once per relation, with more than one of them."""
    return any(isinstance(module, Looped) and module.relations > 1 for module in model.modules())


def for_each_relation(layer: TypeBlindSubnet, relations: int) -> Looped:
    """A copy of a layer for each relation, alike at the start as typed weights are."""
    return Looped([Alone(deepcopy(layer)) for _ in range(relations)])


def looped(grouped: Subnet, fresh: Callable[[], Subnet]) -> Looped:
    """The same function as ``grouped``, relation by relation; what is so already is left as it is.

    Args:
        grouped: a subnet made of typed layers.
        fresh: makes one of the same class and options with ``relations=1``; what it holds is overwritten.
    """
    if isinstance(grouped, Looped):
        return grouped
    return Looped([_only(relation, grouped, fresh()) for relation in range(grouped.relations)])


def typed_weights(grouped: nn.Module, alone: nn.Module) -> set[str]:
    """Names of the weights that ``grouped`` holds once per relation, seen by comparing it with one of a single relation.

    Raises:
        HermtkError: the two do not differ in the number of relations alone.
    """
    many, one = grouped.state_dict(), alone.state_dict()
    typed = {name for name in many if name in one and many[name].shape != one[name].shape}
    strange = set(many) ^ set(one) | {
        name for name in typed if one[name].shape[:1] != (1,) or many[name].shape[1:] != one[name].shape[1:]
    }
    if strange:
        raise HermtkError(
            f"cannot tell the relations' weights apart in {', '.join(sorted(strange))}: "
            "a weight is shared or has one row per relation"
        )
    return typed


def _only(relation: int, grouped: Subnet, alone: Subnet) -> Subnet:
    typed = typed_weights(grouped, alone)
    weights = grouped.state_dict()
    own = {name: w[relation : relation + 1] if name in typed else w for name, w in weights.items()}
    alone = alone.to(next(iter(weights.values())))
    alone.load_state_dict(own)
    return alone.train(grouped.training)


def _parts(edges: Edges, relations: int) -> list[tuple[int, Edges]]:
    """The relations that hold edges, each with what its own subnet sees."""
    union = edges.union
    stops = [[0, *rows.ends.tolist()] for rows in (union.edges, union.sources, union.centers)]
    k, p, q = ([slice(*ends) for ends in pairwise(stop)] for stop in stops)
    return [(r, _part(edges, k[r], p[r], q[r])) for r in range(relations) if k[r].stop > k[r].start]


def _part(edges: Edges, k: slice, p: slice, q: slice) -> Edges:
    union = edges.union
    return Edges(
        UnionGraph(
            edge=union.edge[k],
            center=union.center[k] - q.start,
            neighbor=union.neighbor[k] - p.start,
            neighbor_atom=union.neighbor_atom[k],
            center_atom=union.center_atom[q],
            source_atom=union.source_atom[p],
            center_of_source=torch.where(
                union.center_of_source[p] < 0, -1, union.center_of_source[p] - q.start
            ),
            side=None if union.side is None else union.side[k],
            mixed=None if union.mixed is None else union.mixed[q],
            edges=_one_relation(union.edges.relation[k]),
            sources=_one_relation(union.sources.relation[p]),
            centers=_one_relation(union.centers.relation[q]),
        ),
        edges.geometry,
        edges.presence[q],
    )


def _one_relation(relation: Tensor) -> Rows:
    ends = torch.full((1,), len(relation), dtype=torch.int32, device=relation.device)
    return Rows(torch.zeros_like(relation), ends)
