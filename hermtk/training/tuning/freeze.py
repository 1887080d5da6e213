"""Parameters that stay as they are, by name."""

from collections.abc import Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase

from torch import nn

from hermtk.errors import ConfigError

# what the parameters of every model stand under
_PREFIX = "network."


def freeze(model: nn.Module, patterns: Sequence[str]) -> None:
    """Parameters that a pattern names want no gradient: nothing moves them."""
    frozen = set(frozen_names(model, patterns))
    for name, parameter in model.named_parameters():
        if name.removeprefix(_PREFIX) in frozen:
            parameter.requires_grad_(False)


def frozen_names(model: nn.Module, patterns: Sequence[str]) -> list[str]:
    """The parameters that patterns name: by a whole name, the beginning of one up to a dot, or ``*`` and ``?``.

    Raises:
        ConfigError: a pattern names none (offers the nearest names), or all are named.
    """
    names = parameter_names(model)
    chosen: set[str] = set()
    for pattern in patterns:
        wanted = pattern.removeprefix(_PREFIX)
        found = {name for name in names if fnmatchcase(name, wanted) or name.startswith(f"{wanted}.")}
        if not found:
            raise ConfigError(_no_such(pattern, names))
        chosen |= found
    if len(chosen) == len(names):
        raise ConfigError(
            f"start.freeze names every parameter ({', '.join(patterns)}): nothing is left to train"
        )
    return [name for name in names if name in chosen]


def parameter_names(model: nn.Module) -> list[str]:
    """Names of a model's parameters, without ``network.``, in its order."""
    return [name.removeprefix(_PREFIX) for name, _ in model.named_parameters()]


def _no_such(pattern: str, names: Sequence[str]) -> str:
    """What is wrong with a pattern, and the nearest that would be right."""
    beginnings = {".".join(name.split(".")[:k]) for name in names for k in range(1, name.count(".") + 2)}
    near = get_close_matches(pattern, sorted(beginnings), n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    # layers are named one by one
    parts = dict.fromkeys(".".join(name.split(".")[: 1 + name.startswith("layers.")]) for name in names)
    return (
        f"start.freeze: no parameter is named {pattern!r}.{hint} There are {', '.join(parts)}; all names: "
        "`hermtk show MODEL --parameters`"
    )
