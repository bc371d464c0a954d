"""A bias that was written as a node of its own: (W x + b) + c = W x + (b + c)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from onnxdtd.model.canonise.affine import Affine, per_channel
from onnxdtd.model.canonise.draft import Draft, free, nodes
from onnxdtd.model.canonise.offset import offset_of, plus
from onnxdtd.model.graph import Graph, Node
from onnxdtd.types import Array

_WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul", "Einsum")


def bias(graph: Graph) -> Graph:
    """(W x + b) + c = W x + (b + c): a constant c that is added to a Conv, ConvTranspose, Gemm, MatMul or Einsum, or
    taken off it, is its bias: an input of the operator where c is per channel, else (`Node.bias`) of any shape that
    broadcasts to the output. Where something else reads the value between, that keeps a copy of the node.
    """
    draft = Draft(graph)
    count = 0
    for node in graph.nodes:
        for slot in (0, 1) if node.op in ("Add", "Sub") and not node.domain and draft.opset >= 7 else ():
            added, maker = draft.array(node, 1 - slot), draft.maker(node.inputs[slot])
            if added is None or maker is None or (node.op == "Sub" and slot == 1):
                continue
            if not np.isfinite(added).all():  # a mask, which says where nothing is to count
                continue
            merged = _merged(maker, -added if node.op == "Sub" else added, draft)
            if merged is not None:
                draft.remove(node)
                is_read = draft.users(maker.output) or draft.is_end(maker.output)
                name = free(f"{maker.name}/with_bias", draft.nodes) if is_read else maker.name
                draft.put(replace(merged, name=name, outputs=node.outputs), at=maker)
                count += 1
                break
    return draft.graph(f"Add folded into the bias before it: {nodes(count)}") if count else graph


def _merged(maker: Node, added: Array, draft: Draft) -> Node | None:
    """The node with the constant in its bias; None where it has no weights, or would change its shape."""
    affine = Affine.read(maker, draft)
    vector = None if affine is None else per_channel(added, affine.channels, affine.rank)
    if affine is not None and vector is not None and not maker.bias:
        return replace(affine, bias=affine.bias + vector).written(draft)
    data = [value for value in maker.inputs[:2] if value not in draft.constants]
    if maker.domain or maker.op not in _WEIGHTED or len(data) != 1 or added.dtype.kind != "f":
        return None
    shape = draft.value(maker.output).shape
    if shape is None or added.ndim > len(shape):
        return None
    if any(n not in (1, size) for n, size in zip(added.shape[::-1], shape[::-1], strict=False)):
        return None
    offset = plus(offset_of(maker, draft), added, maker, draft)
    if not isinstance(offset, str):
        offset = draft.constant(f"{maker.name}/bias", np.asarray(offset, added.dtype))
    return replace(maker, bias=offset)
