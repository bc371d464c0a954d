"""Statistics that norms divide by."""

from __future__ import annotations

from typing import Any

import numpy as np

from onnxdtd.primitives.seam import Array, primitive
from onnxdtd.primitives.shaping import Ints

# From this opset on ReduceMean takes its axes as an input.
AXES_AS_INPUT = 18


def _trace_reduce_mean(x: Any, *, axes: Ints) -> Any:
    if x.tracer.opset >= AXES_AS_INPUT:
        return x.tracer.emit("ReduceMean", x, np.array(axes, np.int64), keepdims=1)
    return x.tracer.emit("ReduceMean", x, axes=list(axes), keepdims=1)


@primitive(trace=_trace_reduce_mean)
def reduce_mean(x: Array, *, axes: Ints) -> Any:
    """Mean over the axes, kept as axes of length 1."""
    return np.mean(x, axis=tuple(axes), keepdims=True)
