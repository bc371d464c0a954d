"""Split into slices: y_k = x[s_k : s_k + n_k], one node for each output."""

from __future__ import annotations

import numpy as np

from onnxdtd.model.canonise.draft import Draft, free, nodes
from onnxdtd.model.graph import Graph, Node


def split(graph: Graph) -> Graph:
    """y_k = x[s_k : s_k + n_k] along the axis: each used output of a Split becomes a Slice of constant
    bounds, which merges with its neighbours as any other. A Split of an unknown size into equal parts stays.
    """
    draft = Draft(graph)
    count = 0
    for node in graph.nodes:
        if node.op != "Split" or node.domain:
            continue
        axis = node.attributes.get("axis", 0)
        sizes = _sizes(node, axis, draft)
        if sizes is None:
            continue
        start = 0
        for k, (output, size) in enumerate(zip(node.outputs, sizes, strict=False)):
            if draft.users(output) or draft.is_end(output):
                draft.put(_slice(node, k, start, start + size, axis, draft), at=node)
            start += size
        draft.remove(node)
        count += 1
    return draft.graph(f"Split written as Slice: {nodes(count)}") if count else graph


def _sizes(node: Node, axis: int, draft: Draft) -> list[int] | None:
    sizes = draft.integers(node, "split", 1)
    if sizes is not None or any(node.inputs[1:]):
        return sizes
    shape, parts = draft.value(node.inputs[0]).shape, node.attributes.get("num_outputs", len(node.outputs))
    size = shape[axis] if shape is not None and -len(shape) <= axis < len(shape) else None
    if not isinstance(size, int) or parts < 1:
        return None
    part = -(-size // parts)  # opset 18: the last part may be smaller
    return [min(part, max(size - k * part, 0)) for k in range(parts)]


def _slice(node: Node, k: int, start: int, end: int, axis: int, draft: Draft) -> Node:
    name, x, output = free(f"{node.name}_{k}", draft.nodes), node.inputs[0], node.outputs[k]
    if draft.opset < 10:
        return Node(name, "Slice", (x,), (output,), {"starts": [start], "ends": [end], "axes": [axis]})
    bounds = {"starts": start, "ends": end, "axes": axis, "steps": 1}
    inputs = [draft.constant(f"{output}/{key}", np.array([i], np.int64)) for key, i in bounds.items()]
    return Node(name, "Slice", (x, *inputs), (output,))
