"""From a published network to a model of hermtk that computes the same, and whose file needs this plugin."""

from collections.abc import Sequence

import torch
from ase.data import chemical_symbols
from pydantic import ValidationError

from hermtk.data.elements import number_of, symbols
from hermtk.errors import ModelFileError
from hermtk.models.build import build_model
from hermtk.models.config import ModelConfig
from hermtk.models.potential import Potential
from hermtk_rmconv.original import Network

VARIANTS = {"HVNet": "hvnet", "HTNet": "htnet"}
PARTS = ("ms1", "ms2", "mv", "us1", "us2")


def transfer(
    network: Network, *, elements: Sequence[str] | None = None, dtype: str = "float32"
) -> tuple[Potential, ModelConfig]:
    """The same function as a model of hermtk: the subnet ``rmconv`` with its mean over relations, the read-out ``pooled``.

    The same in the structures both can compute: the published network also takes elements without relations of their own, and
    sees no more than one image of a neighbour. Energies are relative to the mean of the training set.

    Args:
        network: HVNet or HTNet.
        elements: symbols, the model's order; the network's own if absent.
        dtype: float32 or float64.

    Raises:
        ModelFileError: the elements are not those of the network, or hermtk has no such model (less than 4 features).
        UnknownName: there is no such element or dtype.
    """
    wanted = _elements(network, elements)
    try:
        config = ModelConfig(
            subnet="rmconv",
            variant=VARIANTS[network.kind],
            subnet_options={
                "kind": network.kind,
                "cutoff": float(network.cutoff),
                "n_functions": network.n_basis,
                "average": True,
            },
            readout="pooled",
            readout_options={"intensive": network.intensive},
            channels=network.embed.embedding_dim,
            layers=network.depth,
            cutoff=network.cutoff,
            n_basis=1,
            dtype=dtype,
        )
    except ValidationError as problem:
        first = problem.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ModelFileError(
            f"hermtk has no such model: {where} = {first['input']}: {first['msg']}"
        ) from None
    with torch.random.fork_rng(devices=[]):
        potential = build_model(config, wanted)
    with torch.no_grad():
        _fill(potential, network)
    return potential.eval(), config


def _elements(network: Network, given: Sequence[str] | None) -> tuple[int, ...]:
    chosen = tuple(given or network.elements)
    if sorted(chosen) != sorted(network.elements):
        numbers = [number_of(symbol) for symbol in chosen]
        raise ModelFileError(
            f"the weights have relations of {', '.join(network.elements)}; the elements given are {', '.join(symbols(numbers))}"
        )
    return tuple(number_of(symbol) for symbol in chosen)


def _fill(potential: Potential, network: Network) -> None:
    ours = potential.network
    # the subnet itself takes the mean over relations
    ours.scale.fill_(1.0)
    ours.embedding.weight.copy_(network.embed.weight[list(potential.elements)])
    for number, layer in enumerate(ours.layers, start=1):
        mods = network.get_submodule(f"hermconv{number}.mods")
        for relation, key in enumerate(potential.table.keys):
            theirs = mods.get_submodule(_name(key, network))
            for part in PARTS:
                single, typed = theirs.get_submodule(part), layer.get_submodule(part)
                typed.get_parameter("weight")[relation] = single.get_parameter("weight").T
                typed.get_parameter("bias")[relation] = single.get_parameter("bias")
    ours.readout.get_submodule("fc").load_state_dict(network.fc.state_dict())


def _name(key: tuple[int, ...], network: Network) -> str:
    """How the published weights call a relation: the sides of a triad stand in the order of their list."""
    parts = [chemical_symbols[number] for number in key]
    place = network.elements.index
    return "-".join(parts if place(parts[0]) <= place(parts[-1]) else parts[::-1])
