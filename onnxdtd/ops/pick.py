"""TopK and Unique: values picked by comparing them with the others."""

from __future__ import annotations

from typing import Any

import numpy as np

from onnxdtd.domains.ranking import Ranking
from onnxdtd.domains.rows import same
from onnxdtd.errors import UnsupportedError
from onnxdtd.linear import LinearMap, Site
from onnxdtd.model.point import Point
from onnxdtd.primitives import (
    groups,
    ones_like,
    operator,
    positions,
    put_along,
    put_back,
    reshape_like,
    take_along,
    top_places,
)
from onnxdtd.registry import op


def _ranking(point: Point) -> Ranking:
    x, axis = point.x, point.attribute("axis", -1) % point.x.ndim
    if not point.attribute("sorted", 1):
        raise UnsupportedError(f"{point.node}: the order of values that are not sorted is not defined")
    reads = np.moveaxis(np.arange(x.size).reshape(x.shape), axis, 0)
    sign = 1 if point.attribute("largest", 1) else -1
    return Ranking(
        reads.reshape(len(reads), -1),
        point.output.shape[1:],
        count=point.output.shape[axis],
        axis=axis,
        sign=sign,
    )


@op("TopK", kind="select", range=same, pieces=_ranking)
def top(point: Point) -> Site:
    """The k largest or smallest values along an axis; of equals the first."""
    x, y = point.x, point.output
    axis = point.attribute("axis", -1) % x.ndim
    k = point.value(1) if point.has(1) else np.array([point.attribute("k")])
    order = {name: point.attribute(name, 1) for name in ("largest", "sorted")}
    places = top_places(x, y, k, axis=axis, **order)

    def apply(w: Any, v: Any) -> Any:
        return take_along(v, places, axis=axis)

    def adjoint(w: Any, r: Any) -> Any:
        return put_along(r, places, x, axis=axis)

    return point.site(LinearMap(None, apply, adjoint))


@op("Unique", kind="select", range=same)
def unique(point: Point) -> Site:
    """The distinct values, or slices along an axis; equals share equally."""
    x, y, axis = point.x, point.output, point.attribute("axis")
    group = groups(x, y, axis=axis, sorted=point.attribute("sorted", 1))

    def copied(r: Any) -> Any:
        rows = operator("Gather", r, group, opset=point.opset, axis=axis or 0)
        return reshape_like(rows, x) if axis is None else rows

    places = copied(positions(y))
    counts = put_back(ones_like(x), places, y)

    def apply(w: Any, v: Any) -> Any:
        return put_back(v, places, y) / counts

    def adjoint(w: Any, r: Any) -> Any:
        return copied(r / counts)

    return point.site(LinearMap(None, apply, adjoint))
