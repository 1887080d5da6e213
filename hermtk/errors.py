"""Errors a user can cause. Each says what was wrong, with the value, and what would be right.

The library raises them; only the command line turns them into a paragraph of text and an exit status.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class HermtkError(Exception):
    """The base of every error that a user can cause: one paragraph, no traceback needed."""


class UnknownName(HermtkError):
    """A name that nothing answers to; offers the nearest one."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        near = get_close_matches(name, names, n=1, cutoff=0.5)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        listing = f" Known: {', '.join(names)}." if names else " None is known."
        super().__init__(f"no {kind} named {name!r}.{hint}{listing}")


class ConfigError(HermtkError):
    """A run configuration that cannot be used."""


class DataError(HermtkError):
    """Data that cannot be trusted: names the file, the frame and the value."""


class UnknownElement(HermtkError):
    """A structure holds an element that the model was not made for."""


class ModelFileError(HermtkError):
    """A model file that is damaged, newer than this version, or not one of ours."""


class RunError(HermtkError):
    """A run directory or an output that cannot be used or written."""


class PluginChanged(UserWarning):
    """A plugin is not quite the one that a file was made with."""


class RarelySeen(UserWarning):
    """A structure uses relations that the training of a model hardly saw."""
