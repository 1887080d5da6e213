"""Weights of the published layout: ``embed.weight``, ``hermconvN.mods.RELATION.PART.weight``, ``fc.0.weight`` and so on."""

import math
import pickle
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from ase.data import chemical_symbols
from torch import Tensor

from hermtk.errors import ConfigError, ModelFileError
from hermtk_rmconv.formulas import EPS
from hermtk_rmconv.original import Kind, Network, relation_names

_RELATION = re.compile(r"hermconv([1-9]\d{0,3})\.mods\.([^.]+)\.(?:ms1|ms2|mv|us1|us2)\.(?:weight|bias)")
_OTHERS = {"embed.weight", "fc.0.weight", "fc.0.bias", "fc.3.weight", "fc.3.bias"}
_WANTED = (
    "wanted is a bare state dict of HVNet or HTNet: tensors by name, such as hermconv1.mods.H.ms1.weight"
)


class Layout(NamedTuple):
    """What names and shapes of weights say of their network: ``elements`` are symbols in the order of the names."""

    kind: Kind
    elements: tuple[str, ...]
    features: int
    n_basis: int
    layers: int


def read_weights(path: Path | str) -> dict[str, Tensor]:
    """Tensors by name from a file of ``torch.save``, or an ``.npz`` (names may begin with ``sd/``); nothing in it is run.

    Raises:
        ModelFileError: the file is missing or damaged, holds more than tensors by name, or numbers that are not finite.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelFileError(f"there is no file of weights {path}")
    weights = _from_npz(path) if path.suffix == ".npz" else _from_torch(path)
    bad = [name for name, value in weights.items() if not bool(torch.isfinite(value).all())]
    if bad:
        raise ModelFileError(f"{path}: {bad[0]} holds numbers that are not finite")
    return weights


def layout(weights: Mapping[str, Tensor]) -> Layout:
    """The network that weights belong to.

    Raises:
        ModelFileError: they are not of the published layout.
    """
    matches = {name: _RELATION.fullmatch(name) for name in weights}
    strange = sorted(name for name, match in matches.items() if match is None and name not in _OTHERS)
    missing = sorted(_OTHERS - set(weights))
    if strange or missing or not any(matches.values()):
        what = strange or missing or ["hermconv1.mods."]
        problem = "is unknown" if strange else "is missing"
        raise ModelFileError(f"these are no weights of the published HermNet: {what[0]} {problem}; {_WANTED}")
    found = [(int(match[1]), match[2]) for match in matches.values() if match]
    relation = found[0][1]
    names = {name for _, name in found}
    first = f"hermconv{found[0][0]}.mods.{relation}.mv.weight"
    for name in ("embed.weight", first):
        if name not in weights or weights[name].ndim != 2 or not weights[name].numel():
            raise ModelFileError(
                f"these are no weights of the published HermNet: {name} is not there as a matrix"
            )
    kind: Kind = "HTNet" if "-" in relation else "HVNet"
    elements, layers, have = _elements(names), len({layer for layer, _ in found}), set(found)
    wanted = relation_names(kind, elements)
    gone = next(((n, name) for n in range(1, layers + 1) for name in wanted if (n, name) not in have), None)
    if gone:
        raise ModelFileError(
            f"the weights are not complete: hermconv{gone[0]}.mods.{gone[1]} is missing; {kind} of {', '.join(elements)} "
            f"has {len(wanted)} relations in each of its {layers} layers"
        )
    return Layout(kind, elements, weights["embed.weight"].shape[1], weights[first].shape[1], layers)


def network_of(
    weights: Mapping[str, Tensor], *, cutoff: float = 5.0, intensive: bool = False, eps: float = EPS
) -> Network:
    """The network with these weights, in their precision, ready for evaluation.

    Args:
        weights: of the published layout; they hold neither of the following.
        cutoff: Angstrom.
        intensive: whether atoms are pooled by their mean.
        eps: the constant under every length.

    Raises:
        ModelFileError: the weights are not of the published layout, not complete, or of other shapes.
        ConfigError: the cut-off is no length.
    """
    if not 0 < cutoff < math.inf:
        raise ConfigError(f"cutoff = {cutoff}: wanted is a length in Angstrom, above zero")
    kind, elements, features, n_basis, layers = layout(weights)
    # without memory of its own until it gets the weights
    with torch.device("meta"):
        network = Network(
            kind, elements, features=features, n_basis=n_basis, layers=layers, cutoff=cutoff,
            intensive=intensive, eps=eps,
        )  # fmt: skip
    expected = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    if problem := _misfit(weights, expected):
        raise ModelFileError(
            f"the weights fit no {kind} of {', '.join(elements)} with {features} features: {problem}"
        )
    dtype = weights["embed.weight"].dtype
    own = {name: value.detach().to(dtype, copy=True) for name, value in weights.items()}
    network.load_state_dict(own, assign=True)
    return network.eval()


def _misfit(weights: Mapping[str, Tensor], expected: Mapping[str, tuple[int, ...]]) -> str:
    """The first weight that is missing, unknown or of another shape, in words; empty if all fit."""
    for name, shape in expected.items():
        if name not in weights:
            return f"{name} is missing"
        if tuple(weights[name].shape) != shape:
            return f"{name} has the shape {tuple(weights[name].shape)}, wanted is {shape}"
    unknown = sorted(set(weights) - set(expected))
    return f"{unknown[0]} is unknown" if unknown else ""


def _elements(names: set[str]) -> tuple[str, ...]:
    """Elements in the order of the list that named the relations: an earlier one stands first in more triads."""
    parts = [name.split("-") for name in sorted(names)]
    if {len(part) for part in parts} not in ({1}, {3}):
        raise ModelFileError(f"these relations name neither elements nor triads: {', '.join(sorted(names))}")
    symbols = {symbol for part in parts for symbol in part}
    unknown = sorted(symbols - set(chemical_symbols[1:]))
    if unknown:
        raise ModelFileError(f"the weights name relations of {unknown[0]!r}, which is no element")
    first = Counter(part[0] for part in parts)
    return tuple(sorted(symbols, key=lambda symbol: (-first[symbol], chemical_symbols.index(symbol))))


def _from_npz(path: Path) -> dict[str, Tensor]:
    try:
        with np.load(path, allow_pickle=False) as file:
            names = [name for name in file.files if name.startswith("sd/")] or file.files
            arrays = {name.removeprefix("sd/"): file[name] for name in names}
    except Exception as problem:
        raise ModelFileError(f"{path} is no npz of plain arrays: {_first_line(problem)}") from None
    wrong = [
        name
        for name, array in arrays.items()
        if array.dtype.kind != "f" or array.dtype.itemsize not in (2, 4, 8)
    ]
    if wrong or not arrays:
        raise ModelFileError(f"{path} holds {wrong[0] if wrong else 'nothing'}, {_WANTED}")
    # torch takes numbers in this machine's byte order only
    return {
        name: torch.from_numpy(array.astype(array.dtype.newbyteorder("="))) for name, array in arrays.items()
    }


def _from_torch(path: Path) -> dict[str, Tensor]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise ModelFileError(
            f"{path} was refused: it is damaged, or holds more than tensors and plain values, so that opening it "
            f"could run code from it; {_WANTED}"
        ) from None
    except Exception as problem:
        raise ModelFileError(
            f"{path} cannot be read by torch.load: {_first_line(problem)}; {_WANTED}"
        ) from None
    if not isinstance(content, Mapping) or not content:
        raise ModelFileError(f"{path} holds {type(content).__name__}, {_WANTED}")
    wrong = [
        name
        for name, value in content.items()
        if not (isinstance(value, Tensor) and value.is_floating_point() and value.layout == torch.strided)
    ]
    if wrong or not all(isinstance(name, str) for name in content):
        raise ModelFileError(
            f"{path} holds {wrong[0] if wrong else 'names'!r} that is no tensor of numbers, {_WANTED}"
        )
    return dict(content)


def _first_line(problem: Exception) -> str:
    return str(problem).splitlines()[0] if str(problem) else type(problem).__name__
