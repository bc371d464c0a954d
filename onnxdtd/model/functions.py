"""Model-local functions: every call is replaced by the function's body."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import networkx as nx
import onnx.inliner
from onnx import ModelProto, NodeProto, shape_inference

from onnxdtd.errors import ModelError
from onnxdtd.model.weights import one_line

_MOST_NODES = 1_000_000


def inline(model: ModelProto) -> ModelProto:
    """The model without functions; bodies of another opset are converted to the model's own.

    Functions that call each other in a ring, or unfold to more nodes than any real model has, are refused.
    """
    if not model.functions:
        return model
    bodies = {(f.domain, f.name, f.overload): list(all_nodes(f.node)) for f in model.functions}
    _require_end(model, bodies)
    opsets = {(o.domain, o.version) for o in model.opset_import}
    foreign = any((o.domain, o.version) not in opsets for f in model.functions for o in f.opset_import)
    try:
        if foreign:  # the conversion wants to know every type
            model = shape_inference.infer_shapes(model)
        model = onnx.inliner.inline_local_functions(model, convert_version=foreign)
    except Exception as error:  # bare C++ exceptions
        raise ModelError(f"its model-local functions cannot be inlined: {one_line(error)}") from None
    if left := sorted({n.op_type for n in all_nodes(model.graph.node) if _callee(n) in bodies}):
        raise ModelError(f"its model-local functions cannot be inlined: {', '.join(left)}")
    return model


def all_nodes(nodes: Iterable[NodeProto]) -> Iterator[NodeProto]:
    """The nodes and those of their subgraphs."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                yield from all_nodes(graph.node)


def _callee(node: NodeProto) -> tuple[str, str, str]:
    return node.domain, node.op_type, node.overload


def _require_end(model: ModelProto, bodies: dict[tuple[str, str, str], list[NodeProto]]) -> None:
    calls = nx.DiGraph()
    calls.add_nodes_from(bodies)
    for function, nodes in bodies.items():
        calls.add_edges_from((function, callee) for n in nodes if (callee := _callee(n)) in bodies)
    if not nx.is_directed_acyclic_graph(calls):
        raise ModelError("a model-local function calls itself")
    size: dict[tuple[str, str, str], int] = {}
    for function in reversed(list(nx.topological_sort(calls))):
        size[function] = sum(size.get(_callee(n), 1) for n in bodies[function])
    if (total := sum(size.get(_callee(n), 1) for n in all_nodes(model.graph.node))) > _MOST_NODES:
        raise ModelError(f"its model-local functions unfold to {total:,} nodes, more than {_MOST_NODES:,}")
