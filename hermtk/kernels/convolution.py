"""The compiled form of ``hermtk.nn.convolution.convolve`` as operators of torch, each the derivative of the one before.

With w = phi f, f = rho W, the message is linear in each of x, Y, phi, rho and W. Its gradients are therefore sums of the same
kind, and so are theirs: three passes over the edges, each of which computes the filters anew instead of keeping them. Third
derivatives, which no training on forces needs, are refused.
"""

import ctypes
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from hermtk.errors import HermtkError
from hermtk.kernels import library as _kernels

_SUFFIX = {torch.float32: "float", torch.float64: "double"}
# the library works on so many channels at once, or on twice, four or eight times as many
BLOCK = 8
_SIZES = (
    "edges",
    "graph_edges",
    "sources",
    "atoms",
    "rows",
    "relations",
    "channels",
    "paths",
    "radials",
    "inputs",
)
_INDICES = ("table", "coefficients", "runs", "path_ends", "edge", "source", "atom", "row", "ends")
_VALUES = ("input", "source_values", "radial", "weight", "angular", "gradient")
_TANGENTS = ("input_tangent", "source_tangent", "radial_tangent", "weight_tangent", "angular_tangent")
_RESULTS = ("output", "input_result", "source_result", "radial_result", "weight_result", "angular_result")


class _Problem(ctypes.Structure):
    # convolution.cpp: struct Problem
    _fields_ = [
        *((name, ctypes.c_int64) for name in (*_SIZES, "angulars", "outputs", "entries", "threads")),
        *((name, ctypes.c_void_p) for name in (*_INDICES, *_VALUES, *_TANGENTS, *_RESULTS)),
    ]


def usable(features: Tensor) -> bool:
    """Whether the kernels can do it: on CPU, in float32 or float64."""
    return (
        features.device.type == "cpu"
        and features.dtype in _SUFFIX
        and not torch.compiler.is_exporting()
        and (_kernels.loaded if torch.compiler.is_compiling() else _kernels.library() is not None)
    )


class _Terms(NamedTuple):
    """The text of ``Couplings`` as the library reads it: by path, then by input, each input of a path being one run."""

    inputs: int
    angulars: int
    outputs: int
    table: np.ndarray  # angular and output component of each entry
    coefficients: np.ndarray
    runs: np.ndarray  # input of each run, and where its entries end
    path_ends: np.ndarray  # where the runs of each path end


@cache
def _terms(text: str) -> _Terms:
    sizes, *entries = (part.split() for part in text.split(";"))
    entries.sort(key=lambda entry: (int(entry[0]), int(entry[1])))
    table = np.array([[int(number) for number in entry[:4]] for entry in entries], dtype=np.int32)
    last = np.append(np.diff(table[:, :2], axis=0).any(axis=1), True).nonzero()[0]
    runs = np.stack([table[last, 1], last + 1], axis=1).astype(np.int32)
    paths = np.arange(table[-1, 0] + 1)
    return _Terms(
        *map(int, sizes),
        table=table[:, 2:].copy(),
        coefficients=np.array([float(entry[4]) for entry in entries]),
        runs=runs,
        path_ends=np.searchsorted(table[last, 0], paths, side="right").astype(np.int32),
    )


def _run(name: str, text: str, routes: tuple[Tensor, ...], rows: int, tensors: dict[str, Tensor]) -> None:
    """Fill in the problem and call the library; ``tensors`` hold values, tangents and results by the names of its fields."""
    edge, source, atom, row, ends = (indices.contiguous() for indices in routes)
    if not edge.shape[0]:
        return
    terms = _terms(text)
    features, radial, phi = tensors["input"], tensors["radial"], tensors.get("source_values")
    problem = _Problem(
        edges=edge.shape[0],
        graph_edges=radial.shape[0],
        sources=-1 if phi is None else phi.shape[0],
        atoms=features.shape[0],
        rows=rows,
        relations=ends.shape[0],
        channels=features.shape[2],
        paths=len(terms.path_ends),
        radials=radial.shape[1],
        inputs=terms.inputs,
        angulars=terms.angulars,
        outputs=terms.outputs,
        entries=len(terms.coefficients),
        threads=torch.get_num_threads(),
        table=terms.table.ctypes.data,
        coefficients=terms.coefficients.ctypes.data,
        runs=terms.runs.ctypes.data,
        path_ends=terms.path_ends.ctypes.data,
        edge=edge.data_ptr(),
        source=source.data_ptr(),
        atom=atom.data_ptr(),
        row=row.data_ptr(),
        ends=ends.data_ptr(),
        **{field: tensor.data_ptr() for field, tensor in tensors.items()},
    )
    run = getattr(_kernels.library(), f"{name}_{_SUFFIX[features.dtype]}")
    if run(ctypes.byref(problem)):
        raise IndexError(
            "convolve: an index is out of range, or the relations' ends do not lead to the last edge"
        )


def _check(
    x: Tensor,
    phi: Tensor | None,
    rho: Tensor,
    weight: Tensor,
    y: Tensor,
    routes: tuple[Tensor, ...],
    text: str,
) -> None:
    """The library trusts shapes and types; indices it looks at itself."""
    if x.shape[2] % BLOCK:
        raise ValueError(f"convolve: {x.shape[2]} channels are not a multiple of {BLOCK}")
    terms = _terms(text)
    *indices, ends = routes
    filters = len(terms.path_ends) * x.shape[2]
    values = {
        "features": (x, (x.shape[0], terms.inputs, x.shape[2])),
        "radial": (rho, (rho.shape[0], weight.shape[1])),
        "weight": (weight, (ends.shape[0], weight.shape[1], filters)),
        "angular": (y, (rho.shape[0], terms.angulars)),
    }
    if phi is not None:
        values["source"] = (phi, (phi.shape[0], filters))
    expected = {name: (value, shape, x.dtype) for name, (value, shape) in values.items()}
    names = ("edge", "source", "atom", "row")
    expected |= {
        f"routes.{name}": (i, indices[0].shape, torch.int64) for name, i in zip(names, indices, strict=True)
    }
    expected["routes.relations.ends"] = (ends, ends.shape, torch.int32)
    for name, (value, shape, dtype) in expected.items():
        if value.shape != shape or value.dtype != dtype or not value.is_cpu:
            found = f"{tuple(value.shape)} of {value.dtype} on {value.device}"
            raise ValueError(f"convolve: {name} is {found}, not {tuple(shape)} of {dtype} on cpu")


@torch.library.custom_op("hermtk::convolve", mutates_args=())
def convolve(
    x: Tensor,
    phi: Tensor | None,
    rho: Tensor,
    weight: Tensor,
    y: Tensor,
    edge: Tensor,
    source: Tensor,
    atom: Tensor,
    row: Tensor,
    ends: Tensor,
    rows: int,
    couplings: str,
) -> Tensor:
    """``hermtk.nn.convolution.convolve`` by the compiled kernels."""
    values = _named(_VALUES, x, phi, rho, weight, y)
    routes = (edge, source, atom, row, ends)
    _check(x, phi, rho, weight, y, routes, couplings)
    out = x.new_zeros(rows, _terms(couplings).outputs, x.shape[2])
    _run("forward", couplings, routes, rows, values | {"output": out})
    return out


@torch.library.custom_op("hermtk::convolve_backward", mutates_args=())
def _backward(
    gradient: Tensor,
    x: Tensor,
    phi: Tensor | None,
    rho: Tensor,
    weight: Tensor,
    y: Tensor,
    edge: Tensor,
    source: Tensor,
    atom: Tensor,
    row: Tensor,
    ends: Tensor,
    couplings: str,
    weights: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    values = _named(_VALUES, x, phi, rho, weight, y, gradient)
    results = _zeros(x, phi, rho, weight if weights else None, y)
    tensors = values | _named(_RESULTS[1:], *results)
    _run("backward", couplings, (edge, source, atom, row, ends), gradient.shape[0], tensors)
    return results


@torch.library.custom_op("hermtk::convolve_second", mutates_args=())
def _second(
    tx: Tensor,
    tphi: Tensor | None,
    trho: Tensor,
    tweight: Tensor | None,
    ty: Tensor,
    gradient: Tensor,
    x: Tensor,
    phi: Tensor | None,
    rho: Tensor,
    weight: Tensor,
    y: Tensor,
    edge: Tensor,
    source: Tensor,
    atom: Tensor,
    row: Tensor,
    ends: Tensor,
    couplings: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    values = _named(_VALUES, x, phi, rho, weight, y, gradient)
    tangents = _named(_TANGENTS, tx, tphi, trho, tweight, ty)
    results = (x.new_zeros(gradient.shape), *_zeros(x, phi, rho, weight, y))
    tensors = values | tangents | _named(_RESULTS, *results)
    _run("second", couplings, (edge, source, atom, row, ends), gradient.shape[0], tensors)
    return results


def _named(names: tuple[str, ...], *tensors: Tensor | None) -> dict[str, Tensor]:
    """What there is, as the library reads it; the pointer of an empty tensor is null."""
    pairs = zip(names, tensors, strict=False)
    return {name: t.contiguous() for name, t in pairs if t is not None}


def _zeros(
    x: Tensor, phi: Tensor | None, rho: Tensor, weight: Tensor | None, y: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    shapes = ((0,) if t is None else t.shape for t in (x, phi, rho, weight, y))
    gx, gphi, grho, gweight, gy = (x.new_zeros(shape) for shape in shapes)
    return gx, gphi, grho, gweight, gy


@convolve.register_fake
def _(x, phi, rho, weight, y, edge, source, atom, row, ends, rows, couplings):
    return x.new_empty(rows, _terms(couplings).outputs, x.shape[2])


@_backward.register_fake
def _(gradient, x, phi, rho, weight, y, edge, source, atom, row, ends, couplings, weights):
    return _zeros(x, phi, rho, weight if weights else None, y)


@_second.register_fake
def _(tx, tphi, trho, tw, ty, gradient, x, phi, rho, weight, y, edge, source, atom, row, ends, couplings):
    return (x.new_zeros(gradient.shape), *_zeros(x, phi, rho, weight, y))


def _keep_forward(ctx, inputs, output) -> None:
    *tensors, _, couplings = inputs
    ctx.save_for_backward(*tensors)
    ctx.couplings = couplings


def _forward_backward(ctx, gradient):
    weights = ctx.needs_input_grad[3]
    gx, gphi, grho, gweight, gy = _backward(gradient, *ctx.saved_tensors, ctx.couplings, weights)
    phi = ctx.saved_tensors[1]
    return (
        gx,
        None if phi is None else gphi,
        grho,
        gweight if weights else None,
        gy,
        *_NO_ROUTES,
        None,
        None,
    )


def _keep_backward(ctx, inputs, output) -> None:
    *tensors, couplings, _ = inputs
    ctx.save_for_backward(*tensors)
    ctx.couplings = couplings
    # a tangent of the weights that is nothing rather than zero saves two passes
    ctx.set_materialize_grads(False)


def _backward_backward(ctx, tx, tphi, trho, tweight, ty):
    _, x, phi, rho, _, y, *_ = ctx.saved_tensors
    tx, trho, ty = (
        torch.zeros_like(value) if tangent is None else tangent
        for value, tangent in ((x, tx), (rho, trho), (y, ty))
    )
    ggradient, gx, gphi, *rest = _second(tx, tphi, trho, tweight, ty, *ctx.saved_tensors, ctx.couplings)
    return ggradient, gx, None if phi is None else gphi, *rest, *_NO_ROUTES, None, None


def _second_backward(ctx, *gradients):
    raise HermtkError(
        "the compiled kernels can be differentiated twice, not three times: "
        f"{_kernels.VARIABLE}=torch in the environment gives derivatives of any order, slower"
    )


_NO_ROUTES = (None,) * 5
convolve.register_autograd(_forward_backward, setup_context=_keep_forward)
_backward.register_autograd(_backward_backward, setup_context=_keep_backward)
_second.register_autograd(_second_backward)
