"""The categories of a table: which floats are read as such, and models that take any of them."""

from __future__ import annotations

from dataclasses import replace

from onnxdtd.model.graph import Graph, Node
from onnxdtd.ops import OPS


def categories(graph: Graph) -> frozenset[str]:
    """The nodes, by name, that take floats for categories, such as 0, 1, 2 for three cities: encoders, and the casts
    to integers in front of them."""
    codes: set[str] = set()
    looked_up: set[str] = set()
    for node in reversed(graph.nodes):
        entry = OPS.get((node.domain, node.op))
        if entry is None:
            continue
        if entry.encodes:
            looked_up.add(node.inputs[0])
            if graph.value(node.inputs[0]).is_float:
                codes.add(node.name)
        elif entry.kind == "route" and not looked_up.isdisjoint(node.outputs):
            moved = [node.inputs[i] for i in entry.data or range(len(node.inputs))]
            if not graph.value(node.output).is_float:
                looked_up.update(moved)
                if any(graph.value(value).is_float for value in moved):
                    codes.add(node.name)
    return frozenset(codes)


def taking_any(graph: Graph) -> Graph:
    """The graph, its encoders making zeros of what is no category of theirs: for a look at shapes with made-up
    inputs."""

    def taking(node: Node) -> Node:
        strict = "zeros" in node.attributes and OPS[node.domain, node.op].encodes
        return replace(node, attributes={**node.attributes, "zeros": 1}) if strict else node

    return replace(graph, nodes=tuple(map(taking, graph.nodes)))
