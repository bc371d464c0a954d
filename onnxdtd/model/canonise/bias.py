"""A bias that was written as a node of its own: (W x + b) + c = W x + (b + c)."""

from __future__ import annotations

from dataclasses import replace

from onnxdtd.model.canonise.affine import Affine, per_channel
from onnxdtd.model.canonise.draft import Draft, nodes
from onnxdtd.model.graph import Graph


def bias(graph: Graph) -> Graph:
    """(W x + b) + c = W x + (b + c): the Add of a constant c per channel goes into the Conv, ConvTranspose,
    Gemm or MatMul (of rank 2; it becomes a Gemm) before it, if nothing else needs the value between.
    """
    draft = Draft(graph)
    count = 0
    for node in graph.nodes:
        if node.op != "Add" or node.domain or draft.opset < 7:
            continue
        for slot in (0, 1):
            affine = Affine.read(draft.maker(node.inputs[slot]), draft)
            added = draft.array(node, 1 - slot)
            if affine is None or added is None or draft.only_user(node.inputs[slot]) is None:
                continue
            vector = per_channel(added, affine.channels, affine.rank)
            if vector is not None:
                draft.remove(node)
                written = replace(affine, bias=affine.bias + vector).written(draft)
                draft.put(replace(written, outputs=node.outputs))
                count += 1
                break
    return draft.graph(f"Add folded into the bias before it: {nodes(count)}") if count else graph
