"""Statistics that norms and rules divide by."""

from __future__ import annotations

from typing import Any

import numpy as np

from onnxdtd.primitives.arithmetic import absolute
from onnxdtd.primitives.seam import Array, primitive
from onnxdtd.primitives.shaping import Ints

# From this opset on ReduceMean and ReduceMax take their axes as an input.
AXES_AS_INPUT = 18


def _emit(op: str, x: Any, axes: Ints, keepdims: bool) -> Any:
    if x.tracer.opset >= AXES_AS_INPUT:
        return x.tracer.emit(op, x, np.array(axes, np.int64), keepdims=int(keepdims))
    return x.tracer.emit(op, x, axes=list(axes), keepdims=int(keepdims))


@primitive(trace=lambda x, *, axes: _emit("ReduceMean", x, axes, True))
def reduce_mean(x: Array, *, axes: Ints) -> Any:
    """Mean over the axes, kept as axes of length 1."""
    return np.mean(x, axis=tuple(axes), keepdims=True)


@primitive(trace=lambda x, *, axes: _emit("ReduceMax", x, axes, True))
def reduce_max(x: Array, *, axes: Ints) -> Any:
    """The largest over the axes, kept as axes of length 1."""
    return np.max(x, axis=tuple(axes), keepdims=True)


@primitive(trace=lambda x, *, axes: _emit("ReduceMax", absolute(x), axes, False) if axes else absolute(x))
def largest(x: Array, *, axes: Ints) -> Any:
    """max |x| over the axes, which are gone then."""
    return np.max(np.abs(x), axis=tuple(axes), initial=0.0)
