"""A dequantise as plain arithmetic: (q - z) s of casts.

Whoever runs a compiled file has onnxruntime look for a dequantise before a product of float weights, and round those
weights again, with one scale for all of them. What it does not find it leaves as it is.
"""

from __future__ import annotations

import onnx
from onnx import helper

from onnxdtd.model.graph import Graph
from onnxdtd.primitives.traced import PREFIX
from onnxdtd.registry import OPS


def plain_steps(model: onnx.ModelProto, graph: Graph) -> None:
    """Write each dequantise with one scale for all values out, as exactly as onnxruntime's own computes it."""
    turned = [_turns(node) and _has_one_scale(node, graph) for node in model.graph.node]
    if not any(turned):
        return
    nodes: list[onnx.NodeProto] = []
    for node, turns in zip(model.graph.node, turned, strict=True):
        nodes += _written_out(node, graph) if turns else [node]
    kept = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(kept)


def _turns(node: onnx.NodeProto) -> bool:
    entry = OPS.get((node.domain, node.op_type))
    return entry is not None and entry.rounds and bool(entry.embeds)


def _has_one_scale(node: onnx.NodeProto, graph: Graph) -> bool:
    return all(graph.value(name).shape in ((), (1,)) for name in node.input[1:] if name)


def _written_out(node: onnx.NodeProto, graph: Graph) -> list[onnx.NodeProto]:
    q, scale, *zero = (name for name in node.input if name)
    made: list[onnx.NodeProto] = []
    kind = graph.value(scale).elem_type
    for name in (q, *zero):
        cast = f"{PREFIX}{node.output[0]}/{'less' if made else 'from'}"
        made.append(helper.make_node("Cast", [name], [cast], cast, to=kind))
    casts = [cast.output[0] for cast in made]
    if zero:
        whole = f"{PREFIX}{node.output[0]}/steps"
        made.append(helper.make_node("Sub", casts, [whole], whole))
    made.append(helper.make_node("Mul", [made[-1].output[0], scale], [node.output[0]], node.name))
    return made
