"""The input's range, carried elementwise to where the first layer sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import onnx.reference

from onnxdtd.domains.propagation import Domain, Range
from onnxdtd.model.graph import Graph

# Ops that act on each value on its own, monotonically: bounds go through them by running them on the bounds.
ELEMENTWISE = {
    "Add", "Sub", "Mul", "Div", "Neg", "BatchNormalization", "Scaler", "Cast", "Identity", "Transpose",
    "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Pad", "Slice", "Concat",
}  # fmt: skip


@dataclass(frozen=True)
class Box:
    """Bounds of a tensor, elementwise: arrays that broadcast to it, infinite where there is none."""

    low: npt.NDArray[Any]
    high: npt.NDArray[Any]

    @property
    def kind(self) -> Literal["bounded", "nonnegative", "below", "above", "unbounded"]:
        """Which input domain of Deep Taylor it is (`below`, `above`: the side that is finite)."""
        low, high = bool(np.isfinite(self.low).all()), bool(np.isfinite(self.high).all())
        if low and high:
            return "bounded"
        if low:
            return "nonnegative" if not np.any(self.low) else "below"
        return "above" if high else "unbounded"


def range_of(name: str, given: Range) -> tuple[Any, Any]:
    """The range of one graph input; (-inf, inf) where none was given."""
    if isinstance(given, Mapping):
        return given.get(name, (-np.inf, np.inf))
    return given if given is not None else (-np.inf, np.inf)


def box_at(graph: Graph, value: str, given: Range, domain: Domain) -> Box:
    """The bounds of a value: the input's range moved through scaling, shifting, moving and padding ops.

    Where other ops stand between, the value's domain serves as its bounds.
    """
    if value in graph.inputs:
        low, high = range_of(value, given)
        return Box(np.asarray(low, np.float64), np.asarray(high, np.float64))
    way = graph.replace(outputs=(value,), targets={})
    known = all(node.op in ELEMENTWISE for node in way.nodes)
    sources = [name for name in graph.inputs if any(name in node.inputs for node in way.nodes)]
    if not known or given is None or any(graph.value(name).shape is None for name in sources):
        return Box(np.asarray(domain.low), np.asarray(domain.high))
    run: Any = onnx.reference.ReferenceEvaluator(way.to_proto())
    ends = [
        run.run(None, {name: _filled(graph, name, given, side) for name in graph.inputs})[0]
        for side in (0, 1)
    ]
    # A negative factor turns the range around.
    low, high = np.fmin(*ends), np.fmax(*ends)
    if np.isnan(low).any():
        return Box(np.asarray(domain.low), np.asarray(domain.high))
    return Box(_squeezed(low), _squeezed(high))


def _filled(graph: Graph, name: str, given: Range, side: int) -> npt.NDArray[Any]:
    value = graph.value(name)
    shape = tuple(d if isinstance(d, int) else 1 for d in value.shape or ())
    return np.broadcast_to(np.asarray(range_of(name, given)[side], value.dtype), shape).copy()


def _squeezed(bound: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Axes along which the bound does not change are kept with length 1."""
    for axis in range(bound.ndim):
        first = np.take(bound, [0], axis=axis)
        if np.array_equal(np.broadcast_to(first, bound.shape), bound):
            bound = first
    return bound
