"""Inputs of floats that hold nothing but the numbers of tokens.

Keras gives an input of numbers the type float32, and casts it in front of an embedding. What is cast and then looked
up in a table has no value of its own: it is an integer, which may still be given as a float.
"""

from __future__ import annotations

from dataclasses import replace

from onnx import TensorProto

from onnxdtd.model.graph import Graph, Node

MOVES = {"Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Transpose"}
INTEGERS = {TensorProto.INT32, TensorProto.INT64}


def token_inputs(graph: Graph) -> Graph:
    """Gather(table, Cast(x)) with floats x -> the same of integers x."""
    values, read = dict(graph.values), []
    for name in graph.inputs:
        looked_up: dict[str, None] = {}
        kinds = _casts(graph, name, looked_up) if graph.value(name).is_float else set()
        kind = kinds.pop() if len(kinds) == 1 else None
        if kind is not None:
            values |= {v: replace(graph.value(v), elem_type=kind) for v in looked_up}
            values[name] = replace(values[name], whole=True)
            read.append(f"'{name}'")
    if not read:
        return graph
    return graph.replace(values=values).noting(
        f"floats that are looked up read as integers: {', '.join(read)}"
    )


def _casts(graph: Graph, value: str, moved: dict[str, None]) -> set[int | None]:
    """The types that floats are cast to, all of which are looked up; None among them where anything else is done.
    moved: filled with the floats, and what they are in other shapes."""
    moved[value] = None
    kinds: set[int | None] = {None} if value in graph.outputs else set()
    for node in graph.consumers.get(value, ()):
        if node.op in MOVES and node.inputs[0] == value:
            kinds |= _casts(graph, node.output, moved)
        elif node.op == "Cast" and node.attributes.get("to") in INTEGERS and _looked_up(graph, node.output):
            kinds.add(node.attributes["to"])
        else:
            kinds.add(None)
    return kinds


def _looked_up(graph: Graph, value: str) -> bool:
    """Whether integers are nothing but places in tables."""
    nodes = graph.consumers.get(value, ())
    return bool(nodes) and value not in graph.outputs and all(_looks_up(graph, node, value) for node in nodes)


def _looks_up(graph: Graph, node: Node, value: str) -> bool:
    if node.op in MOVES and node.inputs[0] == value:
        return _looked_up(graph, node.output)
    if node.op == "Gather" and node.inputs[0] != value:
        maker = graph.producers.get(node.inputs[0])
        return node.inputs[0] in graph.constants or (maker is not None and maker.op == "Constant")
    return node.op == "OneHot" and node.inputs[0] == value
