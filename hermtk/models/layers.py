"""The layers of a model: one subnet for all relations, or several that share them out."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple

from ase.data import chemical_symbols

from hermtk import registry
from hermtk.errors import ConfigError
from hermtk.models.config import ModelConfig
from hermtk.models.looped import for_each_relation
from hermtk.models.mixed import Mixed
from hermtk.relations.base import RelationTable
from hermtk.subnets.base import Subnet, TypeBlindSubnet

_SHOWN = 6


class Share(NamedTuple):
    """A subnet by name, its complete options and the relations that it has, by their place in the relation table."""

    subnet: str
    options: dict[str, Any]
    relations: list[int]


def make_layers(config: ModelConfig, table: RelationTable) -> list[Subnet]:
    """Fresh layers of a model.

    Raises:
        UnknownName: a subnet, or an option of one, that does not exist.
        ConfigError: an override of a relation that does not exist, an option of the wrong type.
        HermtkError: subnets that cannot share one state.
    """
    shares = share_out(config, table)
    n_radial = config.n_basis + 1

    def layer() -> Subnet:
        parts = [
            make_layer(
                registry.find("subnet", share.subnet),
                config.channels,
                len(share.relations),
                n_radial,
                share.options,
            )
            for share in shares
        ]
        return parts[0] if len(parts) == 1 else Mixed(parts, [share.relations for share in shares])

    return [layer() for _ in range(config.layers)]


def make_layer(
    subnet: type[Any], channels: int, relations: int, n_radial: int, options: Mapping[str, Any]
) -> Subnet:
    """One layer of a subnet for some relations; of one that knows nothing of them a copy for each."""
    if issubclass(subnet, TypeBlindSubnet):
        return for_each_relation(subnet(channels, n_radial, **options), relations)
    return subnet(channels, relations, n_radial, **options)


def share_out(config: ModelConfig, table: RelationTable) -> list[Share]:
    """Which subnet has which relations: first what the model's own has left, then the others by name.

    Raises:
        UnknownName: a subnet, or an option of one, that does not exist.
        ConfigError: an override of a relation that does not exist or is named twice; an option of the wrong type.
    """
    chosen: dict[int, str] = {}
    said: dict[int, str] = {}
    options = override_options(config)
    for name, subnet in config.subnet_overrides.items():
        relation = _find_relation(name, config.variant, table)
        if relation in chosen:
            raise ConfigError(f"subnet_overrides: {said[relation]} and {name} are the same relation")
        chosen[relation], said[relation] = subnet, name
    left = [r for r in range(len(table)) if r not in chosen]
    own = Share(config.subnet, registry.checked_options("subnet", config.subnet, config.subnet_options), left)
    others = [
        Share(subnet, options[subnet], [r for r in sorted(chosen) if chosen[r] == subnet])
        for subnet in sorted(set(chosen.values()))
    ]
    return [own, *others] if left else others


def override_options(config: ModelConfig) -> dict[str, dict[str, Any]]:
    """The complete options of every subnet that overrides name.

    Raises:
        UnknownName: a subnet, or an option of one, that does not exist.
        ConfigError: options of a subnet that no override names; an option of the wrong type.
    """
    named = sorted(set(config.subnet_overrides.values()))
    for name in config.override_options:
        if name not in named:
            raise ConfigError(
                f"override_options are given for {name!r}, but subnet_overrides name {', '.join(named) or 'no subnet'}; "
                f"the options of the model's own subnet are subnet_options"
            )
    return {
        name: registry.checked_options("subnet", name, config.override_options.get(name, {}))
        for name in named
    }


def subnets_of(config: ModelConfig) -> list[str]:
    """The names of a model's subnets, its own first."""
    return list(dict.fromkeys([config.subnet, *sorted(config.subnet_overrides.values())]))


def subnets_in_words(config: ModelConfig) -> str:
    """A model's subnets and what they are for: ``painn; unite for Pt, O``."""
    relations: dict[str, list[str]] = {}
    for relation, name in config.subnet_overrides.items():
        relations.setdefault(name, []).append(relation)
    return "; ".join([config.subnet, *(f"{name} for {', '.join(them)}" for name, them in relations.items())])


def any_type_blind(config: ModelConfig) -> bool:
    """Whether a subnet of the model knows nothing of relations."""
    return any(issubclass(registry.find("subnet", name), TypeBlindSubnet) for name in subnets_of(config))


def _find_relation(name: str, variant: str, table: RelationTable) -> int:
    """The relation of a name; from left to right or, where that is none, from right to left."""
    if table.keys == [()]:
        raise ConfigError(
            f"subnet_overrides: {name!r} cannot have a subnet of its own, for {variant} has a single relation; "
            "choose hvnet, hpnet or htnet"
        )
    for written in (name, "-".join(reversed(name.split("-")))):
        if written in table.labels:
            return table.labels.index(written)
    near = get_close_matches(name, table.labels, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    elements = ", ".join(chemical_symbols[z] for z in table.elements)
    raise ConfigError(
        f"subnet_overrides: {variant} has no relation {name!r} between the elements {elements}.{hint} "
        f"Its {len(table)} relations: {_some(table.labels)}."
    )


def _some(labels: Sequence[str]) -> str:
    return ", ".join([*labels[:_SHOWN], "..."] if len(labels) > _SHOWN else labels)
