"""Outputs that hold what a suppression of overlapping boxes has left."""

from __future__ import annotations

from onnxdtd.model.graph import Graph, Head


def selected(graph: Graph) -> Graph:
    """boxes -> those that a NonMaxSuppression selects: of the outputs behind it `heads` says so."""
    after = {value for node in graph.nodes if node.op == "NonMaxSuppression" for value in node.outputs}
    if not after:
        return graph
    for node in graph.nodes:
        if after.intersection(node.inputs):
            after.update(node.outputs)
    heads = {name: Head("selected") for name in graph.outputs if name in after}
    return graph.replace(heads={**graph.heads, **heads})
