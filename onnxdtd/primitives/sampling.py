"""Weighted look-ups: y_o = sum over k of w_ok x[index_ok], per sample and for all channels alike."""

from __future__ import annotations

from typing import Any

import numpy as np

from onnxdtd.primitives.arithmetic import cast_like
from onnxdtd.primitives.operator import require_adding
from onnxdtd.primitives.seam import Array, at_hand, primitive, tracer_among
from onnxdtd.primitives.shaping import expand_like, reduce_sum, reshape, unsqueeze


@primitive("Floor")
def floor(x: Array) -> Any:
    """The largest integer not above x, as a float."""
    return np.floor(x)


@primitive("Round")
def round_even(x: Array) -> Any:
    """The nearest integer as a float, halves to the even one."""
    return np.rint(x)


def _trace_clipped(x: Any, low: Any, high: Any) -> Any:
    if at_hand(low, high):
        return x.tracer.emit("Clip", x, np.asarray(low, x.dtype), np.asarray(high, x.dtype))
    tracer = tracer_among(x, low, high)
    return tracer.emit("Min", tracer.emit("Max", x, low), high)


@primitive(trace=_trace_clipped)
def clipped(x: Array, low: Array | float, high: Array | float) -> Any:
    """x within the bounds."""
    return np.clip(x, low, high)


def _trace_sample(x: Any, index: Any, weights: Any) -> Any:
    tracer = next(a.tracer for a in (x, index, weights) if hasattr(a, "tracer"))
    read = tracer.emit("GatherElements", x, _for_channels(tracer, index, x), axis=2)
    read = reshape(read, shape=[0, 0, -1, index.shape[2]])
    return reduce_sum(read * unsqueeze(weights, axes=(1,)), axes=(3,), keepdims=False)


@primitive(trace=_trace_sample)
def sample(x: Array, index: Array, weights: Array) -> Any:
    """y[n, c, o] = sum over k of weights[n, o, k] x[n, c, index[n, o, k]]; x (N, C, S) -> y (N, C, O)."""
    y = np.empty((*x.shape[:2], index.shape[1]), np.result_type(x, weights))
    for image, places, shares, out in zip(x, index, weights, y, strict=True):
        np.einsum("cok,ok->co", image[:, places], shares, out=out)
    return y


def _trace_unsample(r: Any, index: Any, weights: Any, like: Any) -> Any:
    tracer = next(a.tracer for a in (r, index, weights, like) if hasattr(a, "tracer"))
    require_adding(tracer)
    parts = reshape(unsqueeze(r, axes=(3,)) * unsqueeze(weights, axes=(1,)), shape=[0, 0, -1])
    nothing = cast_like(expand_like(np.zeros((1, 1, 1), r.dtype), like), r)
    places = _for_channels(tracer, index, like)
    return tracer.emit("ScatterElements", nothing, places, parts, axis=2, reduction="add")


@primitive(trace=_trace_unsample)
def unsample(r: Array, index: Array, weights: Array, like: Array) -> Any:
    """The adjoint of `sample` in x, shaped as `like` (N, C, S)."""
    back = np.zeros(like.shape, r.dtype)
    for part, places, shares, out in zip(r, index, weights, back, strict=True):
        flat = places.reshape(-1)
        for channel, row in zip(part, out, strict=True):
            row += np.bincount(flat, (channel[:, None] * shares).reshape(-1), len(row)).astype(r.dtype)
    return back


def _for_channels(tracer: Any, index: Any, x: Any) -> Any:
    """(N, O, K) -> (N, C, O K), the same for every channel."""
    flat = unsqueeze(reshape(index, shape=[0, -1]), axes=(1,))
    channels = tracer.emit("Slice", tracer.emit("Shape", x), np.array([1]), np.array([2]))
    one = np.array([1])
    shape = tracer.emit("Concat", one, channels, one, axis=0)
    return tracer.emit("Expand", flat, shape, shape=(index.shape[0], x.shape[1], None))
