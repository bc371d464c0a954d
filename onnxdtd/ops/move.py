"""Ops that copy values to places which indices, repeats or shapes say: relevance goes back whence they came.

All are one map: the op itself with the other data inputs zero. Its adjoint follows where positions go.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from onnxdtd.linear import LinearMap, Site
from onnxdtd.model.point import Point
from onnxdtd.primitives import expand_like, operator, positions, put_back, reduce_sum, unsqueeze
from onnxdtd.registry import op


def moved(point: Point, *data: int) -> Site:
    """The site of an op that is linear in the inputs `data` together and moves each of their values.

    What constants among them put into the output is the bias.
    """
    node = point.node
    given = [point.value(slot) if point.has(slot) else None for slot in range(len(node.inputs))]

    def rerun(slot: int | None, v: Any) -> Any:
        """The op on v in one slot and zeros in the other data slots."""
        arrays = [x if i not in data else v if i == slot else _zeros(x, v) for i, x in enumerate(given)]
        return operator(node.op, *arrays, opset=point.opset, **node.attributes)

    def map_of(slot: int) -> LinearMap:
        x = point.value(slot)

        def apply(w: Any, v: Any) -> Any:
            return rerun(slot, v)

        def adjoint(w: Any, r: Any) -> Any:
            return put_back(r, rerun(slot, positions(x)), x)

        return LinearMap(None, apply, adjoint)

    maps = [map_of(slot) for slot in point.slots]
    fixed = [slot for slot in data if slot not in point.slots and point.has(slot)]
    parts = [rerun(slot, point.value(slot)) for slot in fixed]
    return point.site(*maps, bias=sum(parts[1:], parts[0]) if parts else None)


def _zeros(x: Any, like: Any) -> Any:
    """Zeros in the shape of x and the dtype of `like`."""
    return expand_like(np.zeros((1,) * x.ndim, like.dtype), x)


@op("Gather", kind="route", embeds=(1,))
def gather(point: Point) -> Site:
    """The entries at the indices; a table's rows for integers of the model's input: an embedding."""
    return moved(point, 0) if point.slots == (0,) else _embedding(point, point.attribute("axis", 0))


def _embedding(point: Point, axis: int) -> Site:
    """Each integer's relevance is the sum over the vector that it was turned into."""
    ids, y = point.x, point.output
    axis = axis % (y.ndim - ids.ndim + 1)
    around = (*range(axis), *range(axis + ids.ndim, y.ndim))

    def apply(w: Any, v: Any) -> Any:
        return expand_like(unsqueeze(v, axes=around), y)

    def adjoint(w: Any, r: Any) -> Any:
        return reduce_sum(r, axes=around, keepdims=False)

    return point.site(LinearMap(None, apply, adjoint))


@op("OneHot", kind="barrier", embeds=(0,), data=())
def one_hot(point: Point) -> Site:
    """A vector that is 1 at the integer: an embedding of integers of the model's input; floats stop here."""
    rank = point.x.ndim + 1
    axis = point.attribute("axis", -1) % rank

    def apply(w: Any, v: Any) -> Any:
        return expand_like(unsqueeze(v, axes=(axis,)), point.output)

    def adjoint(w: Any, r: Any) -> Any:
        return reduce_sum(r, axes=(axis,), keepdims=False)

    return point.site(LinearMap(None, apply, adjoint))


@op("Tile", "Expand", "DepthToSpace", "SpaceToDepth", "GatherElements", "GatherND", kind="route")
def rearrange(point: Point) -> Site:
    """The values repeated, rearranged or picked by indices."""
    return moved(point, 0)
