"""On which side of a bound a number lies."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from onnxdtd.primitives.seam import Array, primitive


@primitive("Greater")
def greater(x: Array, y: Array | float) -> Any:
    """x > y as booleans."""
    return np.greater(x, y)


@primitive("Less")
def less(x: Array, y: Array | float) -> Any:
    """x < y as booleans."""
    return np.less(x, y)


@primitive("Equal")
def equal(x: Array, y: Array | float) -> Any:
    """x == y as booleans."""
    return np.equal(x, y)


def _trace_beyond(x: Any, bound: float = 0.0, *, sign: int = 1) -> Any:
    # In numbers, since onnxruntime is slow at comparing, casting and choosing; the line is so steep that the number
    # next to the bound is at 1 already. A power of two, so that the bound itself comes out as exactly 0.
    if x.dtype == np.float32 and (steep := _steepest(bound, x.dtype)) is not None:
        return x.tracer.emit("HardSigmoid", x, alpha=sign * steep, beta=-sign * bound * steep)
    tiny = np.finfo(x.dtype).tiny
    room = x - np.asarray(bound, x.dtype) if bound else x
    return clip(room, *((0, tiny) if sign > 0 else (-tiny, 0))) * np.asarray(sign / tiny, x.dtype)


@lru_cache
def _steepest(bound: float, dtype: Any) -> float | None:
    """One over the step from the bound to its nearer neighbour, at most one over the smallest normal number; None
    where that or the bound times it overflows."""
    types = np.finfo(dtype)
    near = [float(abs(np.nextafter(types.dtype.type(bound), end) - bound)) for end in (types.min, types.max)]
    steep = 1 / max(min(near), float(types.tiny))
    return steep if abs(bound) * steep <= types.max else None


@primitive(trace=_trace_beyond)
def beyond(x: Array, bound: float = 0.0, *, sign: int = 1) -> Any:
    """1 where x lies above the bound, a number of x's dtype (sign 1), or below it (-1), else 0: booleans in NumPy,
    x's dtype when traced, where next to 0 a number counts from the smallest normal one on."""
    return np.greater(x, bound) if sign > 0 else np.less(x, bound)


def clip(x: Any, low: Any, high: Any) -> Any:
    """x within the bounds, of a value of the graph."""
    # An end that is left out would be the largest number, which is not open.
    return x.tracer.emit("Clip", x, np.asarray(low, x.dtype), np.asarray(high, x.dtype))
