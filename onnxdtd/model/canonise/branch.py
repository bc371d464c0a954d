"""A branch whose condition is known is the body that it takes; one that only a run knows, where the run took it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import replace

from onnx import GraphProto

from onnxdtd.model.canonise.condition import said
from onnxdtd.model.canonise.constants import constants
from onnxdtd.model.canonise.draft import Draft, free, nodes
from onnxdtd.model.graph import Graph, Node
from onnxdtd.model.load import value_of
from onnxdtd.model.weights import dense, to_array


def branch(graph: Graph) -> Graph:
    """If(true, f, g)(x) = f(x): the body's nodes take the place of the If, and what they make known is folded."""
    while ifs := [n for n in graph.nodes if _branches(n) and n.inputs[0] in graph.constants]:
        sides = {node.name: _side(bool(graph.constants[node.inputs[0]].all())) for node in ifs}
        graph = constants(_written(graph, sides, f"If of a known condition written out: {nodes(len(ifs))}"))
    return graph


def take(graph: Graph, conditions: Mapping[str, bool]) -> Graph:
    """If(c, f, g)(x) = f(x) wherever c(x) holds, at the point and around it, since a condition has no slope: the
    branches that are taken under these conditions are written out, and the conditions are kept with the graph.
    """
    ifs = [node for node in graph.nodes if _branches(node) and node.inputs[0] in conditions]
    sides = {node.name: _side(conditions[node.inputs[0]]) for node in ifs}
    notes = [
        f"branch taken: {_side(held).removesuffix('_branch')} of "
        f"{', '.join(repr(node.name) for node in ifs if node.inputs[0] == name)}, "
        f"since {said(graph, name)}{'' if held else ' does not hold'}"
        for name, held in conditions.items()
    ]
    # The conditions live on, though the nodes that they decide are gone.
    graph = dataclasses.replace(graph, conditions={**graph.conditions, **conditions})
    return _written(graph, sides, *notes)


def _branches(node: Node) -> bool:
    return node.op == "If" and not node.domain


def _side(held: bool) -> str:
    return "then_branch" if held else "else_branch"


def _written(graph: Graph, sides: Mapping[str, str], *notes: str) -> Graph:
    """The graph with one body of each of these nodes in its place."""
    draft = Draft(graph)
    for name, side in sides.items():
        node = graph.by_name[name]
        _inline(node, node.attributes[side], draft)
    return draft.graph(*notes)


def _inline(node: Node, body: GraphProto, draft: Draft) -> None:
    """The body's nodes beside the If, with names of their own; its outputs take the names of the If's."""
    made = {v for proto in body.node for v in proto.output if v}
    own = made | {tensor.name for tensor in body.initializer}
    own |= {tensor.values.name for tensor in body.sparse_initializer}
    names = {v: draft.named(f"{node.name}/{v}") for v in sorted(own)}
    ends = dict(zip(node.outputs, (value.name for value in body.output), strict=False))
    for output, value in ends.items():
        if output and value in made and names[value] not in node.outputs:
            names[value] = output
    for tensor in body.initializer:
        draft.fix(names[tensor.name], to_array(tensor))
    for sparse in body.sparse_initializer:
        draft.fix(names[sparse.values.name], dense(sparse))
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
    return replace(
        node,
        inputs=tuple(names.get(v, v) for v in node.inputs),
        outputs=tuple(names.get(v, v) for v in node.outputs),
        attributes={
            key: renamed(value, names) if isinstance(value, GraphProto) else value
            for key, value in node.attributes.items()
        },
    )


def renamed(graph: GraphProto, names: Mapping[str, str]) -> GraphProto:
    """A copy of a body with other names for values, in the graphs inside it too."""
    copy = GraphProto()
    copy.CopyFrom(graph)
    for proto in copy.node:
        inner = _renamed(Node.from_proto(proto, proto.name), names)
        proto.input[:], proto.output[:] = inner.inputs, inner.outputs
        for attribute in proto.attribute:
            if attribute.HasField("g"):
                attribute.g.CopyFrom(inner.attributes[attribute.name])
    for thing in (*copy.input, *copy.output, *copy.value_info, *copy.initializer):
        thing.name = names.get(thing.name, thing.name)
    for sparse in copy.sparse_initializer:
        sparse.values.name = names.get(sparse.values.name, sparse.values.name)
    return copy
