"""Activations that were written out with simpler operators."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from onnxdtd.model.canonise.draft import Draft, nodes
from onnxdtd.model.canonise.elementwise import values_of
from onnxdtd.model.graph import Graph, Node
from onnxdtd.model.node import SPELLED_X
from onnxdtd.types import Array

_ENDS = {"Add", "Sub", "Mul", "Div", "Neg", "Log", "Max", "Min", "Where", "Clip"}
_COMPARED = {"Greater", "Less", "GreaterOrEqual", "LessOrEqual"}
_ARITHMETIC = {"Add", "Sub", "Mul", "Div", "Neg", "Pow"}
_CURVED = {
    "Abs", "Max", "Min", "Where", "Clip", "Log", "Exp", "Erf", "Tanh", "Sigmoid", "HardSigmoid", "Softplus", "Relu",
    "Sign",
}  # fmt: skip
_IN_DOUBLE = {"Relu", "Sigmoid", "Shrink"}
"""What onnxruntime computes in float64 too."""
_NEVER = 1000
"""Since which opset onnxruntime runs what it has only in some."""
_LONGEST = 16
"""Nodes that a written-out activation may have."""
_MOST_CURVED = 8
"""Of them those that bend; Mish, whose numbers are kept from overflowing, has six."""
_FAR = np.array([-1e6, 1e6])
_GRID = np.concatenate([np.linspace(-8, 8, 129), [-1e6, -1e3, -30, 30, 1e3, 1e6]])

Attributes = dict[str, Any]
_Activation = tuple[str, Attributes, bool]


def written_out(graph: Graph) -> Graph:
    """f written out = f: the last node becomes the activation that has the same values at many points.

    Relu, LeakyRelu, Elu, Tanh, Softsign, Softplus, Shrink, HardSigmoid, HardSwish, Swish, Mish and Gelu. Where the
    opset, or onnxruntime in this type, lacks the operator, the nodes go on computing it (`Node.spelled`). Inner
    values that something else reads keep their nodes.
    """
    draft = Draft(graph)
    places = graph.places
    forms = _Forms(draft)
    count = 0
    for node in graph.nodes:
        if node.domain or node.op not in _ENDS:
            continue
        for x, region, form in _regions(node, forms, places):
            activation = forms.activation(x, node.output, region, form)
            if activation is not None:
                op, attributes, runs = activation
                spelled = () if runs else _spelled(x, region)
                draft.put(Node(node.name, op, (x,), node.outputs, attributes, spelled=spelled))
                count += 1
                break
    return draft.graph(f"activations written as one node: {nodes(count)}") if count else graph


def _regions(end: Node, forms: _Forms, places: dict[str, int]) -> Iterator[tuple[str, list[Node], int]]:
    """(x, the nodes between x and the end in the order of computation, their form) of every value of which alone the
    end is a function, the nearest first."""
    draft = forms.draft
    region: list[Node] = []
    makers: dict[str, Node | None] = {end.output: end}
    numbers, form = {end.output: 0}, 0
    curved = 0
    while makers and len(region) < _LONGEST and curved < _MOST_CURVED:
        # The latest first: where one value is left, the end depends on it alone.
        node = makers.pop(max(makers, key=lambda v: -1 if (m := makers[v]) is None else places[m.name]))
        if node is None or not _elementwise(node):
            return
        region.append(node)
        curved += node.op in _CURVED
        for value in filter(None, node.inputs):
            if value not in draft.constants or draft.constants[value].size != 1:
                makers[value] = draft.maker(value)
                numbers.setdefault(value, len(numbers))
        form = forms.number(form, node, numbers)
        if curved and len(makers) == 1:
            yield next(iter(makers)), region[::-1], form


def _spelled(x: str, region: list[Node]) -> tuple[Node, ...]:
    """The region with names of its own for x and what it makes."""
    names = {x: SPELLED_X, **{node.output: str(place) for place, node in enumerate(region)}}
    return tuple(
        replace(
            node, name=names[node.output], inputs=tuple(names.get(v, v) for v in node.inputs),
            outputs=(names[node.output],), mark=None,
        )
        for node in region
    )  # fmt: skip


def _elementwise(node: Node) -> bool:
    return not node.domain and not node.spelled and node.op in _ARITHMETIC | _CURVED | _COMPARED


class _Forms:
    """What regions of one form compute: very many of a model's are alike."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self._numbers: dict[Any, int] = {}
        self._activations: dict[tuple[int, int], _Activation | None] = {}

    def number(self, behind: int, node: Node, numbers: Mapping[str, int]) -> int:
        """The form of a region with one more node in front: a number for all that compute the same, whatever their
        values are called. behind: the form without it. numbers: of the region's values."""
        inputs = tuple(numbers[v] if v in numbers else self._constant(v) for v in node.inputs)
        attributes = repr(node.attributes) if node.attributes else ""
        key = (behind, node.op, attributes, numbers[node.output], inputs)
        return self._numbers.setdefault(key, len(self._numbers) + 1)

    def _constant(self, name: str) -> tuple[str, bytes]:
        if not name:
            return "", b""
        array = self.draft.constants[name]
        return array.dtype.str, array.tobytes()

    def activation(self, x: str, y: str, region: list[Node], form: int) -> _Activation | None:
        """The operator that computes what the region computes, its attributes, and whether the model may run it."""
        value, out = self.draft.value(x), self.draft.value(y)
        kind = (value.elem_type, value.shape)
        if not value.is_float or kind != (out.elem_type, out.shape) or value.shape is None:
            return None
        key = (form, value.elem_type)
        if key not in self._activations:
            with np.errstate(all="ignore"):
                self._activations[key] = _activation(x, value.dtype, region, self.draft)
        return self._activations[key]


def _activation(x: str, dtype: np.dtype[Any], region: list[Node], draft: Draft) -> _Activation | None:
    if not _bends(*_values(x, _FAR.astype(dtype), region, draft)):
        return None
    constants = [draft.constants[v] for n in region for v in n.inputs if v in draft.constants]
    numbers = {float(c.item()) for c in constants if c.dtype.kind == "f" and np.isfinite(c).all()}
    turns = [s * c * f for c in numbers for s in (-1, 1) for f in (0.99, 1, 1.01, 2) if abs(c) < 1e6]
    points = np.unique(np.array([*_GRID, *turns]).astype(dtype))
    values = _values(x, points, region, draft)
    at, finite = points.astype(np.float64), np.isfinite(values)
    if not finite[np.abs(at) <= 8].all():
        return None
    for op, since, attributes, formula in _table(lambda p: _at(p, at, values), numbers):
        expected = formula(at)
        near = (values == expected) | (np.abs(values - expected) <= 2e-6 + 1e-5 * np.abs(expected))
        if (near | ~finite).all():
            return op, attributes, draft.opset >= since and (dtype != np.float64 or op in _IN_DOUBLE)
    return None


def _values(x: str, points: Array, region: list[Node], draft: Draft) -> Array:
    """What the region makes of x at these points."""
    made = {x: points}
    for node in region:
        inputs = [
            made[v] if v in made else draft.constants[v].reshape(()) if v else None for v in node.inputs
        ]
        made[node.output] = values_of(node, inputs)
    return np.asarray(np.broadcast_to(made[region[-1].output], points.shape), np.float64)


def _bends(left: float, right: float) -> bool:
    """Whether the values at -1e6 and 1e6 are those of some activation: x at the right, 1, or 0 after 1."""
    return not math.isfinite(right) or right > 4e5 or abs(right - 1) < 1e-3 or abs(right) < 1e-3 < left


def _at(point: float, points: Array, values: Array) -> float:
    return float(values[np.argmin(np.abs(points - point))])


def _table(
    f: Callable[[float], float], numbers: set[float]
) -> Iterator[tuple[str, int, Attributes, Callable[[Array], Array]]]:
    """(operator, since which opset, attributes as f and the region's numbers tell them, formula)."""
    yield "Relu", 6, {}, lambda p: np.maximum(p, 0)
    slope = -f(-1.0)
    if math.isfinite(slope) and slope not in (0.0, 1.0):
        yield "LeakyRelu", 6, {"alpha": slope}, lambda p: np.where(p > 0, p, slope * p)
    floor = f(-1e3)
    if math.isfinite(floor) and floor < 0:
        yield "Elu", 6, {"alpha": -floor}, lambda p: np.where(p > 0, p, -floor * np.expm1(np.minimum(p, 0)))
    yield "Tanh", 6, {}, np.tanh
    yield "Softsign", 1, {}, lambda p: p / (1 + np.abs(p))
    yield "Softplus", 1, {}, lambda p: np.logaddexp(0, p)
    yield "Sigmoid", 6, {}, _sigmoid
    beta = f(0.0)
    alpha = _sharp(8 * (f(0.125) - beta), numbers)
    if 0 < beta < 1 and alpha:
        yield "HardSigmoid", 6, {"alpha": alpha, "beta": beta}, lambda p: np.clip(alpha * p + beta, 0, 1)
    yield "HardSwish", 14, {}, lambda p: p * np.clip(p / 6 + 0.5, 0, 1)
    tail = f(-0.125) / -0.125  # 1 / (1 + e^(alpha / 8))
    rate = 8 * math.log(1 / tail - 1) if 0 < tail < 1 else 0.0
    for alpha in sorted(a for a in {1.0, *map(abs, numbers)} if math.isclose(a, rate, rel_tol=0.05)):
        yield "Swish", _NEVER, {"alpha": alpha}, partial(_swish, alpha)
    shift = 1e6 - f(1e6)
    for edge in sorted(n for n in map(abs, numbers) if n):
        for bias in (b for b in (edge, 0.0) if abs(b - shift) < 1):
            yield "Shrink", 9, {"lambd": edge, "bias": bias}, partial(_shrunk, edge, bias)
    yield "Mish", 18, {}, lambda p: p * np.tanh(np.logaddexp(0, p))
    yield "Gelu", 20, {"approximate": "tanh"}, lambda p: p * _sigmoid(2 * _inner(p))
    yield "Gelu", 20, {}, lambda p: p * (0.5 + 0.5 * np.vectorize(math.erf)(p / math.sqrt(2)))


def _swish(alpha: float, p: Array) -> Array:
    return p * _sigmoid(alpha * p)


def _shrunk(edge: float, bias: float, p: Array) -> Array:
    return np.where(np.abs(p) > edge, p - np.sign(p) * bias, 0)


def _sharp(slope: float, numbers: set[float]) -> float:
    """The slope with all its digits, where it is one of the numbers or 1 over one of them."""
    candidates = [c for n in numbers if n for c in (n, 1 / n)]
    return next((c for c in candidates if math.isclose(c, slope, rel_tol=1e-5)), slope)


def _sigmoid(p: Array) -> Array:
    return 0.5 + 0.5 * np.tanh(p / 2)


def _inner(p: Array) -> Array:
    return math.sqrt(2 / math.pi) * (p + 0.044715 * p**3)
