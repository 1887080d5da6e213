"""Batches in pieces: what to do when memory runs out."""

import gc
from collections.abc import Callable, Iterator
from dataclasses import fields, replace

import numpy as np
import torch
from jaxtyping import Int

from hermtk.errors import RunError
from hermtk.graph.graph import Graph
from hermtk.memory import out_of_memory
from hermtk.models.model import Model
from hermtk.training.data.batches import Batch
from hermtk.training.data.order import Budget, Order

_OF_ATOMS = ("numbers", "positions", "forces")
_OF_EDGES = ("neighbor", "shift")


def sizes(batch: Batch) -> Int[np.ndarray, " structures"]:
    """Atoms and edges of each structure together: what memory grows with."""
    graph, n = batch.graph, batch.graph.n_structures
    atoms = torch.bincount(graph.structure, minlength=n)
    edges = torch.bincount(graph.structure[graph.center], minlength=n)
    return (atoms + edges).cpu().numpy()


def pieces(model: Model, batch: Batch, limit: int | None) -> Iterator[Batch]:
    """The batch itself, or pieces of at most ``limit`` atoms and edges, each of one structure at least, in its order."""
    if limit is None or (every := sizes(batch)).sum() <= limit:
        yield batch
        return
    nothing = np.zeros_like(every)
    for places in Order(nothing, every, Budget(edges=limit), seed=0).in_order:
        yield piece(model, batch, int(places[0]), int(places[-1]) + 1)


def piece(model: Model, batch: Batch, first: int, last: int) -> Batch:
    """The structures ``first`` to ``last`` (without it) of a batch."""
    graph = batch.graph
    atoms = _rows(graph.structure, first, last)
    edges = _rows(graph.center, atoms.start, atoms.stop)

    def cut(thing: Graph | Batch, leave: tuple[str, ...]) -> dict[str, torch.Tensor]:
        found = {}
        for entry in fields(thing):
            value = getattr(thing, entry.name)
            if entry.name in leave or value is None:
                continue
            rows = (
                edges if entry.name in _OF_EDGES else atoms if entry.name in _OF_ATOMS else slice(first, last)
            )
            found[entry.name] = value[rows]
        return found

    part = replace(
        graph,
        **cut(graph, ("structure", "center", "neighbor")),
        structure=graph.structure[atoms] - first,
        center=graph.center[edges] - atoms.start,
        neighbor=graph.neighbor[edges] - atoms.start,
    )
    union = model.relate(part.numbers, part.center, part.neighbor)
    return replace(batch, graph=part, union=union, **cut(batch, ("graph", "union")))


def in_pieces(
    model: Model, batch: Batch, limit: int | None, begin: Callable[[], None], work: Callable[[Batch], None]
) -> int | None:
    """Do some work on a batch, from the beginning in smaller pieces each time that memory runs out.

    Args:
        model: makes the relations of the pieces.
        batch: all of it.
        limit: most atoms and edges of a piece; None for no limit.
        begin: called before the first piece, each time.
        work: called with every piece.

    Returns:
        The limit with which it was done.

    Raises:
        RunError: a single structure is too much.
    """
    while True:
        part = batch
        begin()
        try:
            for part in pieces(model, batch, limit):
                work(part)
            return limit
        except (MemoryError, RuntimeError) as problem:
            if not out_of_memory(problem):
                raise
            reason = (str(problem).splitlines() or [type(problem).__name__])[0]
        # outside of the handler nothing holds the arrays of the failed step any more
        if part.graph.n_structures <= 1:
            raise RunError(
                f"there is not enough memory for a single structure of {part.graph.n_atoms:,} atoms and "
                f"{part.graph.n_edges:,} edges ({reason.rstrip('.')}): fewer model.channels or model.layers, a smaller "
                "model.cutoff or another device is needed"
            )
        limit = int(sizes(part).sum()) // 2
        _free(model.device)


def _rows(index: torch.Tensor, first: int, last: int) -> slice:
    """The rows of an ascending index that name ``first`` to ``last`` (without it)."""
    bounds = torch.searchsorted(index, torch.tensor([first, last], device=index.device))
    start, stop = bounds.tolist()
    return slice(start, stop)


def _free(device: torch.device) -> None:
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
