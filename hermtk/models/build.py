"""From a model's description to the model."""

from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field

from hermtk import registry
from hermtk.errors import UnknownName
from hermtk.models.layers import make_layers
from hermtk.models.network import Network
from hermtk.models.potential import Potential
from hermtk.models.variants import variant
from hermtk.nn.cutoff import ENVELOPES
from hermtk.nn.radial import BASES
from hermtk.relations.base import RelationTable

DTYPES = {"float32": torch.float32, "float64": torch.float64}


class ModelConfig(BaseModel):
    """What the user chooses of a model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    subnet: str = Field(default="painn", description="sub-network: see `hermtk list`")
    variant: str = Field(
        default="hvnet", description="homogeneous, hvnet, hpnet, htnet, or a relation scheme by name"
    )
    subnet_options: dict[str, Any] = Field(default_factory=dict, description="see `hermtk show SUBNET`")
    subnet_overrides: dict[str, str] = Field(
        default_factory=dict,
        description="other sub-networks for single relations, e.g. {Pt: unite, H-H: painn}",
    )
    override_options: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="options of the sub-networks in subnet_overrides, by name"
    )
    relation_options: dict[str, Any] = Field(default_factory=dict, description="e.g. ordered for pairs")
    readout: str = Field(default="energy", description="what is read from the features")
    readout_options: dict[str, Any] = Field(default_factory=dict, description="see `hermtk show READOUT`")
    channels: int = Field(default=64, ge=4, description="width of the features")
    layers: int = Field(default=3, ge=1, description="message-passing layers")
    cutoff: float = Field(default=5.0, gt=0, description="Angstrom")
    basis: str = Field(default="bessel", description="radial basis: bessel or gaussian")
    n_basis: int = Field(default=7, ge=1, description="radial functions")
    envelope: str = Field(default="polynomial", description="polynomial, or cosine (kinks in the forces)")
    zbl: bool = Field(default=False, description="short-range nuclear repulsion")
    dtype: str = Field(default="float32", description="float32 or float64")


def build_model(
    config: ModelConfig,
    elements: tuple[int, ...],
    *,
    reference: dict[int, float] | None = None,
    scale: float = 1.0,
    mean_neighbors: float = 1.0,
) -> Potential:
    """A fresh model; weights are drawn from torch's global generator.

    Args:
        config: what the user chose.
        elements: atomic numbers in the order the model keeps.
        reference: eV per element; zeros if not given.
        scale: eV, the size of an atom's share.
        mean_neighbors: of the training set.

    Raises:
        UnknownName: a component or option that does not exist.
        ConfigError: an option of the wrong type, an override of a relation that does not exist.
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
    readout_options = registry.checked_options("readout", config.readout, config.readout_options)
    readout = registry.find("readout", config.readout)(config.channels, **readout_options)
    network = Network(
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
    energies = reference or dict.fromkeys(elements, 0.0)
    return Potential(network, energies, scale, config.zbl).to(DTYPES[config.dtype])
