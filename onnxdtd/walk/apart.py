"""Which part of a value belongs to which sample: the batch may be on any axis of an inner value, or part of one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from onnxdtd.model.graph import Graph
from onnxdtd.model.loops import inside
from onnxdtd.plan.plan import Plan
from onnxdtd.plan.step import Step
from onnxdtd.types import Dimension

Shape = tuple[Dimension, ...] | None


def axes_of_samples(plan: Plan, first: str, axis: int | None) -> dict[str, tuple[int, ...]]:
    """For each value of the walk, the axes that may hold the batch, the likeliest first.

    first: the value where relevance starts; axis: its batch axis. Others have it where an axis is named as that one;
    where none is, on one of unknown length. A model of fixed batch names none, so there it is taken to be the first
    axis.
    """
    graph = plan.graph
    shape = graph.value(first).shape
    symbol = None if axis is None or shape is None else shape[axis]
    shapes = dict(_shapes(graph, plan.steps))
    axes = {name: _candidates(shape, symbol) for name, shape in shapes.items()}
    return axes if axis is None else {**axes, first: (axis,)}


def _shapes(graph: Graph, steps: Sequence[Step]) -> Iterator[tuple[str, Shape]]:
    """Of every value that the steps read or make; those inside of a loop as one iteration has them."""
    names = {v for step in steps for v in (*step.node.outputs, *step.node.inputs) if v}
    yield from ((name, graph.value(name).shape) for name in names if name not in graph.constants)
    for step in steps:
        if step.trail is not None:
            within = _shapes(step.trail.graph, step.trail.steps)
            yield from ((inside(step.node, name), shape) for name, shape in within)


def _candidates(shape: Shape, symbol: int | str | None) -> tuple[int, ...]:
    if shape is None or not isinstance(symbol, str):
        return (0,)
    if symbol in shape:
        return (shape.index(symbol),)
    return tuple(axis for axis, length in enumerate(shape) if not isinstance(length, int))


def by_sample(r: Any, count: int, axes: tuple[int, ...]) -> Any:
    """r as (count, rest), each sample's elements in a row; None where it is not told apart by sample."""
    if count == 1:
        return r.reshape(1, -1)
    for axis in axes:
        if axis < r.ndim and r.shape[axis] and r.shape[axis] % count == 0:
            return (np.moveaxis(r, axis, 0) if axis else r).reshape(count, -1)
    return None
