"""Where a convolutional graph leaves the spatial domain, and the part of it that lies behind."""

from __future__ import annotations

import dataclasses

from onnxdtd.errors import UnsupportedError, UsageError
from onnxdtd.model.graph import Graph, Node, needs
from onnxdtd.plan.faults import describe
from onnxdtd.plan.plan import Plan

# Ops whose layout is channels first by definition.
FIRST = {"Conv", "ConvTranspose", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"}


def feature_map(plan: Plan, node: str | None = None) -> str:
    """The last value (N, K, H, W) with H, W > 1, which is what the op reads that leaves the spatial domain; or
    `node`'s output.

    Where several ops leave it, all others must lie upstream of the last (as gates do). Raises UnsupportedError where
    there is no such value or the layout is not channels first, UsageError for an unknown node.
    """
    graph = plan.graph
    if node is not None:
        by_name = {step.node.name: step.node.output for step in plan.steps}
        if node not in by_name or not _is_map(graph, by_name[node]):
            maps = [name for name, value in by_name.items() if _is_map(graph, value)]
            raise UsageError(f"'{node}' makes no feature map; nodes that do are {', '.join(maps) or 'none'}")
        value = by_name[node]
    else:
        value = _last(plan)
    behind = _transposed(plan, value)
    if behind is not None:
        raise UnsupportedError(
            f"{describe(graph, behind)}: Grad-CAM needs the feature map channels first, and it is moved here; "
            "name the node that makes it: node=..."
        )
    return value


def above(plan: Plan, value: str) -> Graph:
    """The graph from a value to the plan's output, with that value as its first input."""
    graph = plan.graph
    targets = {plan.output: plan.target} if plan.target != plan.output else {}
    nodes = tuple(node for node in graph.nodes if value not in node.outputs)
    head = graph.replace(nodes=nodes, outputs=(plan.output,), targets=targets)
    read = {name for node in head.nodes for name in node.inputs}
    return dataclasses.replace(head, inputs=tuple(name for name in (value, *graph.inputs) if name in read))


def _upstream(graph: Graph, last: Node) -> set[str]:
    """The names of the nodes that a node depends on."""
    names, ahead = set[str](), [last]
    while ahead:
        for value in needs(ahead.pop()):
            producer = graph.producers.get(value)
            if producer is not None and producer.name not in names:
                names.add(producer.name)
                ahead.append(producer)
    return names


def _last(plan: Plan) -> str:
    graph = plan.graph
    leaving = {
        value: step.node
        for step in plan.steps
        for value in (step.node.inputs[slot] for slot in step.slots)
        if _is_map(graph, value) and not _is_map(graph, step.node.output)
    }
    if not leaving:
        raise UnsupportedError(f"Grad-CAM needs a spatial feature map (N, K, H, W) that the output '{plan.output}' "
                               "sums up; this graph has none")  # fmt: skip
    *others, last = leaving.values()
    before = _upstream(graph, last)
    apart = [node for node in others if node.name not in before]
    if apart:
        faults = [f"{describe(graph, node)}: leaves the spatial domain" for node in (*apart, last)]
        raise UnsupportedError(
            [*faults, "Grad-CAM takes one feature map: name the node that makes it: node=..."]
        )
    value = list(leaving)[-1]
    producer = graph.producers.get(value)
    while producer is not None and producer.op == "Transpose" and _is_map(graph, producer.inputs[0]):
        value = producer.inputs[0]
        producer = graph.producers.get(value)
    if value in graph.inputs:
        raise UnsupportedError(f"{describe(graph, last)}: leaves the spatial domain with the input itself; "
                               "Grad-CAM needs a feature map before")  # fmt: skip
    return value


def _is_map(graph: Graph, value: str) -> bool:
    shape = graph.value(value).shape
    return shape is not None and len(shape) == 4 and 1 not in shape[2:]


def _transposed(plan: Plan, value: str) -> Node | None:
    """The Transpose behind the last convolution or pooling before a value, if there is one."""
    graph = plan.graph
    on_way = {step.node.name for step in plan.steps}
    producer = graph.producers.get(value)
    while producer is not None and producer.op not in FIRST:
        if producer.op == "Transpose":
            return producer
        before = [graph.producers[v] for v in producer.inputs if v in graph.producers]
        producer = next((node for node in before if node.name in on_way), None)
    return None
