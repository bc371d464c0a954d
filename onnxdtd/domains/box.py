"""The input's range, carried elementwise to where the first layer sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

import numpy as np

from onnxdtd.domains.interval import ANY
from onnxdtd.domains.propagation import Domain, Range
from onnxdtd.errors import UsageError
from onnxdtd.model.graph import Graph, Node
from onnxdtd.model.reference import evaluate
from onnxdtd.registry import OPS
from onnxdtd.types import Array

Ends = tuple[Array, Array]
FARTHEST = float(np.finfo(np.float32).max) ** 0.5
"""An end farther from zero is none: its product with a weight may be more than float32 holds."""
MOST_VARYING = 2
"""Inputs of one node that depend on the graph's: each more of them doubles the corners that are looked at."""


@dataclass(frozen=True)
class Box:
    """Bounds of a tensor, elementwise: arrays that broadcast to it, infinite where there is none."""

    low: Array
    high: Array

    @property
    def kind(self) -> Literal["bounded", "nonnegative", "below", "above", "unbounded"]:
        """Which input domain of Deep Taylor it is (`below`, `above`: the side that is finite)."""
        low, high = bool(np.isfinite(self.low).all()), bool(np.isfinite(self.high).all())
        if low and high:
            return "bounded"
        if low:
            return "nonnegative" if not np.any(self.low) else "below"
        return "above" if high else "unbounded"


def range_of(name: str, input_range: Range) -> tuple[Any, Any]:
    """The range of one graph input; (-inf, inf) where none is stated."""
    if isinstance(input_range, Mapping):
        return input_range.get(name, (-np.inf, np.inf))
    return input_range if input_range is not None else (-np.inf, np.inf)


class Boxes:
    """The bounds of values: the input's range moved through scaling, shifting, moving and padding ops.

    Where other ops stand between, the value's domain serves as its bounds. Each node on the way is computed once,
    whatever the number of values that are asked for.
    """

    def __init__(self, graph: Graph, input_range: Range, ranges: Mapping[str, Domain]) -> None:
        self._graph, self._input_range, self._ranges = graph, input_range, ranges
        self._inputs = frozenset(graph.inputs)
        self._ends: dict[str, Ends | None] = {name: (a, a) for name, a in graph.constants.items()}
        self._varying: set[str] = set(graph.inputs)

    def at(self, value: str) -> Box:
        """The bounds of one value."""
        if value in self._inputs:
            return _box(*range_of(value, self._input_range))
        ends = None if self._input_range is None else self._carried(value)
        if ends is None or np.isnan(ends).any():
            domain = self._ranges.get(value, ANY)
            return _box(domain.low, domain.high)
        return _box(*map(_squeezed, ends))

    def _carried(self, value: str) -> Ends | None:
        """Both ends of a value, None where they cannot be carried to it: back to what is known, then forward."""
        waiting = [value]
        while waiting:
            name = waiting[-1]
            node = self._graph.producers.get(name)
            if name in self._ends:
                waiting.pop()
            elif node is None:
                self._ends[name] = self._filled(name)
            elif not _is_elementwise(node):
                self._ends[name] = None
            elif missing := [v for v in node.inputs if v and v not in self._ends]:
                waiting += missing
            else:
                self._ends[name] = self._through(node)
        return self._ends[value]

    def _filled(self, name: str) -> Ends | None:
        value = self._graph.value(name)
        if name not in self._inputs or value.shape is None:
            return None
        shape = tuple(d if isinstance(d, int) else 1 for d in value.shape)
        low, high = (np.asarray(end, value.dtype) for end in range_of(name, self._input_range))
        try:
            return np.broadcast_to(low, shape).copy(), np.broadcast_to(high, shape).copy()
        except ValueError:
            raise UsageError(
                f"input_range of shape {low.shape} does not fit input '{name}' {value.shape}: give two numbers, or "
                "arrays that broadcast to it; of pictures it lies where their layout has the channels (--layout)"
            ) from None

    def _through(self, node: Node) -> Ends | None:
        """Of a map that is affine in each input the extremes lie in corners of the box; a factor may turn them."""
        varying = [value for value in node.inputs if value in self._varying]
        self._varying.update(node.outputs)
        ends = {value: self._ends[value] for value in node.inputs if value}
        moves = OPS[node.domain, node.op].kind == "route"
        slots = [slot for slot, value in enumerate(node.inputs) if value in varying]
        if any(pair is None for pair in ends.values()) or not all(_is_affine(node, slot) for slot in slots):
            return None
        if len(varying) > MOST_VARYING or len({*varying}) < len(varying):
            if not moves:
                return None
            corners = [dict.fromkeys(varying, side) for side in (0, 1)]
        else:
            sides = product((0, 1), repeat=len(varying))
            corners = [dict(zip(varying, side, strict=True)) for side in sides]
        results = []
        for corner in corners:
            feeds = {value: pair[corner.get(value, 0)] for value, pair in ends.items() if pair is not None}
            results.append(evaluate(node, self._graph.opsets, feeds))
        made = [result[node.output] for result in results if result is not None]
        return (np.fmin.reduce(made), np.fmax.reduce(made)) if len(made) == len(corners) else None


def _is_elementwise(node: Node) -> bool:
    """Whether each value that the node makes comes of at most one value of each input."""
    entry = OPS.get((node.domain, node.op))
    if entry is None or any(node.outputs[1:]):
        return False
    sums_elements = entry.family == "sum" and entry.data is None
    return (
        entry.kind == "route"
        or entry.rounds
        or (entry.kind == "linear" and (entry.family == "scale" or sums_elements))
    )


def _is_affine(node: Node, slot: int) -> bool:
    """Whether the map is affine where only this input moves: a divisor's is not. Rounding keeps the order."""
    entry = OPS[node.domain, node.op]
    carries = entry.data is None or slot in entry.data
    return carries and (entry.rounds or entry.at((slot,), node.attributes).kind in ("route", "linear"))


def _box(low: Any, high: Any) -> Box:
    low, high = np.asarray(low, np.float64), np.asarray(high, np.float64)
    return Box(np.where(abs(low) > FARTHEST, -np.inf, low), np.where(abs(high) > FARTHEST, np.inf, high))


def _squeezed(bound: Array) -> Array:
    """Axes along which the bound does not change are kept with length 1."""
    for axis in range(bound.ndim):
        first = np.take(bound, [0], axis=axis)
        if np.array_equal(np.broadcast_to(first, bound.shape), bound):
            bound = first
    return bound
