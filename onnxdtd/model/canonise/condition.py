"""A condition in words: `'sr' == 16000`, `size 1 of 'x' > 512`."""

from __future__ import annotations

from onnx import TensorProto

from onnxdtd.model.graph import Graph, Node

_SIGNS = {"Equal": "==", "Less": "<", "LessOrEqual": "<=", "Greater": ">", "GreaterOrEqual": ">="}
_WORDS = {"And": "and", "Or": "or"}
_SAME = ("Identity", "Reshape", "Squeeze", "Unsqueeze")
_DEEPEST = 6


def said(graph: Graph, name: str, depth: int = 0) -> str:
    """What decides the condition, as far back as comparisons and sizes go; else the value's name."""
    if name in graph.constants:
        array = graph.constants[name]
        return str(array.reshape(-1)[0]) if array.size == 1 else f"'{name}'"
    node = graph.producers.get(name)
    if node is None or node.domain or depth == _DEEPEST:
        return f"'{name}'"
    if node.op in _SAME or _one_of_one(graph, node):
        return said(graph, node.inputs[0], depth + 1)
    if node.op == "Cast":
        decides = graph.value(name).elem_type == TensorProto.BOOL != graph.value(node.inputs[0]).elem_type
        return said(graph, node.inputs[0], depth + 1) + (" != 0" if decides else "")
    if node.op == "Not":
        return f"not ({said(graph, node.inputs[0], depth + 1)})"
    if word := _SIGNS.get(node.op) or _WORDS.get(node.op):
        return f" {word} ".join(said(graph, value, depth + 1) for value in node.inputs)
    return _size(graph, node) or f"'{name}'"


def _one_of_one(graph: Graph, node: Node) -> bool:
    """A Gather from a value of one element."""
    return node.op == "Gather" and {*(graph.value(node.inputs[0]).shape or (None,))} == {1}


def _size(graph: Graph, node: Node) -> str:
    """A Gather from a Shape."""
    shape = graph.producers.get(node.inputs[0]) if node.op == "Gather" else None
    if shape is None or shape.op != "Shape" or node.inputs[1] not in graph.constants:
        return ""
    return f"size {graph.constants[node.inputs[1]].reshape(-1)[0]} of '{shape.inputs[0]}'"
