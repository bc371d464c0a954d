"""Intervals and their arithmetic, and the place in a graph from which an op sees its inputs' intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import TensorProto

from onnxdtd.model.graph import Graph, Node

INF = math.inf


@dataclass(frozen=True, slots=True)
class Domain:
    """The interval in which a value lies; infinite ends print open: `[0, 6]`, `[0, inf)`, `(-inf, inf)`."""

    low: float = -INF
    high: float = INF

    @property
    def nonnegative(self) -> bool:
        """Whether no value is below zero."""
        return self.low >= 0

    @property
    def nonpositive(self) -> bool:
        """Whether no value is above zero."""
        return self.high <= 0

    @property
    def bounded(self) -> bool:
        """Whether both ends are finite."""
        return math.isfinite(self.low) and math.isfinite(self.high)

    def __str__(self) -> str:
        left, right = "(["[math.isfinite(self.low)], ")]"[math.isfinite(self.high)]
        return f"{left}{self.low + 0.0:.4g}, {self.high + 0.0:.4g}{right}"  # + 0.0: no negative zero

    def __or__(self, other: Domain) -> Domain:
        """The least interval that holds both."""
        return Domain(min(self.low, other.low), max(self.high, other.high))

    def __add__(self, other: Domain) -> Domain:
        return Domain(self.low + other.low, self.high + other.high)

    def __neg__(self) -> Domain:
        return Domain(-self.high, -self.low)

    def __mul__(self, other: Domain) -> Domain:
        ends = [_times(a, b) for a in (self.low, self.high) for b in (other.low, other.high)]
        return Domain(min(ends), max(ends))

    def reciprocal(self) -> Domain:
        """1 / x; unbounded if zero lies inside."""
        if self.nonnegative:
            return Domain(1 / self.high if self.high else INF, 1 / self.low if self.low else INF)
        return -(-self).reciprocal() if self.nonpositive else ANY

    def through(self, f: Callable[[Any], Any], *turns: float) -> Domain:
        """The range of f, monotone but for turning points: its values at the ends and at the turns inside."""
        try:
            with np.errstate(all="ignore"):
                values = [float(f(x)) for x in (self.low, self.high, *turns) if self.low <= x <= self.high]
        except ArithmeticError:  # an attribute with which f has no value
            return ANY
        return ANY if any(map(math.isnan, values)) else Domain(min(values), max(values))

    def outward(self, digits: int) -> Domain:
        """Ends that a float of so many binary digits cannot hold move out by 4 units in its last place: what
        the rounding of a kernel may overshoot."""
        return Domain(_moved(self.low, -1, digits), _moved(self.high, 1, digits))


ANY = Domain()
ZERO = Domain(0, 0)
UNIT = Domain(0, 1)
SIGNED_UNIT = Domain(-1, 1)
NONNEGATIVE = Domain(0, INF)
NONPOSITIVE = Domain(-INF, 0)


def _fixed(shape: tuple[int | str | None, ...] | None) -> tuple[int, ...]:
    return tuple(length if isinstance(length, int) else 1 for length in shape or ())


def _times(a: float, b: float) -> float:
    return a * b if a and b else 0.0  # an infinite end is a limit: zero times it is zero


def _moved(end: float, sign: int, digits: int) -> float:
    if not math.isfinite(end) or math.frexp(end)[0] * 2.0**digits % 1 == 0:
        return end
    return end + sign * 8 * abs(end) * 2.0**-digits


_OF_TYPE: dict[int, Domain] = {
    TensorProto.BOOL: UNIT,
    TensorProto.UINT8: Domain(0, 255),
    TensorProto.INT8: Domain(-128, 127),
    TensorProto.UINT16: Domain(0, 65535),
    TensorProto.INT16: Domain(-32768, 32767),
    TensorProto.UINT32: NONNEGATIVE,
    TensorProto.UINT64: NONNEGATIVE,
}


@dataclass(frozen=True, slots=True)
class At:
    """An op at its place in the graph: what a declared range or work looks at. index: which output
    is asked for."""

    graph: Graph
    node: Node
    index: int
    domains: Mapping[str, Domain]

    def attribute(self, name: str, default: Any = None) -> Any:
        """An attribute or its default."""
        return self.node.attributes.get(name, default)

    def has(self, slot: int) -> bool:
        """Whether the input is there."""
        return slot < len(self.node.inputs) and self.node.inputs[slot] != ""

    def domain(self, slot: int) -> Domain:
        """The domain of an input: as propagated, of a constant, or of an integer type."""
        name = self.node.inputs[slot]
        if name in self.domains:
            return self.domains[name]
        if name in self.graph.constants:
            return of_array(self.graph.constants[name])
        return _OF_TYPE.get(self.graph.value(name).elem_type, ANY)

    def lengths(self, slot: int) -> tuple[int, ...]:
        """The shape of an input, lengths that are not known as 1."""
        return _fixed(self.graph.value(self.node.inputs[slot]).shape)

    @property
    def outputs(self) -> int:
        """The number of elements of the output, lengths that are not known as 1."""
        return math.prod(_fixed(self.graph.value(self.node.output).shape))

    def size(self, name: str) -> int:
        """The number of elements of a value, 0 if it is not static."""
        shape = self.graph.value(name).shape
        return 0 if shape is None else math.prod(size if isinstance(size, int) else 0 for size in shape)

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
