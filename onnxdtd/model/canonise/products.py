"""Products that are something else in disguise are marked, so that nobody after has to find out again."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from onnxdtd.model.graph import Graph, Mark, Node, needs

_ARITHMETIC = {"Add", "Sub", "Mul", "Div", "Pow", "Neg", "Identity", "Cast"}
_CURVES = {
    "Relu", "LeakyRelu", "PRelu", "Elu", "Celu", "Selu", "ThresholdedRelu", "Shrink", "Abs", "HardSigmoid", "Sigmoid",
    "Tanh", "Softplus", "Softsign", "Clip", "Sqrt", "Reciprocal", "Exp", "Log", "Erf", "Sin", "Cos", "Tan", "Asin",
    "Acos", "Atan", "Sinh", "Cosh", "Asinh", "Acosh", "Atanh", "Gelu", "Swish", "Mish", "HardSwish",
}  # fmt: skip
_MOVES = {"Reshape", "Expand", "Unsqueeze", "Squeeze", "Identity", "Cast"}
_GATES = {"Sigmoid", "HardSigmoid"}
_PICKS = {"Transpose", "Flatten", "Slice", "Split", "Gather"}
_CONTRACTIONS = {"MatMul", "Einsum"}
_CONSTANT_BY_STEPS = {"Shape", "Size", "Sign", "Floor", "Ceil", "Round"}
_LONGEST = 16
"""Nodes that a written-out activation may have."""


def products(graph: Graph) -> Graph:
    """f(x) = f(x), some nodes marked. As `gated`: x g(x) with g elementwise (SiLU as x sigmoid(x), GELU as
    x (1 + erf(x / sqrt 2)) / 2, and kin), x (1 / s), as exporters write norms, and a signal behind a gate, a squashed
    factor (LSTM cells, squeeze and excite). As `attention`: a product of two values behind a Softmax. As `one_hot`:
    the comparison of integers with all their values.

    Source of gates: Arras et al. 2017: relevance is all the signal's. Half to each grows from step to step.
    """
    flow = _Flow(graph)
    for node in graph.nodes:
        flow.pass_through(node)
    if not flow.marks:
        return graph
    nodes = tuple(replace(node, mark=flow.marks.get(node.name)) for node in graph.nodes)
    return replace(graph, nodes=nodes)


@dataclass
class _Flow:
    """What is known of the values, filled in topological order.

    moving: those that depend on the model's input, all others are constants. unscaled: the value without its constant
    factors, where it has any. inverse: 1 / s, constant factors and moves aside. squashed: a Sigmoid, a HardSigmoid,
    or 1 minus it, constant factors and moves aside. shared: made by a Softmax, or of what one has made.
    """

    graph: Graph
    moving: set[str] = field(default_factory=set)
    unscaled: dict[str, str] = field(default_factory=dict)
    inverse: set[str] = field(default_factory=set)
    squashed: set[str] = field(default_factory=set)
    shared: set[str] = field(default_factory=set)
    marks: dict[str, Mark] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.moving.update(self.graph.inputs)

    def pass_through(self, node: Node) -> None:
        """Mark the node, and note what is known of its outputs."""
        read = [value for value in needs(node) if value in self.moving]
        if node.domain == "":
            self._mark(node, read)
            self._note(node)
        if not self.shared.isdisjoint(read) or (read and node.op == "Softmax" and not node.domain):
            self.shared.update(filter(None, node.outputs))
        if read and node.op not in _CONSTANT_BY_STEPS:
            floats = any(self.graph.value(value).is_float for value in read)
            self.moving.update(v for v in node.outputs if v and (not floats or self._is_float(v)))

    def _is_float(self, value: str) -> bool:
        return self.graph.value(value).is_float or not self.graph.value(value).elem_type

    def _mark(self, node: Node, read: list[str]) -> None:
        if node.op == "Mul" and len(read) == 2 and (signal := self._signal(node)) is not None:
            self.marks[node.name] = Mark("gated", signal)
        elif node.op in _CONTRACTIONS and len(read) > 1 and not self.shared.isdisjoint(read):
            self.marks[node.name] = Mark("attention")
        elif node.op == "Equal" and self._compares_with_all(node):
            self.marks[node.name] = Mark("one_hot")

    def _squashes(self, node: Node) -> bool:
        """Whether the node makes a gate."""
        moving = [value for value in node.inputs if value in self.moving]
        if node.op in _GATES:
            return bool(moving)
        keeps = node.op in _MOVES | _PICKS or (
            node.op in ("Mul", "Div", "Sub") and node.inputs[0] not in self.moving
        )
        scales = node.op in ("Mul", "Div") and node.inputs[1] not in self.moving
        return (keeps or scales) and len(moving) == 1 and moving[0] in self.squashed

    def _note(self, node: Node) -> None:
        """Of a product with a constant: what it scales; of a division and of moves: whether it is 1 / s."""
        first, second = (*node.inputs, "", "")[:2]
        self.squashed.update(node.outputs if self._squashes(node) else ())
        if node.op in ("Mul", "Div") and (first in self.moving) != (second in self.moving):
            if node.op == "Div" and second in self.moving:
                self.inverse.add(node.output)
                return
            x = first if first in self.moving else second
            self.unscaled[node.output] = self.unscaled.get(x, x)
            self.inverse.update([node.output] if x in self.inverse else [])
        elif node.op in _MOVES:
            self.inverse.update([node.output] if first in self.inverse else [])
        elif node.op == "Reciprocal":
            self.inverse.add(node.output)
        elif node.op == "Pow" and (power := self.graph.constants.get(second)) is not None:
            self.inverse.update([node.output] if (power < 0).all() else [])

    def _signal(self, node: Node) -> int | None:
        """The slot of x in y = x g(x), where x may have a constant factor, in y = x (1 / s), or in y = x g of which
        only g is squashed."""
        for slot in (0, 1):
            x = self.unscaled.get(node.inputs[slot], node.inputs[slot])
            gate = node.inputs[1 - slot]
            if self._same_shape(x, gate) and self._elementwise(gate, x):
                return slot
        aside = self.inverse if self.inverse.intersection(node.inputs) else self.squashed
        signals = [slot for slot in (0, 1) if node.inputs[1 - slot] in aside]
        return signals[0] if len(signals) == 1 or (signals and aside is self.inverse) else None

    def _same_shape(self, x: str, y: str) -> bool:
        shape = self.graph.value(x).shape
        return shape is not None and shape == self.graph.value(y).shape

    def _elementwise(self, value: str, x: str) -> bool:
        """Whether the value is a function of x alone, element by element: the way back meets x and constants only."""
        waiting, seen = [value], set()
        while waiting:
            name = waiting.pop()
            if name == x or name not in self.moving or name in seen:
                continue
            seen.add(name)
            maker = self.graph.producers.get(name)
            if maker is None or maker.domain or len(seen) > _LONGEST or not self._same_shape(name, x):
                return False
            if maker.op not in _ARITHMETIC | _CURVES:
                return False
            waiting += filter(None, maker.inputs)
        return True

    def _compares_with_all(self, node: Node) -> bool:
        """Integers (..., 1) and all of their values (..., K)."""
        ends = [(self.graph.value(name).shape or ())[-1:] == (1,) for name in node.inputs]
        return sorted(ends) == [False, True]
