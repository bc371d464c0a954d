"""A mean over one place is what stands there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from onnxdtd.model.canonise.draft import Draft, nodes
from onnxdtd.model.graph import Graph, Node

_REDUCTIONS = ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd")
_AXES_AS_INPUT = 13


def single(graph: Graph) -> Graph:
    """mean(x) = squeeze(x) over axes of length 1; so too a sum, a product, the largest and the smallest."""
    draft, count = Draft(graph), 0
    for node in graph.nodes:
        if node.op in _REDUCTIONS and not node.domain and (move := _move(node, draft)) is not None:
            draft.put(move)
            count += 1
    return draft.graph(f"reduction over axes of length 1 dropped: {nodes(count)}") if count else graph


def _move(node: Node, draft: Draft) -> Node | None:
    """The node without its sum; None where an axis may be longer."""
    x = node.inputs[0]
    shape, axes = draft.value(x).shape, draft.integers(node, "axes", 1)
    if axes is None and any(node.inputs[1:]):
        return None
    if not axes and node.attributes.get("noop_with_empty_axes", 0):
        axes = []
    elif shape is not None and not axes:
        axes = [*range(len(shape))]
    if shape is None or axes is None or any(shape[axis] != 1 for axis in axes):
        return None
    if node.attributes.get("keepdims", 1) or not axes:
        return replace(node, op="Identity", inputs=(x,), attributes={})
    if draft.opset < _AXES_AS_INPUT:
        return replace(node, op="Squeeze", inputs=(x,), attributes={"axes": axes})
    places = draft.constant(f"{node.name}/axes", np.array(axes, np.int64))
    return replace(node, op="Squeeze", inputs=(x, places), attributes={})
