"""Which products are something else in disguise: an activation (SiLU as x sigmoid(x), GELU as x (1 + erf(x / sqrt 2))
/ 2, and kin), or a division (x times 1 / std, as exporters write norms)."""

from __future__ import annotations

from collections.abc import Container

from onnxdtd.model.graph import Graph, Node
from onnxdtd.ops import OPS

_ARITHMETIC = {"Add", "Sub", "Mul", "Div", "Pow", "Neg", "Identity", "Cast"}
_MOVES = ("Reshape", "Expand", "Unsqueeze", "Squeeze", "Identity", "Cast")
_LONGEST = 16


def signal(graph: Graph, node: Node, moving: Container[str]) -> int | None:
    """The slot of x in y = x g(x) with g elementwise, where x may have a constant factor, or in y = x (1 / s); None
    for other nodes.

    moving: the values that depend on the model's input; the others are constants.
    """
    if node.op != "Mul" or node.domain or not all(value in moving for value in node.inputs):
        return None
    for slot in (0, 1):
        x, gate = _unscaled(graph, node.inputs[slot], moving), node.inputs[1 - slot]
        if _same_shape(graph, x, gate) and _elementwise(graph, gate, x, moving):
            return slot
    for slot in (0, 1):
        if _inverse(graph, node.inputs[1 - slot], moving):
            return slot
    return None


def _inverse(graph: Graph, value: str, moving: Container[str]) -> bool:
    """Whether the value is 1 / s, constant factors and moves aside."""
    maker = graph.producers.get(_unscaled(graph, value, moving))
    while maker is not None and not maker.domain and maker.op in _MOVES:
        maker = graph.producers.get(_unscaled(graph, maker.inputs[0], moving))
    if maker is None or maker.domain:
        return False
    if maker.op == "Pow":
        power = graph.constants.get(maker.inputs[1])
        return power is not None and bool((power < 0).all())
    return maker.op == "Reciprocal" or (maker.op == "Div" and maker.inputs[0] not in moving)


def _unscaled(graph: Graph, value: str, moving: Container[str]) -> str:
    """The value without constant factors."""
    maker = graph.producers.get(value)
    if maker is None or maker.domain or maker.op not in ("Mul", "Div"):
        return value
    left, right = maker.inputs
    if right not in moving:
        return _unscaled(graph, left, moving)
    return _unscaled(graph, right, moving) if maker.op == "Mul" and left not in moving else value


def _same_shape(graph: Graph, x: str, y: str) -> bool:
    shape = graph.value(x).shape
    return shape is not None and shape == graph.value(y).shape


def _elementwise(graph: Graph, value: str, x: str, moving: Container[str]) -> bool:
    """Whether the value is a function of x alone, element by element: the way back meets x and constants only."""
    waiting, seen = [value], set()
    while waiting:
        found = waiting.pop()
        if found == x or found not in moving or found in seen:
            continue
        seen.add(found)
        maker = graph.producers.get(found)
        if maker is None or maker.domain or len(seen) > _LONGEST or not _same_shape(graph, found, x):
            return False
        entry = OPS.get(("", maker.op))
        if maker.op not in _ARITHMETIC and (entry is None or entry.kind != "elementwise"):
            return False
        waiting += [name for name in maker.inputs if name]
    return True
