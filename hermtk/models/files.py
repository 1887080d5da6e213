"""Model files: everything needed to use a model later, and nothing that runs.

A file holds plain values and tensors (``torch.load(weights_only=True)``): format version, model config, element list, weights,
training statistics, units, provenance and probe structures with reference outputs, checked again at every load.
"""

import pickle
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from ase.data import chemical_symbols
from pydantic import ValidationError

from hermtk import __version__
from hermtk.data.targets import ENERGY, Target, find_target
from hermtk.errors import HermtkError, ModelFileError
from hermtk.files import write_tensors
from hermtk.graph.graph import Graph
from hermtk.models.build import build_for, readout_of
from hermtk.models.config import ModelConfig
from hermtk.models.layers import subnets_of
from hermtk.models.potential import Potential
from hermtk.models.property import Property
from hermtk.models.variants import variant
from hermtk.plugins import Need, check_needs, needs

# the highest that is read; potentials are written in 1, so that older versions go on reading them, properties in 2
FORMAT = 2
_POTENTIAL, _PROPERTY = 1, 2
MAGIC = "hermtk model"
UNITS = {"energy": "eV", "length": "Angstrom", "forces": "eV/Angstrom", "stress": "eV/Angstrom^3"}


@dataclass(frozen=True)
class ModelFile:
    """A model and what its file says of it.

    Attributes:
        model: ready to use.
        config: how it was built.
        facts: JSON-like values: provenance, statistics, coverage.
        needs: the components it is made of and what they come from.
    """

    model: Potential | Property
    config: ModelConfig
    facts: Mapping[str, Any] = field(default_factory=dict)
    needs: Sequence[Need] = ()

    @property
    def target(self) -> Target:
        """What the model gives."""
        return self.model.target if isinstance(self.model, Property) else ENERGY

    @property
    def potential(self) -> Potential:
        """The model, where it gives energies.

        Raises:
            ModelFileError: it gives another property.
        """
        if isinstance(self.model, Property):
            raise ModelFileError(
                f"this model gives {self.target.written}, not the energy: it has no forces, and cannot move atoms. "
                "`hermtk predict` and `hermtk evaluate` use it"
            )
        return self.model


def save_model(
    path: Path, model: Potential | Property, config: ModelConfig, facts: Mapping[str, Any] | None = None
) -> None:
    """Write a model file at once or not at all.

    Raises:
        RunError: the file cannot be written.
    """
    target = model.target if isinstance(model, Property) else ENERGY
    config = config.model_copy(update={"readout": readout_of(config, target)})
    content = {
        "magic": MAGIC,
        "format": _POTENTIAL,
        "version": __version__,
        "config": config.model_dump(mode="json"),
        "elements": [chemical_symbols[z] for z in model.elements],
        "mean_neighbors": model.network.mean_neighbors,
        "units": UNITS,
        "needs": model_needs(config),
        "facts": dict(facts or {}),
        "weights": {name: value.detach().cpu() for name, value in model.state_dict().items()},
        "probes": _probe(model),
    }
    if isinstance(model, Property):
        described = {"name": target.name, "unit": target.unit, "kind": target.kind}
        content |= {"format": _PROPERTY, "target": described, "units": {target.name: target.unit}}
    write_tensors(path, content)


def load_model(path: Path | str, device: str = "cpu") -> ModelFile:
    """Read a model file without running anything from it, and check that it still gives what it gave.

    Raises:
        ModelFileError: the file is missing, damaged, newer than this version, needs a plugin that is not
            installed, or its probe structures no longer give the stored energies.

    Warns:
        PluginChanged: a plugin is not the one that the file was made with.
    """
    path = Path(path)
    content = _content(path)
    try:
        check_needs(path, content["needs"])
    except HermtkError as problem:
        raise ModelFileError(str(problem)) from None
    config = _config(path, content)
    elements = tuple(chemical_symbols.index(symbol) for symbol in content["elements"])
    try:
        with torch.random.fork_rng(devices=[]):
            model = build_for(_target(content), config, elements, mean_neighbors=content["mean_neighbors"])
        model.load_state_dict(content["weights"])
    except HermtkError as problem:
        raise ModelFileError(f"{path} (hermtk {content['version']}) cannot be rebuilt: {problem}") from None
    except RuntimeError as problem:
        raise ModelFileError(
            f"the weights in {path} do not fit its config: {str(problem).splitlines()[0]}"
        ) from None
    model.eval().requires_grad_(False)
    _check_probes(path, model, content["probes"])
    return ModelFile(model.to(device), config, content["facts"], content["needs"])


def model_needs(config: ModelConfig) -> list[Need]:
    """The components a model is made of, and what they come from; the readout is the energy's if none is named.

    Raises:
        UnknownName: there is no such component.
    """
    relation = variant(config.variant).relation
    subnets = [("subnet", name) for name in subnets_of(config)]
    return needs([*subnets, ("relation", relation), ("readout", config.readout or readout_of(config))])


def _target(content: Mapping[str, Any]) -> Target:
    """What a file's model gives; the energy of files that do not say."""
    if "target" not in content:
        return ENERGY
    described = content["target"]
    known = find_target(described["name"])
    return known if known.kind else Target(**described, names=(described["name"],))


def _content(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ModelFileError(f"there is no model file {path}")
    strange = f"{path} is damaged or no model file of hermtk"
    with path.open("rb") as file:
        if file.read(2) not in (b"PK", b"\x80\x02", b"\x80\x04", b"\x80\x05"):
            raise ModelFileError(strange)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as problem:
        if "weights only" not in str(problem).lower():
            raise ModelFileError(strange) from None
        raise ModelFileError(
            f"{path} was refused: it holds more than values and tensors, so opening it could run code from it"
        ) from None
    except Exception as problem:
        first = str(problem).splitlines()[0] if str(problem) else type(problem).__name__
        raise ModelFileError(f"{strange}: {first}") from None
    if not isinstance(content, dict) or content.get("magic") != MAGIC:
        raise ModelFileError(f"{path} is no model file of hermtk")
    if content["format"] > FORMAT:
        raise ModelFileError(
            f"{path} has format {content['format']} (hermtk {content['version']}); this is hermtk "
            f"{__version__}, which reads formats up to {FORMAT}: upgrade hermtk"
        )
    return content


def _config(path: Path, content: dict[str, Any]) -> ModelConfig:
    try:
        return ModelConfig.model_validate(content["config"])
    except ValidationError as problem:
        first = problem.errors()[0]
        raise ModelFileError(
            f"{path} (hermtk {content['version']}) describes its model in a way this version does not know: "
            f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        ) from None


def _probe(model: Potential | Property) -> list[dict[str, Any]]:
    """Small clusters of the model's elements, fixed by the element list, with their energies or values."""
    generator = torch.Generator().manual_seed(len(model.elements))
    probes = []
    for size in (1, 2, 5):
        choice = torch.randint(len(model.elements), (size,), generator=generator)
        numbers = torch.tensor(model.elements)[choice]
        grid = torch.cartesian_prod(*[torch.arange(2.0, dtype=torch.float64)] * 3)[:size]
        positions = 0.35 * model.cutoff * (grid + 0.2 * torch.rand(size, 3, generator=generator))
        energies = _of_cluster(model, numbers, positions)
        probes.append({"numbers": numbers, "positions": positions, "energies": energies})
    return probes


def _of_cluster(model: Potential | Property, numbers: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """The energies of a cluster's atoms, or its one value."""
    distances = torch.cdist(positions, positions)
    center, neighbor = torch.nonzero((distances < model.cutoff) & (distances > 0), as_tuple=True)
    device = model.device
    numbers, center, neighbor = numbers.to(device), center.to(device), neighbor.to(device)
    union = model.relate(numbers, center, neighbor)
    if isinstance(model, Property):
        one = torch.zeros_like(numbers)
        cell, shift = positions.new_zeros(1, 3, 3), positions.new_zeros(len(center), 3)
        graph = Graph(numbers, positions.to(device), one, cell.to(device), center, neighbor, shift.to(device))
        with torch.no_grad():
            return model(graph, union).cpu()
    vectors = (positions[neighbor.cpu()] - positions[center.cpu()]).to(device, model.dtype)
    with torch.no_grad():
        return model(numbers, vectors, center, neighbor, union, len(numbers)).cpu()


def _check_probes(path: Path, model: Potential | Property, probes: list[dict[str, Any]]) -> None:
    tolerance = 1e-9 if model.dtype == torch.float64 else 1e-3
    for probe in probes:
        found = _of_cluster(model, probe["numbers"], probe["positions"])
        scale = 1 + float((probe["energies"] - model.reference.cpu().mean()).abs().max())
        off = float((found - probe["energies"]).abs().max()) / scale
        if not off <= tolerance:
            raise ModelFileError(
                f"{path} no longer gives the energies stored in it (relative difference {off:.1e}, allowed {tolerance:.0e}): "
                "the file is damaged, or the installed torch or plugin computes something else"
            )
