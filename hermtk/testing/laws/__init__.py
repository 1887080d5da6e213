"""The laws, by subject matter; ``LAWS`` holds them all."""

from hermtk.testing.law import Law
from hermtk.testing.laws import (
    batching,
    derivatives,
    limits,
    numerics,
    parallel,
    relations,
    size,
    smoothness,
    symmetry,
)

_MODULES = (symmetry, batching, derivatives, smoothness, size, limits, relations, parallel, numerics)

LAWS: tuple[Law, ...] = tuple(
    thing for module in _MODULES for thing in vars(module).values() if isinstance(thing, Law)
)
