"""The version numbers on a model, as low as its operators allow, so that an older runtime loads it too."""

from __future__ import annotations

from dataclasses import replace

from onnx import NodeProto, defs

from onnxdtd.model.functions import all_nodes
from onnxdtd.model.graph import Graph

ALWAYS_KNOWN = 21
"""Every onnxruntime that is supported loads this opset, and the IR version beside it."""
IR_VERSION = 10


def stamp(graph: Graph) -> Graph:
    """f in opset n = f in opset m, where m <= n is the newest version in which an operator of f changed; m is at
    least 21, and the IR version at most 10. Models of an older opset stay as they are.
    """
    opset = graph.opsets.get("", 1)
    ir_version = min(graph.ir_version, IR_VERSION)
    if ir_version != graph.ir_version:
        graph = replace(graph, ir_version=ir_version)
    if opset <= ALWAYS_KNOWN:
        return graph
    used = [node for node in all_nodes(n.to_proto(graph.opsets) for n in graph.nodes) if not _domain(node)]
    lowest = max([ALWAYS_KNOWN, *(defs.get_schema(node.op_type, opset).since_version for node in used)])
    if lowest == opset:
        return graph
    note = f"opset {opset} read as {lowest}: no operator here changed in between"
    return replace(graph, opsets={**graph.opsets, "": lowest}).noting(note)


def _domain(node: NodeProto) -> str:
    return "" if node.domain == "ai.onnx" else node.domain
