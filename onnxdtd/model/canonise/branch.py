"""A branch whose condition is known is the body that it takes; one that only a run knows, where the run took it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from onnx import GraphProto, TensorProto

from onnxdtd.model.canonise.condition import said
from onnxdtd.model.canonise.constants import constants
from onnxdtd.model.canonise.draft import Draft, free, nodes
from onnxdtd.model.graph import Graph, Node, Value
from onnxdtd.model.load import value_of
from onnxdtd.model.shapes import UNKNOWN
from onnxdtd.model.weights import dense, to_array


def branch(graph: Graph) -> Graph:
    """If(true, f, g)(x) = f(x): the body's nodes take the place of the If, and what they make known is folded."""
    while ifs := [n for n in graph.nodes if _branches(n) and n.inputs[0] in graph.constants]:
        sides = {node.name: _side(bool(graph.constants[node.inputs[0]].all())) for node in ifs}
        graph = constants(_written(graph, sides, f"If of a known condition written out: {nodes(len(ifs))}"))
    return graph


def take(graph: Graph, conditions: Mapping[str, bool | None]) -> Graph:
    """If(c, f, g)(x) = f(x) wherever c(x) holds, at the point and around it, since a condition has no slope: the
    branches that are taken under these conditions are written out, and the conditions are kept with the graph.

    Of a condition that changes (None), both are: If(c, f, g)(x) = Where(c, f(x), g(x)), where their results are known
    to have one shape.
    """
    ifs = [n for n in graph.nodes if _branches(n) and conditions.get(n.inputs[0]) is not None]
    steady = {node.inputs[0]: bool(conditions[node.inputs[0]]) for node in ifs}
    sides = {node.name: _side(steady[node.inputs[0]]) for node in ifs}
    notes = [
        f"branch taken: {_side(held).removesuffix('_branch')} of "
        f"{', '.join(repr(node.name) for node in ifs if node.inputs[0] == name)}, "
        f"since {said(graph, name)}{'' if held else ' does not hold'}"
        for name, held in steady.items()
    ]
    changing = [n for n in graph.nodes if _branches(n) and conditions.get(n.inputs[0], True) is None]
    changing = [node for node in changing if all(_has_one_shape(graph.value(v)) for v in node.outputs if v)]
    notes += [f"branch taken: both of '{n.name}', since {said(graph, n.inputs[0])} changes" for n in changing]
    if not notes:
        return graph
    # The conditions live on, though the nodes that they decide are gone.
    graph = dataclasses.replace(graph, conditions={**graph.conditions, **steady})
    return _written(graph, sides, *notes, both=changing)


def _has_one_shape(value: Value) -> bool:
    return value.shape is not None and not any(s is None or str(s).startswith(UNKNOWN) for s in value.shape)


def _branches(node: Node) -> bool:
    return node.op == "If" and not node.domain


def _side(held: bool) -> str:
    return "then_branch" if held else "else_branch"


def _written(graph: Graph, sides: Mapping[str, str], *notes: str, both: Sequence[Node] = ()) -> Graph:
    """The graph with one body of each of these nodes in its place, of some both and a choice."""
    draft = Draft(graph)
    for node in both:
        _choose(node, draft)
    for name, side in sides.items():
        node = graph.by_name[name]
        _inline(node, node.attributes[side], draft)
    return draft.graph(*notes)


def _choose(node: Node, draft: Draft) -> None:
    """Both bodies beside the If, and a Where for each output, by the condition without its axes."""
    made: list[tuple[str, ...]] = []
    for side in ("then_branch", "else_branch"):
        ends = tuple(draft.named(f"{out}/{side}") if out else "" for out in node.outputs)
        made.append(ends)
        copied = replace(node, name=free(f"{node.name}/{side}", draft.nodes), outputs=ends)
        draft.put(copied, at=node)
        _inline(copied, node.attributes[side], draft)
    scalar = draft.constant(f"{node.name}/scalar", np.zeros(0, np.int64))
    condition = draft.named(f"{node.name}/condition")
    draft.remove(node)
    name = free(f"{node.name}/condition", draft.nodes)
    reshaped = Node(name, "Reshape", (node.inputs[0], scalar), (condition,))
    draft.put(reshaped)
    draft.values[condition] = Value(condition, TensorProto.BOOL, ())
    for out, then, otherwise in zip(node.outputs, *made, strict=True):
        if out:
            name = free(f"{node.name}/{out}", draft.nodes)
            draft.put(Node(name, "Where", (condition, then, otherwise), (out,)), at=reshaped)


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
        draft.put(node_renamed(inner, names), at=node)
    for output, value in ends.items():
        if output and names.get(value) != output:
            name = free(f"{node.name}/{output}", draft.nodes)
            draft.put(Node(name, "Identity", (names.get(value, value),), (output,)), at=node)
    draft.remove(node)


def node_renamed(node: Node, names: Mapping[str, str]) -> Node:
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
        inner = node_renamed(Node.from_proto(proto, proto.name), names)
        proto.input[:], proto.output[:] = inner.inputs, inner.outputs
        for attribute in proto.attribute:
            if attribute.HasField("g"):
                attribute.g.CopyFrom(inner.attributes[attribute.name])
    for thing in (*copy.input, *copy.output, *copy.value_info, *copy.initializer):
        thing.name = names.get(thing.name, thing.name)
    for sparse in copy.sparse_initializer:
        sparse.values.name = names.get(sparse.values.name, sparse.values.name)
    return copy
