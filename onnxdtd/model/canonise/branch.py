"""A branch whose condition is known is the body that it takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from onnx import GraphProto

from onnxdtd.model.canonise.constants import constants
from onnxdtd.model.canonise.draft import Draft, free, nodes
from onnxdtd.model.graph import Graph, Node
from onnxdtd.model.load import value_of
from onnxdtd.model.weights import to_array


def branch(graph: Graph) -> Graph:
    """If(true, f, g)(x) = f(x): the body's nodes take the place of the If, and what they make known is folded."""
    while (taken := _taken(graph)) is not graph:
        graph = constants(taken)
    return graph


def _taken(graph: Graph) -> Graph:
    draft = Draft(graph)
    known = [n for n in graph.nodes if n.op == "If" and not n.domain and draft.array(n, 0) is not None]
    for node in known:
        side = "then_branch" if draft.constants[node.inputs[0]].all() else "else_branch"
        _inline(node, node.attributes[side], draft)
    return draft.graph(f"If of a known condition written out: {nodes(len(known))}") if known else graph


def _inline(node: Node, body: GraphProto, draft: Draft) -> None:
    """The body's nodes beside the If, with names of their own; its outputs take the names of the If's."""
    made = {v for proto in body.node for v in proto.output if v}
    own = made | {tensor.name for tensor in body.initializer}
    names = {v: free(f"{node.name}/{v}", draft.values) for v in sorted(own)}
    ends = dict(zip(node.outputs, (value.name for value in body.output), strict=False))
    for output, value in ends.items():
        if output and value in made and names[value] not in node.outputs:
            names[value] = output
    for tensor in body.initializer:
        draft.fix(names[tensor.name], to_array(tensor))
    for value in body.value_info:
        if value.name in names and names[value.name] not in node.outputs:
            draft.values[names[value.name]] = replace(value_of(value), name=names[value.name])
    for i, proto in enumerate(body.node):
        inner = Node.from_proto(
            proto, free(f"{node.name}/{proto.name or f'{proto.op_type}_{i}'}", draft.nodes)
        )
        draft.put(_renamed(inner, names), at=node)
    for output, value in ends.items():
        if output and names.get(value) != output:
            name = free(f"{node.name}/{output}", draft.nodes)
            draft.put(Node(name, "Identity", (names.get(value, value),), (output,)), at=node)
    draft.remove(node)


def _renamed(node: Node, names: Mapping[str, str]) -> Node:
    """The node with other names for values, in the graphs inside it too."""

    def deeper(value: Any) -> Any:
        if not isinstance(value, GraphProto):
            return value
        graph = GraphProto()
        graph.CopyFrom(value)
        for proto in graph.node:
            inner = _renamed(Node.from_proto(proto, proto.name), names)
            proto.input[:] = inner.inputs
            for attribute in proto.attribute:
                if attribute.HasField("g"):
                    attribute.g.CopyFrom(inner.attributes[attribute.name])
        for end in graph.output:
            end.name = names.get(end.name, end.name)
        return graph

    return replace(
        node,
        inputs=tuple(names.get(v, v) for v in node.inputs),
        outputs=tuple(names.get(v, v) for v in node.outputs),
        attributes={key: deeper(value) for key, value in node.attributes.items()},
    )
