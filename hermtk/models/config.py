"""What the user chooses of a model."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


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
    readout: str | None = Field(
        default=None,
        description="what is read from the features: see `hermtk list readout`; the target's if absent",
    )
    readout_options: dict[str, Any] = Field(default_factory=dict, description="see `hermtk show READOUT`")
    channels: int = Field(default=64, ge=4, description="width of the features")
    layers: int = Field(default=3, ge=1, description="message-passing layers")
    cutoff: float = Field(default=5.0, gt=0, description="Angstrom")
    basis: str = Field(default="bessel", description="radial basis: bessel or gaussian")
    n_basis: int = Field(default=7, ge=1, description="radial functions")
    envelope: str = Field(default="polynomial", description="polynomial, or cosine (kinks in the forces)")
    zbl: bool = Field(default=False, description="short-range nuclear repulsion")
    dtype: str = Field(default="float32", description="float32 or float64")
