"""Fine-tuning: a run that begins with the weights of a model file."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase.data import chemical_symbols
from torch import Tensor

from hermtk.audit.coverage import Coverage
from hermtk.data.dataset import file_digest
from hermtk.data.elements import symbols
from hermtk.data.splits import Split
from hermtk.data.statistics import ReferenceEnergies, elements_of
from hermtk.data.targets import ENERGY, Target
from hermtk.errors import ConfigError, RunError, UnknownElement
from hermtk.graph.build import build_graph
from hermtk.graph.graph import Graph
from hermtk.models.files import ModelFile, load_model
from hermtk.models.model import Model
from hermtk.models.potential import Potential
from hermtk.models.property import Property
from hermtk.physics.derivatives import Prediction, predict
from hermtk.relations.union import UnionGraph
from hermtk.training.config import RunConfig
from hermtk.training.data.batches import Labelled, join, together
from hermtk.training.data.prepare import Prepared, Statistics, references_from
from hermtk.training.data.targets import fit_target
from hermtk.training.tuning.freeze import frozen_names
from hermtk.training.tuning.shift import shifted

# structures that predictions are compared on before training
_COMPARED = 8
# eV per atom between labels and predictions from which another method is a likelier reason than errors
_FAR = 0.1


@dataclass(frozen=True)
class Start:
    """The model file that a run begins with."""

    path: Path
    digest: str
    file: ModelFile

    def adopted(self, config: RunConfig) -> RunConfig:
        """The configuration with the file's architecture and target.

        Raises:
            ConfigError: a key that was given contradicts the file; says both values.
        """
        own = self.file.config
        for key in sorted(config.model.model_fields_set):
            given, there = getattr(config.model, key), getattr(own, key)
            if not _agrees(given, there):
                raise ConfigError(
                    f"model.{key} is {given!r}, but {self.path} has {there!r}: fine-tuning keeps the architecture of the "
                    f"model it begins with. Leave model.{key} out"
                )
        target = self.file.target.name
        if "target" in config.data.model_fields_set and config.data.target != target:
            raise ConfigError(
                f"data.target is {config.data.target!r}, but {self.path} was trained on {target!r}: a readout cannot be tuned to "
                "another quantity. Leave data.target out"
            )
        _check_references(config, self.file.target)
        # a pattern that means nothing is refused before data are read
        frozen_names(self.file.model, config.start.freeze)
        data = config.data.model_copy(update={"target": target})
        return config.model_copy(update={"model": own, "data": data})

    def statistics(
        self, config: RunConfig, target: Target, split: Split, items: Sequence[Labelled]
    ) -> Statistics:
        """Elements, scale and neighbours of the file; its references, or new ones.

        New references are the file's plus the shift of each element that fits best, by least squares over the training set,
        what labels differ by from the file's predictions. Elements that the set does not have keep theirs.

        Raises:
            UnknownElement: the data hold elements that the model does not know.
            DataError: references that cannot be had.
        """
        model = self.file.model
        _check_elements(self.path, model, split)
        known = {z: float(e) for z, e in zip(model.elements, model.reference, strict=True)}
        kept = ReferenceEnergies(known, len(known), f"those of {self.path}")
        references = references_from(config.data.references, split.train, model.elements) or kept
        if config.start.references == "new" and not config.data.references:
            references = shifted(kept, self.file.potential.to(config.device), items)
            model.to("cpu")
        spread = 1.0
        if target != ENERGY:
            spread = fit_target(config.model, target, split.train, model.elements, references).spread
        return Statistics(
            model.elements, references, float(model.scale), model.network.mean_neighbors, spread
        )

    @property
    def seen(self) -> Coverage | None:
        """What the file's model was trained on, if it says so."""
        seen = self.file.facts.get("seen")
        return Coverage.from_facts(seen) if seen else None

    def put_into(self, model: Model) -> None:
        """Give a model of the same architecture the file's weights; it keeps its references."""
        own = model.reference.clone()
        model.load_state_dict(self.file.model.state_dict())
        model.reference.copy_(own)

    def verify(self, model: Model, data: Prepared) -> str:
        """Compare the run's model on structures of the new data with the file's alone, from structure to prediction; in words.

        Both are computed on the CPU, where sums are deterministic, the run's with the file's references.

        Raises:
            RunError: they are not identical to the last bit.
        """
        structures = [data.train[k] for k in range(min(_COMPARED, len(data.train)))]
        if model.network.readout.whole:
            structures = structures[:1]
        graph = build_graph(structures, self.file.model.cutoff)
        alone = _predicted(self.file.model, graph)
        # as the file's: weights that are differentiated may be multiplied in another way
        ours = copy.deepcopy(model).cpu().eval().requires_grad_(False)
        same_references = torch.equal(ours.reference, self.file.model.reference)
        batch = join(ours, [data.items[k] for k in range(len(structures))])
        with _references(ours, self.file.model.reference):
            loaded = _predicted(ours, batch.graph, batch.union)
        pairs = [(alone.energy, loaded.energy), (alone.forces, loaded.forces), (alone.stress, loaded.stress)]
        worst = max(_difference(a, b) for a, b in pairs)
        if worst != 0.0:
            raise RunError(
                f"the model in this run does not predict what {self.path} predicts: they differ by {worst:.1e} on the first "
                f"{len(structures)} structures. Nothing was trained"
            )
        what = "energies, forces and stresses" if data.target == ENERGY else f"values of {data.target.name}"
        shift = "" if same_references else ", but for the new references"
        return f"{what} of {len(structures)} structures are those of {self.path} to the last bit{shift}"

    def doubt(self, data: Prepared) -> str:
        """A sentence where the labels are far from what the run begins with; else empty."""
        if data.target != ENERGY:
            return ""
        model = copy.deepcopy(self.file.model)
        with _references(model, torch.tensor(list(data.reference.values()), dtype=torch.float64)):
            some = together(data.items, np.arange(min(_COMPARED, len(data.items))))
            sizes = torch.bincount(some.graph.structure)
            off = (some.energy - _predicted(model, some.graph).energy) / sizes
        far = float(off.abs().nanmedian())
        if not far > _FAR:
            return ""
        return (
            f"the energies of the data are {far:.3g} eV per atom from those of the model: if they come from another method or "
            "code, --new-references (start.references: new) takes off what each element differs by"
        )

    def facts(self, config: RunConfig, said: str) -> dict[str, Any]:
        """Where the run began, with the file's own account of where it comes from."""
        frozen = frozen_names(self.file.model, config.start.freeze)
        # what was seen is counted on in the new file
        own = {name: fact for name, fact in self.file.facts.items() if name not in ("coverage", "seen")}
        return {
            "model": str(self.path),
            "sha256": self.digest,
            "references": config.start.references or ("given" if config.data.references else "keep"),
            "frozen": frozen,
            "verified": said,
            "facts": own,
        }


def open_start(config: RunConfig) -> Start | None:
    """The model file that a run begins with; None where weights are drawn.

    Raises:
        ModelFileError: it cannot be used.
    """
    if config.start.model is None:
        return None
    path = Path(config.start.model)
    if path.is_dir():
        path = path / "model.pt"
    file = load_model(path)
    return Start(path, file_digest(path), file)


def statistics_of(facts: Mapping[str, Any]) -> Statistics:
    """The statistics that a run wrote down when it began, so that it is resumed without the file."""
    found = facts["statistics"]
    named = found["reference_energies" if facts["target"]["name"] == ENERGY.name else "references"]
    references = {chemical_symbols.index(symbol): float(value) for symbol, value in named.items()}
    return Statistics(
        tuple(references),
        ReferenceEnergies(references, len(references), found["reference_energies_from"]),
        float(found["scale"]),
        float(found["mean_neighbors"]),
        float(facts["target"]["spread"]),
    )


def _agrees(given: Any, there: Any) -> bool:
    """Whether a value says the same as the file's, as far as it says something."""
    if isinstance(given, Mapping) and isinstance(there, Mapping):
        return all(key in there and _agrees(value, there[key]) for key, value in given.items())
    return given is None or given == there


def _check_references(config: RunConfig, target: Target) -> None:
    wanted, given = config.start.references, config.data.references
    if wanted == "keep" and given:
        raise ConfigError("start.references is keep, but data.references gives others: leave one of them out")
    if wanted == "new" and target != ENERGY:
        raise ConfigError(
            f"start.references: new shifts energies per element; a model of {target.name} keeps its references, or takes "
            "those of data.references"
        )


def _check_elements(path: Path, model: Model, split: Split) -> None:
    here: set[int] = set()
    for part in (split.train, split.validation, split.test):
        here |= set(elements_of(part))
    if strange := sorted(here - set(model.elements)):
        raise UnknownElement(
            f"the data hold {', '.join(symbols(strange))}; {path} knows {', '.join(symbols(model.elements))}. Fine-tuning adds "
            "no element: nothing in the file says how a new one meets the others. Leave those structures out, or train a "
            "fresh model on old and new data"
        )


def _predicted(model: Model, graph: Graph, union: UnionGraph | None = None) -> Prediction:
    """Everything that a model gives."""
    if isinstance(model, Potential):
        return predict(model, graph, union, stress=True)
    if isinstance(model, Property):
        with torch.no_grad():
            return Prediction(model(graph, union), None)
    raise TypeError(f"{type(model).__name__} is no model of hermtk")


def _difference(one: Tensor | None, other: Tensor | None) -> float:
    """0 where two results are identical, NaN being itself; else how far they are apart, infinity where that cannot be said."""
    if one is None or other is None:
        return 0.0 if one is other else np.inf
    if torch.equal(one, other):
        return 0.0
    far = float((one - other).abs().max()) if one.shape == other.shape else np.inf
    return far if far > 0 else np.inf


@contextmanager
def _references(model: Model, values: Tensor) -> Iterator[None]:
    """The model has these references inside the block."""
    own = model.reference
    model.reference = values.to(own.device)
    try:
        yield
    finally:
        model.reference = own
