"""The batch axis: how many rows a model takes at a time, and rows made that many."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import numpy as np

from onnxdtd.model.graph import Graph
from onnxdtd.types import Array, Arrays, Rows

T = TypeVar("T")


def fixed_batch(graph: Graph) -> int | None:
    """The batch that the model's inputs state as a number; None where it may be any."""
    heads = [(graph.value(name).shape or (None,))[0] for name in graph.inputs]
    return next((head for head in heads if isinstance(head, int)), None)


def chunks(count: int, rows: int) -> Iterator[Rows]:
    """0 .. count - 1 in runs of at most so many rows."""
    for start in range(0, count, rows):
        yield np.arange(start, min(start + rows, count))


def alike(
    stream: Iterable[T], rows: int, arrays: Callable[[T], Arrays], elements: float = math.inf
) -> Iterator[list[tuple[int, T]]]:
    """Things with their numbers, in their order, in runs of at most so many, and of so many elements of their arrays
    beyond the first; a run ends where the shapes change."""
    run: list[tuple[int, T]] = []
    shapes: dict[str, tuple[int, ...]] = {}
    for i, thing in enumerate(stream):
        here = {name: array.shape for name, array in arrays(thing).items()}
        size = sum(map(math.prod, here.values()))
        if run and (len(run) == rows or (len(run) + 1) * size > elements or here != shapes):
            yield run
            run = []
        shapes = here
        run.append((i, thing))
    if run:
        yield run


def filled(rows: Rows, batch: int | None) -> Rows:
    """As many as a fixed batch needs: the last one again. As they are, where the batch is free (None)."""
    missing = 0 if batch is None else batch - len(rows)
    return np.concatenate([rows, np.repeat(rows[-1:], missing)])


def taken(arrays: Arrays, rows: Rows) -> dict[str, Array]:
    """These rows of every array."""
    return {name: array[rows] for name, array in arrays.items()}
