"""What is put to the test: a subnet under a variant, made into a potential whose weights are all different."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from hermtk import registry
from hermtk.data.structure import Structure
from hermtk.errors import HermtkError
from hermtk.graph.build import build_graph
from hermtk.graph.graph import Graph
from hermtk.models.layers import make_layer
from hermtk.models.looped import Looped
from hermtk.models.network import Network
from hermtk.models.potential import Potential
from hermtk.models.variants import VARIANTS, variant
from hermtk.physics.derivatives import Prediction, predict
from hermtk.readouts.base import Readout
from hermtk.relations.base import Relation, RelationTable
from hermtk.subnets.base import Subnet, TypeBlindSubnet

CUTOFF = 4.0
_N_BASIS = 7
_MEAN_NEIGHBORS = 5.3


class Result(NamedTuple):
    """Energies [S] and shares [A] in eV, forces [A, 3] in eV/Angstrom, stress [S, 3, 3] in eV/Angstrom^3."""

    energy: Tensor
    energies: Tensor
    forces: Tensor
    stress: Tensor


@dataclass(frozen=True)
class Subject:
    """A subnet (a name of the registry or a class) under a variant, and how the rest of the potential is made.

    Attributes:
        subnet: name or class.
        variant: ``homogeneous``, ``hvnet``, ``hpnet``, ``htnet``, or a relation scheme by name.
        options: the subnet's options.
        relation: a relation scheme to use in place of the variant's.
        readout: the readout's class; the registry's ``energy`` if not given.
        channels: width of the features.
        layers: how many of them.
        dtype: precision in which laws are tried; those that only double precision can show are left out in single.
        looped: one module per relation, as it always is for a subnet that knows nothing of types.
        envelope, basis: names as in a model's configuration.
        network, potential, build, predict: the pieces around the subnet, for trying others.
    """

    subnet: str | type[Subnet] | type[TypeBlindSubnet]
    variant: str = "homogeneous"
    options: Mapping[str, Any] = field(default_factory=dict)
    relation: Relation | None = None
    readout: type[Readout] | None = None
    channels: int = 8
    layers: int = 2
    dtype: torch.dtype = torch.float64
    looped: bool = False
    envelope: str = "polynomial"
    basis: str = "bessel"
    network: type[Network] = Network
    potential: type[Potential] = Potential
    build: Callable[..., Graph] = build_graph
    predict: Callable[..., Prediction] = predict

    def __str__(self) -> str:
        name = self.subnet if isinstance(self.subnet, str) else self.subnet.__name__
        scheme = self.variant if self.relation is None else type(self.relation).__name__
        single = "" if self.dtype == torch.float64 else f"-{str(self.dtype).removeprefix('torch.')}"
        return f"{name}-{scheme}" + ("-looped" if self.looped else "") + single

    def make(self, elements: Sequence[int], *, dtype: torch.dtype | None = None, seed: int = 0) -> Potential:
        """A potential for some elements (atomic numbers); no two of its weights are alike, in no relation.

        Weights are drawn in float64 and then cast, so that they are the same in every precision.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            table = self.table(elements)
            layers = [self.layer(len(table)) for _ in range(self.layers)]
            readout = (self.readout or registry.find("readout", "energy"))(self.channels)
            network = self.network(
                table,
                layers,
                readout,
                channels=self.channels,
                cutoff=CUTOFF,
                basis=self.basis,
                n_basis=_N_BASIS,
                envelope=self.envelope,
                mean_neighbors=_MEAN_NEIGHBORS,
            )
            reference = dict(zip(elements, torch.randn(len(elements)).tolist(), strict=True))
            potential = self.potential(network, reference, 1.7).to(torch.float64)
            _disturb(potential)
        return potential.to(dtype or self.dtype).eval()

    def table(self, elements: Sequence[int]) -> RelationTable:
        """The relation scheme for some elements."""
        if self.relation is not None:
            return RelationTable(self.relation, elements)
        chosen = variant(self.variant)
        options = registry.checked_options("relation", chosen.relation, chosen.options)
        return RelationTable(registry.find("relation", chosen.relation)(**options), elements)

    def layer(self, relations: int) -> Subnet:
        """One layer with fresh weights."""
        if self.looped:
            return Looped([self.single(1) for _ in range(relations)])
        return self.single(relations)

    def single(self, relations: int) -> Subnet:
        """One module of the subnet's own class, with fresh weights."""
        subnet, options = self.subnet, self.options
        if isinstance(subnet, str):
            options = registry.checked_options("subnet", subnet, dict(options))
            subnet = registry.find("subnet", subnet)
        return make_layer(subnet, self.channels, relations, _N_BASIS + 1, options)

    def graph(self, structures: Structure | Sequence[Structure]) -> Graph:
        """The batch of structures, in float64."""
        return self.build(structures, CUTOFF)

    def result(self, potential: Potential, structures: Structure | Sequence[Structure] | Graph) -> Result:
        """Energies, forces and stress.

        Raises:
            HermtkError: the prediction lacks one of them.
        """
        graph = structures if isinstance(structures, Graph) else self.graph(structures)
        found = self.predict(potential, graph, stress=True)
        if found.energies is None or found.forces is None or found.stress is None:
            raise HermtkError(f"{self}: energies, forces and stress were asked for and not given")
        return Result(found.energy, found.energies, found.forces, found.stress)


def subjects(subnet: str | type[Subnet] | type[TypeBlindSubnet], **options: Any) -> list[Subject]:
    """A subnet under every variant."""
    return [Subject(subnet, name, options) for name in VARIANTS]


def every_subject(distribution: str | None = None) -> list[Subject]:
    """Every subnet of a distribution, or of all, under every variant; and every relation scheme that no variant names.

    Schemes with an option that has no default are left out: give them as ``relation``.
    """

    def own(kind: str) -> list[str]:
        return [name for name, e in registry.entries(kind).items() if distribution in (None, e.distribution)]

    named = {chosen.relation for chosen in VARIANTS.values()}
    schemes = [name for name in own("relation") if name not in named and _needs_no_option(name)]
    found = [subject for name in own("subnet") for subject in subjects(name)]
    return found + [Subject("painn", scheme) for scheme in schemes]


def _needs_no_option(scheme: str) -> bool:
    options = registry.options(registry.find("relation", scheme))
    return all(option.default is not option.empty for option in options.values())


def _disturb(potential: Potential) -> None:
    # typed weights start alike for all relations and biases at zero: laws would hold by accident
    with torch.no_grad():
        for weight in potential.parameters():
            size = weight.shape[-2] ** -0.5 if weight.ndim > 1 else 0.3
            weight.add_(0.5 * size * torch.randn_like(weight))
        scale = potential.network.scale
        scale.mul_(1 + 0.6 * (torch.rand_like(scale) - 0.5))
