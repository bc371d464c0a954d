"""What is wrong with a node on the way: each fault one line that names the node and says what mends it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from onnxdtd.entries import OpEntry
from onnxdtd.model.definitions.table import why_not
from onnxdtd.model.graph import Graph, Node

UNSERVED = ("refuse", "expanded", "loop")
"""Also what is expanded, where a node has not the form for that, and a loop whose body is not read."""
_OPTIMISED = ("com.microsoft.nchwc", "com.ms.internal.nhwc")


def describe(graph: Graph, node: Node) -> str:
    """A node in a message: name, op, opset, shapes."""
    version = graph.opsets.get(node.domain, 0)
    domain = f"{node.domain} " if node.domain else ""
    shapes = [str(graph.value(v).shape or "?") for v in (*filter(None, node.inputs), node.output)]
    return f"{node} ({domain}opset {version}, {', '.join(shapes[:-1])} -> {shapes[-1]})"


def op_fault(graph: Graph, node: Node, op: OpEntry) -> str:
    """Why no rule serves this operator; "" if one does."""
    where = describe(graph, node)
    stop = f'let relevance stop there with --rules: [[rule]] op = "{node.op}", use = "stop"'
    if node.domain in _OPTIMISED:
        return (
            f"{where}: written by onnxruntime's optimiser for one kind of processor; save the model with "
            f"ORT_ENABLE_BASIC or unoptimised, or {stop}"
        )
    if not op.name:
        return f"{where}: no entry for this operator; add one under onnxdtd/ops/, or {stop}"
    if (version := graph.opsets.get(node.domain, 1)) < op.since:
        return f"{where}: known from opset {op.since} on, this is {version}; convert the model, or {stop}"
    if op.kind in UNSERVED:
        return f"{where}: {why_not(graph, node) or op.doc}; {stop}"
    return ""


def reading_fault(
    graph: Graph, node: Node, op: OpEntry, slots: tuple[int, ...], beside: Mapping[str, Node]
) -> str:
    """What the node reads that it must not, "" if nothing. beside: values through which their node carries no
    relevance."""
    stray = [i for i in slots if op.data is not None and i not in op.data]
    if stray:
        return (
            f"{describe(graph, node)}: input {stray[0]} depends on the model's input, but is a weight here; "
            "no rule serves that"
        )
    return beside_fault(str(node), node.inputs, beside)


def beside_fault(reader: str, values: Sequence[str], beside: Mapping[str, Node]) -> str:
    """Whether one of the values is an output through which its node carries no relevance; "" if not."""
    for value in values:
        if value in beside:
            maker = beside[value]
            which = maker.outputs.index(value)
            return f"{reader}: reads '{value}', output {which} of {maker}, which carries no relevance"
    return ""
