"""Optional kernels of torch-scatter and torch-cluster (``hermtk[pyg]``), used where they are installed.

Each function answers None where its package is absent; the caller then takes its own way. ``HERMTK_BACKEND=torch`` in the
environment leaves them aside, ``auto`` is the default; it is read once, at first use. Only two of their functions are right
for a potential: see docs/decisions/0002-pyg-backend.md.
"""

import importlib
import os
import warnings
from functools import cache
from types import ModuleType

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from hermtk.errors import UnknownName

Array = np.ndarray

VARIABLE = "HERMTK_BACKEND"
CHOICES = ("auto", "torch")


def scatter_sum(
    values: Float[Tensor, "rows *rest"], index: Int[Tensor, " rows"], size: int
) -> Float[Tensor, "{size} *rest"] | None:
    """Each row added to the slot that ``index`` names, by torch-scatter.

    Never by its segment operators: their second derivatives are wrong.
    """
    package = _package("torch_scatter")
    if package is None:
        return None
    return package.scatter(values, index, dim=0, dim_size=size, reduce="sum")


def open_pairs(
    positions: Float[Array, "atoms 3"], cutoff: float
) -> tuple[Int[Array, " edges"], Int[Array, " edges"]] | None:
    """Centre and neighbour of all directed pairs within ``cutoff`` (Angstrom), in no order, by torch-cluster.

    In empty space only: it knows no periodic images.
    """
    package = _package("torch_cluster")
    if package is None:
        return None
    # the bound must be given: by default neighbours past the 32nd are dropped without a word
    edges = package.radius_graph(
        torch.tensor(positions, dtype=torch.float64),
        r=cutoff,
        loop=False,
        max_num_neighbors=len(positions),
        flow="target_to_source",
    )
    center, neighbor = edges.numpy()
    return center, neighbor


@cache
def _package(name: str) -> ModuleType | None:
    choice = os.environ.get(VARIABLE) or CHOICES[0]
    if choice not in CHOICES:
        raise UnknownName(f"backend (environment variable {VARIABLE})", choice, CHOICES)
    if choice == "torch":
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            return importlib.import_module(name)
    except ModuleNotFoundError:
        return None
    # compiled against another torch: the loader's and the package's own complaints
    except (ImportError, OSError, RuntimeError) as problem:
        warnings.warn(
            f"{name} is installed but cannot be loaded ({problem}); hermtk goes on without it. "
            f"Build it again for this torch, or set {VARIABLE}=torch.",
            RuntimeWarning,
            stacklevel=2,
        )
        return None
