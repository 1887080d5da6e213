"""What every model is: a network for a list of elements, with references and a scale in float64."""

from dataclasses import replace

import torch
from ase.data import chemical_symbols
from jaxtyping import Int
from torch import Tensor, nn

from hermtk.errors import UnknownElement
from hermtk.models.network import Network
from hermtk.relations.base import RelationTable
from hermtk.relations.union import UnionGraph, divide, unite

_MOST_ELEMENTS = 119


class Model(nn.Module):
    """A network with a reference per element and the scale of its shares, in the unit of what it gives."""

    index: Tensor
    reference: Tensor
    scale: Tensor

    def __init__(self, network: Network, reference: dict[int, float], scale: float = 1.0) -> None:
        """``reference``: per element, by atomic number; ``scale``: what the network's share of order one stands for."""
        super().__init__()
        self.network = network
        index = torch.full((_MOST_ELEMENTS,), -1)
        index[list(self.elements)] = torch.arange(len(self.elements))
        self.register_buffer("index", index, persistent=False)
        self.register_buffer(
            "reference", torch.tensor([reference[z] for z in self.elements], dtype=torch.float64)
        )
        self.register_buffer("scale", torch.tensor(scale, dtype=torch.float64))

    @property
    def table(self) -> RelationTable:
        """The relation scheme for this model's elements."""
        return self.network.table

    @property
    def elements(self) -> tuple[int, ...]:
        """Atomic numbers in the order fixed when the model was made."""
        return self.network.table.elements

    @property
    def cutoff(self) -> float:
        """Angstrom."""
        return self.network.cutoff

    @property
    def dtype(self) -> torch.dtype:
        """The precision of the weights; vectors are cast to it."""
        return self.network.embedding.weight.dtype

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.network.embedding.weight.device

    def _apply(self, fn, recurse: bool = True):
        # references and scale stay in float64 whatever the network's precision
        kept = {name: getattr(self, name) for name in ("reference", "scale")}
        super()._apply(fn, recurse)
        for name, value in kept.items():
            setattr(self, name, value.to(getattr(self, name).device))
        return self

    def element_index(self, numbers: Int[Tensor, " atoms"]) -> Int[Tensor, " atoms"]:
        """The place of each atom's element in the model's list.

        Raises:
            UnknownElement: an element the model was not made for.
        """
        # a batch is put together where its atoms are, wherever the weights are
        found = self.index.to(numbers.device)[numbers]
        if bool((found < 0).any()):
            strange = [chemical_symbols[z] for z in numbers[found < 0].unique().tolist()]
            known = ", ".join(chemical_symbols[z] for z in self.elements)
            raise UnknownElement(
                f"the model knows the elements {known}; the structure holds {', '.join(strange)}"
            )
        return found

    def relate(
        self,
        numbers: Int[Tensor, " atoms"],
        center: Int[Tensor, " edges"],
        neighbor: Int[Tensor, " edges"],
    ) -> UnionGraph:
        """The edges by relation: depends on elements and edges only, so a fixed set computes it once."""
        union = unite(self.table, self.element_index(numbers), center, neighbor)
        groups = self.network.groups
        return union if groups is None else replace(union, shares=divide(union, groups))
