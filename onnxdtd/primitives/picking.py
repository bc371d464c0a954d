"""Where sorted and distinct values came from."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto

from onnxdtd.primitives.arithmetic import cast_like, relu
from onnxdtd.primitives.seam import Array, primitive
from onnxdtd.primitives.shaping import expand_like, unsqueeze


def _trace_top_places(x: Any, y: Any, k: Any, **attributes: Any) -> Any:
    return x.tracer.emit_all("TopK", x, k, shapes=(y.shape, y.shape), **attributes)[1]


@primitive(trace=_trace_top_places)
def top_places(x: Array, y: Array, k: Array, *, axis: int, largest: int, sorted: int) -> Any:
    """Where along the axis each of the k values y of TopK(x) stands in x; of equals the first."""
    order = -1 if largest else 1
    places = np.take(np.argsort(order * x, axis=axis, kind="stable"), range(y.shape[axis]), axis=axis)
    # y may be in any order.
    rank = np.argsort(order * y, axis=axis, kind="stable")
    ordered = np.empty_like(places)
    np.put_along_axis(ordered, rank, places, axis=axis)
    return ordered


@primitive("GatherElements")
def take_along(x: Array, places: Array, *, axis: int) -> Any:
    """x at one place along the axis for each element of `places`."""
    return np.take_along_axis(x, places, axis=axis)


def _trace_put_along(r: Any, places: Any, like: Any, *, axis: int) -> Any:
    zeros = expand_like(np.zeros((1,) * like.ndim, like.dtype), like)
    return places.tracer.emit("ScatterElements", zeros, places, r, axis=axis)


@primitive(trace=_trace_put_along)
def put_along(r: Array, places: Array, like: Array, *, axis: int) -> Any:
    """The adjoint of `take_along` on an input shaped as `like`: r at its places, which differ, zeros elsewhere."""
    out = np.zeros(like.shape, r.dtype)
    np.put_along_axis(out, places, r, axis=axis)
    return out


@primitive(trace=lambda x, place, *, axis: x.tracer.emit("Gather", x, np.asarray(place, np.int64), axis=axis))
def pick(x: Array, place: int, *, axis: int) -> Any:
    """x at one place of an axis, which goes."""
    return np.take(x, place, axis=axis)


def _trace_within(lengths: Any, like: Any) -> Any:
    tracer = like.tracer
    zero, one = (np.asarray(number, np.int64) for number in (0, 1))
    count = tracer.emit("Gather", tracer.emit("Shape", like), zero)
    steps = tracer.emit("Range", zero, count, one, shape=like.shape[:1])
    ends = tracer.emit("Cast", lengths, to=TensorProto.INT64)
    inside = tracer.emit("Less", unsqueeze(steps, axes=(1,)), unsqueeze(ends, axes=(0,)))
    return cast_like(unsqueeze(inside, axes=(2,)), like)


@primitive(trace=_trace_within)
def within(lengths: Array, like: Array) -> Any:
    """(T, N, 1): 1 where t is below its sample's length, else 0; T and the dtype are those of like (T, ...)."""
    return (np.arange(len(like))[:, None] < lengths[None]).astype(like.dtype)[..., None]


def _trace_first_along(chosen: Any, *, axis: int) -> Any:
    return relu(chosen - chosen.tracer.emit("CumSum", chosen, np.asarray(axis, np.int64), exclusive=1))


@primitive(trace=_trace_first_along)
def first_along(chosen: Array, *, axis: int) -> Any:
    """Of ones and zeros, the first one along the axis alone."""
    return np.maximum(2 * chosen - np.cumsum(chosen, axis=axis), 0)


def _trace_groups(x: Any, distinct: Any, *, axis: int | None, sorted: int) -> Any:
    order = {"sorted": sorted} if axis is None else {"sorted": sorted, "axis": axis}
    rows = None if axis is None else x.shape[axis]
    shapes = (distinct.shape, (None,), (rows,), (None,))
    return x.tracer.emit_all("Unique", x, shapes=shapes, **order)[2]


@primitive(trace=_trace_groups)
def groups(x: Array, distinct: Array, *, axis: int | None, sorted: int) -> Any:
    """Of each value of x, or of each slice along an axis, where Unique(x) holds it."""
    rows, those = (_as_rows(a, axis) for a in (x, distinct))
    _, number = np.unique(np.concatenate([those, rows]), axis=0, return_inverse=True)
    place = np.zeros(len(number), np.int64)
    place[number[: len(those)]] = np.arange(len(those))
    return place[number[len(those) :]]


def _as_rows(x: Array, axis: int | None) -> Array:
    return x.reshape(-1, 1) if axis is None else np.moveaxis(x, axis, 0).reshape(x.shape[axis], -1)
