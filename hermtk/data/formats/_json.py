"""Values beside the labels as JSON: numbers, words, truth values, arrays and lists of them. Nothing else is made when it is read.

An array is ``{"__ndarray__": [shape, type, values]}``, as ASE writes it.
"""

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from hermtk.errors import DataError

_ARRAY = "__ndarray__"
_TYPES = {
    "bool",
    *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)),
    "float32",
    "float64",
}
_SCALARS = (str, bool, int, float, type(None))


def dumps(info: Mapping[str, Any]) -> str:
    """The text of ``info``, without the values that it cannot hold."""
    return json.dumps(kept(info), ensure_ascii=True)


def kept(info: Mapping[str, Any]) -> dict[str, Any]:
    """The values of ``info`` that JSON can hold, as JSON has them."""
    found = {}
    for name, value in info.items():
        try:
            found[str(name)] = _plain(value)
        except TypeError:
            continue
    return found


def loads(source: str, text: bytes) -> dict[str, Any]:
    """A dictionary of values.

    Raises:
        DataError: it is no JSON, or not a dictionary.
    """
    found = value(source, text)
    if not isinstance(found, dict):
        raise DataError(f"{source}: damaged, expected a dictionary, found {type(found).__name__}")
    return found


def value(source: str, text: bytes) -> Any:
    """What a text holds.

    Raises:
        DataError: it is no JSON.
    """
    try:
        return _restored(json.loads(text))
    # a hostile text may be too deep, have numbers too long, or announce arrays that it does not hold
    except (ValueError, TypeError, RecursionError, OverflowError) as cause:
        raise DataError(f"{source}: damaged, this is not the JSON it should be: {cause}") from None


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, _SCALARS):
        return value
    if isinstance(value, np.ndarray) and value.dtype.name in _TYPES:
        return {_ARRAY: [list(value.shape), value.dtype.name, value.ravel().tolist()]}
    if isinstance(value, np.ndarray) and value.dtype.kind == "U":
        return value.tolist()
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    raise TypeError(f"{type(value).__name__} has no place in JSON")


def _restored(value: Any) -> Any:
    if isinstance(value, list):
        return [_restored(each) for each in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {_ARRAY}:
        return _array(*value[_ARRAY])
    return {name: _restored(each) for name, each in value.items()}


def _array(shape: list[int], kind: str, values: list[Any]) -> Any:
    if kind not in _TYPES:
        return values
    # never the announced size: only what is there
    if len(values) != math.prod(shape):
        raise ValueError(f"an array of shape {shape} with {len(values)} values")
    return np.array(values, dtype=kind).reshape(shape)
