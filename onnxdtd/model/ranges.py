"""Op by op: where the outputs lie if the inputs lie in their domains. An op without a row is unbounded.

`TABLE` maps an op to its row: a function of the op's place in the graph. Most activations are one formula, monotone
but for the turning points written beside it.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import TensorProto, numpy_helper

from onnxdtd.model.graph import Graph, Node
from onnxdtd.model.interval import ANY, NEGATIVE, POSITIVE, SIGNED_UNIT, UNIT, ZERO, Domain

_OF_TYPE = {
    TensorProto.BOOL: UNIT,
    TensorProto.UINT8: Domain(0, 255),
    TensorProto.INT8: Domain(-128, 127),
    TensorProto.UINT16: Domain(0, 65535),
    TensorProto.INT16: Domain(-32768, 32767),
    TensorProto.UINT32: POSITIVE,
    TensorProto.UINT64: POSITIVE,
}


@dataclass(frozen=True, slots=True)
class At:
    """An op at its place in the graph: what a row looks at. index: which output is asked for."""

    graph: Graph
    node: Node
    index: int
    known: Mapping[str, Domain]

    def attribute(self, name: str, default: Any = None) -> Any:
        """An attribute or its default."""
        return self.node.attributes.get(name, default)

    def has(self, slot: int) -> bool:
        """Whether the input is there."""
        return slot < len(self.node.inputs) and self.node.inputs[slot] != ""

    def domain(self, slot: int) -> Domain:
        """The domain of an input: as found, of a constant, or of an integer type."""
        name = self.node.inputs[slot]
        if name in self.known:
            return self.known[name]
        if name in self.graph.constants:
            return of_array(self.graph.constants[name])
        return _OF_TYPE.get(self.graph.value(name).elem_type, ANY)

    @property
    def x(self) -> Domain:
        """The domain of the first input."""
        return self.domain(0)

    @property
    def all(self) -> list[Domain]:
        """The domains of the inputs that are there."""
        return [self.domain(slot) for slot in range(len(self.node.inputs)) if self.has(slot)]

    def maker(self, slot: int) -> Node | None:
        """The node that makes an input."""
        return self.graph.producers.get(self.node.inputs[slot])


def of_array(array: Any) -> Domain:
    """From the least to the greatest element."""
    if not array.size or array.dtype.kind not in "fiub":
        return ANY
    ends = Domain(float(array.min()), float(array.max()))
    return ANY if math.isnan(ends.low) else ends


Row = Callable[[At], Domain]


# --- activations ---


def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x))."""
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-x))


def _gate(x: float, share: Any) -> Any:
    """x * share(x), where the share goes to zero faster than x to -inf."""
    return 0.0 if x == -math.inf else x * share(x)


def _swish(at: At) -> Domain:
    alpha = at.attribute("alpha", 1.0)
    return at.x.through(lambda x: _gate(x, lambda x: sigmoid(alpha * x)), -1.2784645427610738 / alpha) if alpha > 0 else ANY
