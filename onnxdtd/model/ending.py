"""What the end of a graph makes of its logits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from onnx import GraphProto

from onnxdtd.model.graph import Graph, Node

Ending = Literal["softmax", "exp", "as it is"]
UNTOLD: Ending = "softmax"
"""Where nothing is known of the output: it is taken for logits."""
PROBABLE = {"Softmax", "Sigmoid", "Normalizer"}
CARRYING = {"Identity", "Cast", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "ZipMap"}


def ending(graph: Graph, output: str) -> Ending:
    """What makes the output probabilities, asked of a graph as it was read, since canonisation writes the operators
    of ai.onnx.ml out: `softmax` of logits, `exp` of their logarithms, nothing where they are some already. Where
    branches end, it is what both end in."""
    return _ending(graph.producers, output)


def _ending(producers: Mapping[str, Node], output: str) -> Ending:
    value, node = output, producers.get(output)
    while node is not None and node.op in CARRYING:
        value = node.inputs[0]
        node = producers.get(value)
    if node is None or node.op == "LogSoftmax":
        return UNTOLD if node is None else "exp"
    if node.op == "If":
        which = node.outputs.index(value)
        bodies = [node.attributes[side] for side in ("then_branch", "else_branch")]
        ends = {_ending({**producers, **_made(body)}, body.output[which].name) for body in bodies}
        return ends.pop() if len(ends) == 1 else UNTOLD
    transformed = node.attributes.get("post_transform", "NONE") != "NONE"
    return "as it is" if node.op in PROBABLE or transformed else UNTOLD


def _made(body: GraphProto) -> dict[str, Node]:
    return {value: Node.from_proto(proto, proto.name) for proto in body.node for value in proto.output}
