"""What is measured: a training step or an inference of one subnet under one variant on one system."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from hermtk import registry
from hermtk.benchmark.systems import System, structures
from hermtk.errors import HermtkError, UnknownName
from hermtk.graph.graph import batch
from hermtk.kernels.library import compiler_missing
from hermtk.models.build import DTYPES, build_model
from hermtk.models.config import ModelConfig
from hermtk.models.layers import make_layer
from hermtk.models.looped import looped
from hermtk.models.potential import Potential
from hermtk.models.variants import variant
from hermtk.physics.compiled import CompiledPotential
from hermtk.physics.derivatives import Prediction, predict
from hermtk.subnets.base import Subnet
from hermtk.training.config import LossConfig, TrainingConfig
from hermtk.training.data.batches import Labelled, join, mean_neighbors, prepare
from hermtk.training.loss import Loss
from hermtk.training.optimise import make_optimizers
from hermtk.training.step import make_step

Job = Literal["training", "inference"]
Call = Callable[[], Prediction]

# so small that every step starts from as good as the same weights, large enough for no weight to become subnormal
_LEARNING_RATE = 1e-12
# torch compiles one function (here: energy and slopes, whatever the model) no more than 8 times by default
_MOST_COMPILED = 256


@dataclass(frozen=True)
class Settings:
    """What all cases of a benchmark share.

    Attributes:
        channels, layers: size of the model.
        cutoff: Angstrom.
        dtype: float32 or float64.
        device: cpu, cuda or mps.
        threads: CPU threads.
    """

    channels: int = 64
    layers: int = 3
    cutoff: float = 5.0
    dtype: str = "float32"
    device: str = "cpu"
    threads: int = 1


@dataclass(frozen=True)
class Case:
    """One thing to measure.

    Attributes:
        subnet, variant: names as in a config.
        system: what it runs on; its elements are the model's.
        job: training (forward, forces, loss on both, backward, AdamW; the batch is there already) or inference (edges by
            relation, energy, forces; the neighbour list is there already).
        compiled: energy and forces by one compiled graph.
        looped: one module per relation, run one after the other, in place of typed layers.
    """

    subnet: str
    variant: str
    system: System
    job: Job
    compiled: bool = False
    looped: bool = False

    @property
    def how(self) -> str:
        """How it is run."""
        return "looped" if self.looped else "compiled" if self.compiled else "grouped"

    def __str__(self) -> str:
        return f"{self.subnet} {self.variant} {self.how}, {self.job}, {self.system.name}, {self.system.n_elements} elements"


@dataclass(frozen=True)
class Workload:
    """A case ready to run.

    Attributes:
        potential: the model.
        n_edges: directed edges of the system.
        call: one step or one inference.
    """

    potential: Potential
    n_edges: int
    call: Call


def check_names(subnets: Sequence[str], variants: Sequence[str], settings: Settings) -> None:
    """Refuse what does not exist before anything is measured.

    Raises:
        UnknownName: a subnet, variant or precision.
    """
    for name in subnets:
        registry.find("subnet", name)
    for name in variants:
        variant(name)
    if settings.dtype not in DTYPES:
        raise UnknownName("dtype", settings.dtype, DTYPES)


def check_compiler() -> None:
    """Refuse to compile where there is no compiler.

    Raises:
        HermtkError: says what was looked for.
    """
    if missing := compiler_missing():
        raise HermtkError(f"models cannot be compiled here: {missing}; leave --compile out")


def cases_of(
    subnets: Sequence[str],
    variants: Sequence[str],
    groups: Sequence[Sequence[System]],
    jobs: Sequence[Job],
    *,
    compiled: bool = False,
    against_looped: bool = False,
) -> list[list[Case]]:
    """Every combination, in the groups that are measured by turns: one group per job and geometry.

    Args:
        subnets: names.
        variants: names.
        groups: systems of the same geometry, which differ in their elements.
        jobs: training, inference.
        compiled: each also compiled.
        against_looped: each also with one module per relation.
    """

    def ways(subnet: str, name: str, system: System, job: Job) -> list[Case]:
        found = [Case(subnet, name, system, job)]
        if compiled:
            found.append(Case(subnet, name, system, job, compiled=True))
        if against_looped:
            found.append(Case(subnet, name, system, job, looped=True))
        return found

    return [
        [
            case
            for subnet in subnets
            for name in variants
            for system in systems
            for case in ways(subnet, name, system, job)
        ]
        for job in jobs
        for systems in groups
    ]


def workload(case: Case, settings: Settings, seed: int = 0) -> Workload:
    """The model, the data and the call of a case.

    Raises:
        HermtkError: the subnet's weights cannot be told apart by relation, for a looped case; or, by the call, a step that
            cannot be compiled.
    """
    items = prepare(structures(case.system), settings.cutoff)
    if case.compiled:
        import torch._dynamo

        torch._dynamo.config.recompile_limit = _MOST_COMPILED
    potential = _model(case, settings, items, seed).to(settings.device)
    edges = sum(item.graph.n_edges for item in items)
    make = _training_step if case.job == "training" else _inference
    return Workload(potential, edges, make(case, potential, items))


def _model(case: Case, settings: Settings, items: Sequence[Labelled], seed: int) -> Potential:
    config = ModelConfig(
        subnet=case.subnet,
        variant=case.variant,
        channels=settings.channels,
        layers=settings.layers,
        cutoff=settings.cutoff,
        dtype=settings.dtype,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        potential = build_model(config, case.system.elements, mean_neighbors=mean_neighbors(items))
        if case.looped:
            layers = [layer for layer in potential.network.layers if isinstance(layer, Subnet)]
            potential.network.layers = nn.ModuleList(
                looped(layer, lambda layer=layer: _single(case.subnet, layer)) for layer in layers
            )
    return potential


def _single(name: str, layer: Subnet) -> Subnet:
    options = registry.checked_options("subnet", name, {})
    return make_layer(registry.find("subnet", name), layer.channels, 1, layer.n_radial, options)


def _training_step(case: Case, potential: Potential, items: Sequence[Labelled]) -> Call:
    step = make_step(potential, forces=True, stress=False, compiled=case.compiled, note=_refuse)
    loss = Loss(LossConfig(), stress_weight=0.0)
    optimizers = make_optimizers(
        potential.train(), TrainingConfig(optimizer="adamw", learning_rate=_LEARNING_RATE)
    )
    joined = join(potential, items).to(potential.device)

    def call() -> Prediction:
        prediction = step(joined)
        optimizers.zero_grad()
        loss(prediction, joined).backward()
        optimizers.step()
        return prediction

    return call


def _inference(case: Case, potential: Potential, items: Sequence[Labelled]) -> Call:
    potential.eval().requires_grad_(False)
    graph = batch([item.graph for item in items]).to(potential.device)
    if case.compiled:
        fast = CompiledPotential(potential, _refuse)
        return lambda: fast.predict(graph)
    return lambda: predict(potential, graph)


def _refuse(text: str) -> None:
    """An eager step must not be taken for a compiled one."""
    raise HermtkError(text.removesuffix("; it goes on without compiling"))
