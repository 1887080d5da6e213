"""From a model's description to the model."""

import torch

from hermtk import registry
from hermtk.data.targets import ENERGY, Target
from hermtk.errors import ConfigError, UnknownName
from hermtk.models.config import ModelConfig
from hermtk.models.layers import make_layers
from hermtk.models.network import Network
from hermtk.models.potential import Potential
from hermtk.models.property import Property
from hermtk.models.variants import variant
from hermtk.nn.cutoff import ENVELOPES
from hermtk.nn.radial import BASES
from hermtk.readouts.base import StructureReadout
from hermtk.relations.base import RelationTable

DTYPES = {"float32": torch.float32, "float64": torch.float64}
# how a target follows from the atoms -> the readout that does so
_READOUTS = {"extensive": "energy", "intensive": "intensive", "dipole": "dipole", "extent": "extent"}
_GROWS = "it grows with the number of atoms"
_DOES_NOT_GROW = "it does not grow with the number of atoms"
_CONTRADICTIONS = {
    ("extensive", "intensive"): f"{_GROWS}, a mean over atoms does not",
    ("extensive", "dipole"): f"{_GROWS}, the length of a dipole does not",
    ("extensive", "extent"): f"{_GROWS}, a second moment grows faster",
    ("intensive", "energy"): f"{_DOES_NOT_GROW}, a sum over atoms does",
    ("intensive", "dipole"): "it is not the length of a vector, and can be negative",
    ("intensive", "extent"): f"{_DOES_NOT_GROW}, a second moment does",
    ("dipole", "energy"): "the dipoles of atoms have directions, a sum of numbers per atom has none",
    ("dipole", "extent"): "a dipole is a first moment of charges, not a second one",
    ("extent", "intensive"): f"{_GROWS}, a mean over atoms does not",
    ("extent", "dipole"): "the extent is a second moment of electrons, not a first one",
}


def build_model(
    config: ModelConfig,
    elements: tuple[int, ...],
    *,
    reference: dict[int, float] | None = None,
    scale: float = 1.0,
    mean_neighbors: float = 1.0,
) -> Potential:
    """A fresh potential; weights are drawn from torch's global generator.

    Args:
        config: what the user chose.
        elements: atomic numbers in the order the model keeps.
        reference: eV per element; zeros if not given.
        scale: eV, the size of an atom's share.
        mean_neighbors: of the training set.

    Raises:
        UnknownName: a component or option that does not exist.
        ConfigError: an option of the wrong type, an override of a relation that does not exist, a readout of properties.
    """
    network = make_network(config, elements, ENERGY, mean_neighbors)
    energies = reference or dict.fromkeys(elements, 0.0)
    return Potential(network, energies, scale, config.zbl).to(DTYPES[config.dtype])


def build_property(
    config: ModelConfig,
    elements: tuple[int, ...],
    target: Target,
    *,
    reference: dict[int, float] | None = None,
    scale: float = 1.0,
    mean_neighbors: float = 1.0,
) -> Property:
    """The same for a target other than the energy, in whose unit ``reference`` and ``scale`` are.

    Raises:
        UnknownName: a component or option that does not exist.
        ConfigError: as ``build_model``; a readout that cannot give this target, a repulsion.
    """
    if config.zbl:
        raise ConfigError(f"model.zbl is a repulsion energy: it cannot be added to {target.name}")
    network = make_network(config, elements, target, mean_neighbors)
    references = reference or dict.fromkeys(elements, 0.0)
    return Property(network, target, references, scale).to(DTYPES[config.dtype])


def build_for(
    target: Target,
    config: ModelConfig,
    elements: tuple[int, ...],
    *,
    reference: dict[int, float] | None = None,
    scale: float = 1.0,
    mean_neighbors: float = 1.0,
) -> Potential | Property:
    """A potential for the energy, a property for any other target: see ``build_model`` and ``build_property``."""
    if target == ENERGY:
        return build_model(config, elements, reference=reference, scale=scale, mean_neighbors=mean_neighbors)
    return build_property(
        config, elements, target, reference=reference, scale=scale, mean_neighbors=mean_neighbors
    )


def make_network(
    config: ModelConfig, elements: tuple[int, ...], target: Target, mean_neighbors: float = 1.0
) -> Network:
    """A fresh network with the readout for a target.

    Raises:
        UnknownName, ConfigError: as ``build_model``.
    """
    for kind, name, known in (
        ("radial basis", config.basis, BASES),
        ("envelope", config.envelope, ENVELOPES),
        ("dtype", config.dtype, DTYPES),
    ):
        if name not in known:
            raise UnknownName(kind, name, known)
    chosen = variant(config.variant)
    relation_options = registry.checked_options(
        "relation", chosen.relation, {**chosen.options, **config.relation_options}
    )
    scheme = registry.find("relation", chosen.relation)(**relation_options)
    table = RelationTable(scheme, elements)
    layers = make_layers(config, table)
    name = readout_of(config, target)
    readout_options = registry.checked_options("readout", name, config.readout_options)
    readout = registry.find("readout", name)(config.channels, **readout_options)
    return Network(
        table,
        layers,
        readout,
        channels=config.channels,
        cutoff=config.cutoff,
        basis=config.basis,
        n_basis=config.n_basis,
        envelope=config.envelope,
        mean_neighbors=mean_neighbors,
    )


def readout_of(config: ModelConfig, target: Target = ENERGY) -> str:
    """The name of a model's readout: the one that is chosen, else the one for the target.

    Raises:
        UnknownName: there is no such readout.
        ConfigError: a readout that contradicts what is known of the target; nothing is known and none is chosen.
    """
    if config.readout is None:
        if target.kind in _READOUTS:
            return _READOUTS[target.kind]
        raise ConfigError(
            f"hermtk does not know whether {target.name} grows with the structure: set model.readout to energy (a sum over "
            "atoms) or to intensive (a mean over atoms)"
        )
    structural = issubclass(registry.find("readout", config.readout), StructureReadout)
    if target == ENERGY and structural:
        raise ConfigError(
            f"the readout {config.readout!r} reads a property of whole structures, and the target is the energy: leave "
            "model.readout out, or give the target with --target (data.target)"
        )
    if reason := _CONTRADICTIONS.get((target.kind, config.readout)):
        raise ConfigError(
            f"the readout {config.readout!r} cannot give {target.name}: {reason}. Leave model.readout out: it is then "
            f"{_READOUTS[target.kind]!r}"
        )
    return config.readout
