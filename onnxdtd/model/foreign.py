"""Operators that onnxruntime does not have: outputs that need none of them are explained without them."""

from __future__ import annotations

from onnxdtd.model.graph import Graph

_RUNTIME = ("", "ai.onnx", "ai.onnx.ml", "ai.onnx.preview", "ai.onnx.training", "com.microsoft", "com.ms")
"""Domains of onnxruntime, and what theirs begin with."""


def without_foreign(graph: Graph) -> Graph:
    """The graph without outputs that need an operator of a domain that onnxruntime has not; with all of them, where
    all do. A note names what is left out."""
    foreign = {node.name: node for node in graph.nodes if _is_foreign(node.domain)}
    if not foreign:
        return graph
    tainted: dict[str, str] = {}
    for node in graph.nodes:  # in the order of computing
        source = (
            node.name if node.name in foreign else next((tainted[v] for v in node.inputs if v in tainted), "")
        )
        if source:
            tainted |= dict.fromkeys(node.outputs, source)
    kept = tuple(name for name in graph.outputs if name not in tainted)
    if not kept or len(kept) == len(graph.outputs):
        return graph
    notes = [
        f"output '{name}' left out: it needs {foreign[tainted[name]]} of '{foreign[tainted[name]].domain}', which "
        "onnxruntime does not have"
        for name in graph.outputs
        if name in tainted
    ]
    return graph.replace(outputs=kept).noting(*notes)


def _is_foreign(domain: str) -> bool:
    known = any(domain == own or (own and domain.startswith(f"{own}.")) for own in _RUNTIME)
    return not known
